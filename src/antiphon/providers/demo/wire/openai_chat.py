"""OpenAI's chat protocol, the server's side: bytes to a request, events to bytes.

Protocol: https://platform.openai.com/docs/api-reference/chat. Reasoning goes out as `reasoning_content`, the field
that vLLM, DeepSeek and llama.cpp servers use.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.domain import Usage, new_id
from antiphon.errors import ValidationError
from antiphon.providers.base import (
    DEMO,
    ChatMessage,
    Error,
    Event,
    Finish,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolSpec,
    UsageReport,
)
from antiphon.providers.demo.faults import Refusal
from antiphon.providers.demo.wire.base import Asked, ErrorReply, Manner

DONE = b"data: [DONE]\n\n"
_FINISH: Mapping[str, str] = {"filtered": "content_filter"}
_encode = msgspec.json.Encoder().encode


class Function(Struct, frozen=True):
    name: str
    arguments: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None


class FunctionHolder(Struct, frozen=True):
    """A tool that is offered, or (with an id) a call of one."""

    function: Function
    id: str = ""


class BodyMessage(Struct, frozen=True):
    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[FunctionHolder] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    reasoning_content: str | None = None


class StreamOptions(Struct, frozen=True):
    include_usage: bool = False


class ChatBody(Struct, frozen=True):
    """The body of `POST /v1/chat/completions`, as far as the demo model reads it."""

    model: str
    messages: list[BodyMessage]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[FunctionHolder] | None = None
    tool_choice: Any = None
    temperature: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None

    def request(self) -> ModelRequest:
        """The body as a provider sees it. `tool_choice` may forbid tools or leave one of them."""
        return ModelRequest(
            model=self.model,
            messages=tuple(_message(message) for message in self.messages),
            tools=tuple(_tool(tool.function) for tool in self.tools or () if self._allows(tool.function.name)),
            temperature=self.temperature,
            max_tokens=self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens,
        )

    def _allows(self, name: str) -> bool:
        if isinstance(self.tool_choice, Mapping):
            chosen = self.tool_choice.get("function")
            return not isinstance(chosen, Mapping) or chosen.get("name") == name
        return bool(self.tool_choice != "none")


_decoder = msgspec.json.Decoder(ChatBody)


class OpenAIChatWire:
    """Chat completions."""

    manner = Manner(asks=("/v1/chat/completions",), lists=("/v1/models",), names_in_pieces=True)

    def read(self, body: bytes, _: Mapping[str, str]) -> Asked:
        try:
            read = _decoder.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValidationError(f"The body is not a chat completion request: {error}") from error
        told = read.stream_options is not None and read.stream_options.include_usage
        return Asked(request=read.request(), stream=bool(read.stream), usage=told)

    def encoder(self, asked: Asked) -> "Chunks":
        return Chunks(_identity(), asked.request.model, int(time.time()), include_usage=asked.usage)

    def whole(self, asked: Asked, events: Sequence[Event]) -> bytes:
        failed = next((event for event in events if isinstance(event, Error)), None)
        if failed is not None:  # some gateways report a failure inside a 200
            return _encode({"error": error_body(failed.public, "server_error", None)})
        return _completion(_identity(), asked.request.model, int(time.time()), events)

    def refuse(self, refusal: Refusal) -> ErrorReply:
        wait = refusal.retry_after
        return ErrorReply(
            status=refusal.status,
            body=_encode({"error": error_body(refusal.public, refusal.type, refusal.code)}),
            headers={} if wait is None else {"Retry-After": f"{wait:.0f}"},
        )

    def models(self) -> bytes:
        return _encode(
            {"object": "list", "data": [{"id": DEMO, "object": "model", "created": 0, "owned_by": "antiphon"}]}
        )


def _identity() -> str:
    return f"chatcmpl-{new_id()}"


def _message(message: BodyMessage) -> ChatMessage:
    role = "system" if message.role == "developer" else message.role
    if role not in {"system", "user", "assistant", "tool"}:
        raise ValidationError(f"Invalid role {message.role[:50]!r}: use system, developer, user, assistant or tool.")
    calls = message.tool_calls or ()
    return ChatMessage(
        role=role,  # type: ignore[arg-type]  # checked above
        text=_text(message.content),
        calls=tuple(ToolCall(id=c.id, name=c.function.name, arguments=c.function.arguments) for c in calls),
        call_id=message.tool_call_id,
        name=message.name,
        reasoning=message.reasoning_content,
    )


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content or ""


def _tool(function: Function) -> ToolSpec:
    return ToolSpec(
        name=function.name,
        description=function.description or "",
        parameters=function.parameters or {"type": "object", "properties": {}},
    )


# --- answers ------------------------------------------------------------------------------------------------------


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
            case ToolCallEnd():
                return b""

    def _call(self, call: Mapping[str, Any]) -> bytes:
        return self._delta + _encode({"tool_calls": [call]}) + self._after

    def _finish(self, reason: str) -> bytes:
        last = self._delta + b'{},"finish_reason":' + _encode(reason) + b"}]" + self._end
        if self._include_usage and self._usage is not None:
            last += self._base + b',"choices":[],"usage":' + _encode(usage_body(self._usage)) + b"}\n\n"
        return last + DONE


def _completion(identity: str, model: str, created: int, events: Sequence[Event]) -> bytes:
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
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def error_body(message: str, kind: str, code: str | None) -> dict[str, Any]:
    return {"message": message, "type": kind, "param": None, "code": code}
