from typing import Any

import msgspec
import pytest

from antiphon.providers.base import ChatMessage, File, ModelRequest, OutputSchema, ToolCall, ToolName, ToolSpec
from antiphon.providers.protocols.openai_responses.codec import OpenAIResponses

CLOCK = ToolSpec(name="clock", description="The time.", parameters={"type": "object", "properties": {}})
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


def sent(request: ModelRequest, codec: OpenAIResponses | None = None) -> Any:
    return msgspec.json.decode((codec or OpenAIResponses()).encode(request))


def items(*messages: ChatMessage, model: str = "m") -> Any:
    return sent(ModelRequest(model=model, messages=messages))["input"]


def test_a_plain_request_says_no_more_than_it_must_and_leaves_nothing_behind() -> None:
    messages = (ChatMessage(role="system", text="Be brief."), ChatMessage(role="user", text="Grüß dich 😀"))
    assert sent(ModelRequest(model="gpt-4.1", messages=messages)) == {
        "model": "gpt-4.1",
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüß dich 😀"}],
        "stream": True,
        "store": False,
    }


def test_tools_and_limits() -> None:
    request = ModelRequest(
        model="gpt-4.1", messages=(), tools=(CLOCK,), temperature=0.0, max_tokens=700, cache_key="conversation-1"
    )
    body = sent(request)
    assert body["tools"] == [
        {
            "type": "function",
            "name": "clock",
            "description": "The time.",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        }
    ]
    assert (body["temperature"], body["max_output_tokens"], body["prompt_cache_key"]) == (0.0, 700, "conversation-1")


@pytest.mark.parametrize(
    ("choice", "wire"), [("required", "required"), (ToolName("clock"), {"type": "function", "name": "clock"})]
)
def test_a_tool_that_must_be_called(choice: Any, wire: Any) -> None:
    assert sent(ModelRequest(model="m", messages=(), tools=(CLOCK,), tool_choice=choice))["tool_choice"] == wire


def test_a_tool_that_leaves_nothing_open_is_strict() -> None:
    closed = ToolSpec(name="a", description="", parameters={**CLOCK.parameters, "additionalProperties": False})
    assert sent(ModelRequest(model="m", messages=(), tools=(closed,)))["tools"][0]["strict"] is True


def test_calls_and_their_results_are_items() -> None:
    call = ToolCall(id="c1", name="clock", arguments='{"zone": "UTC"}')
    asked = ChatMessage(role="assistant", text="Let me look.", calls=(call, call), reasoning="hm")
    assert items(asked, ChatMessage(role="tool", text="12:00", call_id="c1", name="clock")) == [
        {"role": "assistant", "content": "Let me look."},
        {"type": "function_call", "call_id": "c1", "name": "clock", "arguments": '{"zone": "UTC"}'},
        {"type": "function_call", "call_id": "c1", "name": "clock", "arguments": '{"zone": "UTC"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "12:00"},
    ]


def test_ids_of_other_vendors_and_broken_arguments_do_not_spoil_the_conversation() -> None:
    call = ToolCall(id="x" * 200, name="clock", arguments='{"zone": "U')
    first, second = items(
        ChatMessage(role="assistant", calls=(call,)), ChatMessage(role="tool", text="", call_id="x" * 200)
    )
    assert first["call_id"] == second["call_id"]
    assert len(first["call_id"]) <= 40
    assert msgspec.json.decode(first["arguments"]) == {"invalid": '{"zone": "U'}


def test_sealed_reasoning_goes_back_to_the_model_that_sealed_it_and_to_no_other() -> None:
    sealed = [REASONING, {"type": "message", "phase": "commentary"}]
    kept = [{"maker": "openai:gpt-5-mini", "item": item} for item in sealed]
    message = ChatMessage(role="assistant", text="Hm.", opaque={"openai_responses": kept})
    assert items(message, model="gpt-5-mini") == [
        REASONING,
        {"role": "assistant", "content": "Hm.", "phase": "commentary"},
    ]
    assert items(message, model="gpt-4.1") == [{"role": "assistant", "content": "Hm."}]
    elsewhere = sent(ModelRequest(model="gpt-5-mini", messages=(message,)), OpenAIResponses("azure"))
    assert elsewhere["input"] == [{"role": "assistant", "content": "Hm."}]


@pytest.mark.parametrize("opaque", [{"anthropic": []}, ["x"], "x", None, {"openai_responses": []}])
def test_what_another_protocol_sealed_is_left_alone(opaque: Any) -> None:
    assert items(ChatMessage(role="assistant", text="Hm.", opaque=opaque)) == [{"role": "assistant", "content": "Hm."}]


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("gpt-5-mini", True),
        ("gpt-5.4", True),
        ("o3", True),
        ("o4-mini", True),
        ("gpt-5.3-codex", True),
        ("openai/gpt-oss-120b", True),
        ("grok-4.3", True),
        ("gpt-5-chat-latest", False),
        ("gpt-4.1", False),
        ("gpt-4o", False),
        ("grok-4.20-0309-non-reasoning", False),
        ("llama-3.3-70b", False),
        ("m", False),
    ],
)
def test_only_a_model_that_reasons_is_asked_for_its_reasoning(model: str, reasons: bool) -> None:
    body = sent(ModelRequest(model=model, messages=(), temperature=0.5))
    assert ("include" in body) is reasons
    assert ("temperature" in body) is not reasons
    assert "reasoning" not in body


def test_an_effort_is_an_order_to_reason() -> None:
    request = ModelRequest(model="mine", messages=(), effort="high", temperature=0.5)
    assert sent(request)["include"] == ["reasoning.encrypted_content"]
    assert sent(request)["reasoning"] == {"effort": "high", "summary": "auto"}
    warm = sent(request, OpenAIResponses(summaries=False, warmth=True))
    assert (warm["reasoning"], warm["temperature"]) == ({"effort": "high"}, 0.5)


def test_files_go_in_the_way_of_their_kind() -> None:
    files = (
        File(name="cat.png", media_type="image/png", data=b"png"),
        File(name="dog.jpg", media_type="image/jpeg", url="https://pictures.example/dog.jpg"),
        File(name="word.wav", media_type="audio/wav", data=b"wav"),
        File(name="bill.pdf", media_type="application/pdf", data=b"pdf"),
        File(name="far.pdf", media_type="application/pdf", url="https://pictures.example/far.pdf"),
    )
    assert items(ChatMessage(role="user", text="What is this?", files=files))[0]["content"] == [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,cG5n"},
        {"type": "input_image", "image_url": "https://pictures.example/dog.jpg"},
        {"type": "input_audio", "input_audio": {"data": "d2F2", "format": "wav"}},
        {"type": "input_file", "filename": "bill.pdf", "file_data": "data:application/pdf;base64,cGRm"},
        {"type": "input_file", "file_url": "https://pictures.example/far.pdf"},
    ]


def test_an_answer_for_programs_has_a_schema() -> None:
    output = OutputSchema(name="bill", schema={"type": "object"})
    assert sent(ModelRequest(model="m", messages=(), output=output))["text"] == {
        "format": {"type": "json_schema", "name": "bill", "schema": {"type": "object"}, "strict": False}
    }


def test_text_that_is_no_text_is_an_error_of_value() -> None:
    with pytest.raises(ValueError):
        items(ChatMessage(role="user", text="\ud83d"))
