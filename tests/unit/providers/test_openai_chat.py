from typing import Any

import msgspec
import pytest

from antiphon.providers.base import ChatMessage, ModelRequest, ToolCall, ToolSpec
from antiphon.providers.openai_chat import Quirks, encode


def sent(request: ModelRequest, quirks: Quirks | None = None) -> Any:
    return msgspec.json.decode(encode(request, quirks or Quirks()))


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
        encode(ModelRequest(model="m", messages=(ChatMessage(role="user", text="\ud83d"),)), Quirks())
