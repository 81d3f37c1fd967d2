import re
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from antiphon.providers.base import ChatMessage, File, ModelRequest, OutputSchema, ToolCall, ToolName, ToolSpec
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.protocols.openai_chat.quirks import Quirks


def sent(request: ModelRequest, quirks: Quirks | None = None) -> Any:
    return msgspec.json.decode(OpenAIChat(quirks or Quirks()).encode(request))


def one(message: ChatMessage, quirks: Quirks | None = None) -> Any:
    return sent(ModelRequest(model="m", messages=(message,)), quirks)["messages"][0]


def test_a_plain_request_says_no_more_than_it_must() -> None:
    messages = (ChatMessage(role="system", text="Be brief."), ChatMessage(role="user", text="Grüß dich 😀"))
    assert sent(ModelRequest(model="m", messages=messages)) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüß dich 😀"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_tools_and_limits() -> None:
    tool = ToolSpec(name="clock", description="The time.", parameters={"type": "object", "properties": {}})
    request = ModelRequest(model="m", messages=(), tools=(tool,), temperature=0.0, max_tokens=7)
    body = sent(request)
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "clock",
                "description": "The time.",
                "parameters": {"type": "object", "properties": {}},
            },
        }
    ]
    assert (body["temperature"], body["max_tokens"]) == (0.0, 7)
    assert sent(request, Quirks(max_tokens="max_completion_tokens"))["max_completion_tokens"] == 7


def test_calls_and_their_results() -> None:
    call = ToolCall(id="c1", name="clock", arguments='{"zone": "UTC"}')
    assert one(ChatMessage(role="assistant", calls=(call,), reasoning="hm")) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "clock", "arguments": '{"zone": "UTC"}'}}],
    }
    assert one(ChatMessage(role="tool", text="12:00", call_id="c1", name="clock")) == {
        "role": "tool",
        "tool_call_id": "c1",
        "content": "12:00",
    }


@pytest.mark.parametrize("arguments", ['{"zone": "U', "", "[1]", "null", pytest.param("[" * 100_000, id="deep")])
def test_invalid_arguments_of_the_past_do_not_spoil_the_conversation(arguments: str) -> None:
    call = ToolCall(id="c1", name="clock", arguments=arguments)
    back = one(ChatMessage(role="assistant", calls=(call,)))["tool_calls"][0]["function"]["arguments"]
    assert msgspec.json.decode(back) == {"invalid": arguments}


def test_signed_reasoning_goes_back_only_to_whom_it_belongs() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "x"}]
    message = ChatMessage(role="assistant", text="Yes.", opaque={"openai_chat": details})
    assert one(message, Quirks(reasoning_details=True))["reasoning_details"] == details
    assert one(message) == {"role": "assistant", "content": "Yes."}


@pytest.mark.parametrize("opaque", [{"anthropic": [{"signature": "x"}]}, [{"type": "reasoning.text"}], "x", None])
def test_what_another_protocol_signed_stays_here(opaque: Any) -> None:
    message = ChatMessage(role="assistant", text="Yes.", opaque=opaque)
    assert one(message, Quirks(reasoning_details=True)) == {"role": "assistant", "content": "Yes."}


@pytest.mark.parametrize(
    ("back", "reasoning", "wire"),
    [
        ("never", "hm", {}),
        ("given", "hm", {"reasoning_content": "hm"}),
        ("given", None, {}),
        ("always", "hm", {"reasoning_content": "hm"}),
        ("always", None, {"reasoning_content": ""}),
    ],
)
def test_reasoning_goes_back_to_whom_misses_it(back: Any, reasoning: str | None, wire: dict[str, str]) -> None:
    message = ChatMessage(role="assistant", text="Yes.", reasoning=reasoning)
    assert one(message, Quirks(reasoning_back=back)) == {"role": "assistant", "content": "Yes."} | wire


def test_cost_is_asked_for_where_it_is_told() -> None:
    request = ModelRequest(model="m", messages=())
    assert sent(request, Quirks(reports_cost=True))["usage"] == {"include": True}
    assert "usage" not in sent(request)


def test_text_that_is_no_text_is_an_error_of_value() -> None:
    with pytest.raises(ValueError):
        sent(ModelRequest(model="m", messages=(ChatMessage(role="user", text="\ud83d"),)))


def test_files_go_in_the_way_of_their_kind() -> None:
    files = (
        File(name="cat.png", media_type="image/png", data=b"png"),
        File(name="dog.jpg", media_type="image/jpeg", url="https://pictures.example/dog.jpg"),
        File(name="word.wav", media_type="audio/wav", data=b"wav"),
        File(name="bill.pdf", media_type="application/pdf", data=b"pdf"),
    )
    assert one(ChatMessage(role="user", text="What is this?", files=files))["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/dog.jpg"}},
        {"type": "input_audio", "input_audio": {"data": "d2F2", "format": "wav"}},
        {"type": "file", "file": {"filename": "bill.pdf", "file_data": "data:application/pdf;base64,cGRm"}},
    ]


@pytest.mark.parametrize(
    ("choice", "wire"),
    [("required", "required"), (ToolName("clock"), {"type": "function", "function": {"name": "clock"}})],
)
def test_a_tool_that_must_be_called(choice: Any, wire: Any) -> None:
    tool = ToolSpec(name="clock", description="The time.", parameters={"type": "object"})
    request = ModelRequest(model="m", messages=(), tools=(tool,), tool_choice=choice)
    assert sent(request)["tool_choice"] == wire


def test_an_answer_for_programs_has_a_schema() -> None:
    output = OutputSchema(name="bill", schema={"type": "object"})
    body = sent(ModelRequest(model="m", messages=(), output=output))
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "bill", "schema": {"type": "object"}},
    }


CLOSED = {"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"]} | {
    "additionalProperties": False
}
BILL = OutputSchema(name="bill", schema=CLOSED)
CLOCK = ToolSpec(name="clock", description="The time.", parameters={"type": "object"})


def test_a_model_is_held_to_a_schema_that_leaves_nothing_open() -> None:
    body = sent(ModelRequest(model="m", messages=(), output=BILL))
    assert body["response_format"]["json_schema"] == {"name": "bill", "schema": CLOSED, "strict": True}
    assert body["messages"] == []


def test_a_vendor_who_knows_only_objects_is_told_the_rest_in_words() -> None:
    messages = (ChatMessage(role="system", text="Be brief."), ChatMessage(role="user", text="Sum it up."))
    body = sent(ModelRequest(model="m", messages=messages, output=BILL), Quirks(output="object"))
    assert body["response_format"] == {"type": "json_object"}
    told = body["messages"][0]["content"]
    assert told.startswith("Be brief.\n\n")
    assert msgspec.json.encode(CLOSED).decode() in told
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


def test_without_a_system_message_the_words_are_one() -> None:
    messages = (ChatMessage(role="user", text="Sum it up."),)
    body = sent(ModelRequest(model="m", messages=messages, output=BILL), Quirks(output="object"))
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


def test_where_tools_and_a_form_exclude_each_other_words_must_do() -> None:
    quirks = Quirks(output_with_tools=False)
    alone = sent(ModelRequest(model="m", messages=(), output=BILL), quirks)
    both = sent(ModelRequest(model="m", messages=(), output=BILL, tools=(CLOCK,)), quirks)
    assert "response_format" in alone
    assert "response_format" not in both
    assert "JSON Schema" in both["messages"][0]["content"]


def test_effort_and_key_of_the_cache_have_the_names_of_the_vendor() -> None:
    request = ModelRequest(model="m", messages=(), effort="low", cache_key="c1")
    assert sent(request)["reasoning_effort"] == "low"
    assert "c1" not in str(sent(request))
    quirks = Quirks(effort="reasoning", cache_key="user")
    assert (sent(request, quirks)["reasoning"], sent(request, quirks)["user"]) == ({"effort": "low"}, "c1")
    assert sent(request, Quirks(efforts=MappingProxyType({"low": "none"})))["reasoning_effort"] == "none"


def test_usage_is_not_asked_of_whom_refuses_the_question() -> None:
    assert "stream_options" not in sent(ModelRequest(model="m", messages=()), Quirks(stream_options=False))


def test_the_last_marks_ask_to_keep_what_is_before_them() -> None:
    marked = [ChatMessage(role="user", text=f"{n}", keep=True) for n in range(6)]
    picture = ChatMessage(
        role="user", text="", files=(File(name="a.png", media_type="image/png", data=b"a"),), keep=True
    )
    request = ModelRequest(model="anthropic/claude", messages=(*marked, ChatMessage(role="user", keep=True), picture))
    messages = sent(request, Quirks(marks_for=("anthropic/", "google/")))["messages"]
    kept = [place for place, message in enumerate(messages) if "cache_control" in str(message)]
    assert kept == [3, 4, 5, 7]
    assert messages[5]["content"] == [{"type": "text", "text": "5", "cache_control": {"type": "ephemeral"}}]
    assert messages[7]["content"][0]["type"] == "image_url"
    assert "cache_control" not in str(sent(request))
    other = msgspec.structs.replace(request, model="openai/gpt-5")
    assert "cache_control" not in str(sent(other, Quirks(marks_for=("anthropic/",))))


def test_a_model_that_must_answer_its_tools_has_answered() -> None:
    messages = (
        ChatMessage(role="assistant", calls=(ToolCall(id="call_0fypS1hVX", name="clock", arguments="{}"),)),
        ChatMessage(role="tool", text="12:00", call_id="call_0fypS1hVX", name="clock"),
        ChatMessage(role="user", text="Stop."),
    )
    wire = sent(ModelRequest(model="m", messages=messages), Quirks(answers_tools=True, nine_ids=True))["messages"]
    assert [message["role"] for message in wire] == ["assistant", "tool", "assistant", "user"]
    assert wire[0]["tool_calls"][0]["id"] == wire[1]["tool_call_id"]
    assert re.fullmatch("[a-zA-Z0-9]{9}", wire[1]["tool_call_id"])
