"""The OpenAI chat-completions answer from the server's side: events to bytes, and a whole answer to one JSON body.

Protocol: https://platform.openai.com/docs/api-reference/chat. Reasoning goes out as `reasoning_content`, the field
that vLLM, DeepSeek and llama.cpp servers use.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from antiphon.domain import Usage
from antiphon.providers.base import (
    Error,
    Event,
    Finish,
    RateReport,
    ReasoningDelta,
    Remark,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)

DONE = b"data: [DONE]\n\n"
_FINISH: Mapping[str, str] = {"filtered": "content_filter"}
_encode = msgspec.json.Encoder().encode


class Chunks:
    """Encodes the events of one stream. All that does not change is encoded once: a token costs one small join."""

    def __init__(self, identity: str, model: str, created: int, *, include_usage: bool) -> None:
        fixed = _encode({"id": identity, "object": "chat.completion.chunk", "created": created, "model": model})[:-1]
        self._base = b"data: " + fixed
        # With include_usage every chunk carries the field, null until the last one.
        self._end = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._delta = self._base + b',"choices":[{"index":0,"delta":'
        self._after = b',"finish_reason":null}]' + self._end
        self._text = self._delta + b'{"content":'
        self._reasoning = self._delta + b'{"reasoning_content":'
        self._close = b"}" + self._after
        self._include_usage = include_usage
        self._usage: Usage | None = None

    def first(self) -> bytes:
        """The opening chunk, which names the role."""
        return self._delta + b'{"role":"assistant","content":""}' + self._after

    def encode(self, event: Event) -> bytes:
        """The bytes of an event; empty for one that says nothing on this wire."""
        match event:
            case TextDelta(text):
                return self._text + _encode(text) + self._close
            case ReasoningDelta(text):
                return self._reasoning + _encode(text) + self._close
            case ToolCallStart(index, call_id, name):
                return self._call(
                    {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
                )
            case ToolCallDelta(index, arguments):
                return self._call({"index": index, "function": {"arguments": arguments}})
            case UsageReport(usage):
                self._usage = usage
                return b""
            case Finish(reason):
                return self._finish(_FINISH.get(reason, reason))
            case Error():
                return b"data: " + _encode({"error": error_body(event.public, "server_error", None)}) + b"\n\n"
            case ToolCallEnd() | Remark() | RateReport():
                return b""

    def _call(self, call: Mapping[str, Any]) -> bytes:
        return self._delta + _encode({"tool_calls": [call]}) + self._after

    def _finish(self, reason: str) -> bytes:
        last = self._delta + b'{},"finish_reason":' + _encode(reason) + b"}]" + self._end
        if self._include_usage and self._usage is not None:
            last += self._base + b',"choices":[],"usage":' + _encode(usage_body(self._usage)) + b"}\n\n"
        return last + DONE


def completion(identity: str, model: str, created: int, events: Sequence[Event]) -> bytes:
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    reasoning = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    calls = [event.call for event in events if isinstance(event, ToolCallEnd)]
    reason = next((event.reason for event in events if isinstance(event, Finish)), "stop")
    usage = next((event.usage for event in events if isinstance(event, UsageReport)), Usage())
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return _encode(
        {
            "id": identity,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": _FINISH.get(reason, reason)}],
            "usage": usage_body(usage),
        }
    )


def usage_body(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def error_body(message: str, kind: str, code: str | None, param: str | None = None) -> dict[str, Any]:
    return {"message": message, "type": kind, "param": param, "code": code}
