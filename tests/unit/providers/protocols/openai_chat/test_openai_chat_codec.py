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
    message = ChatMessage(role="assistant", text="Yes.", opaque=details)
    assert one(message, Quirks(reasoning_details=True))["reasoning_details"] == details
    assert one(message) == {"role": "assistant", "content": "Yes."}


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
