"""Ollama's own protocol, the server's side: bytes to a request, events to lines.

https://docs.ollama.com/api/chat. A call has an object for arguments, comes whole and may lack its id.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from antiphon.domain import Usage, now
from antiphon.errors import ValidationError
from antiphon.providers.base import (
    DEMO,
    ChatMessage,
    Error,
    Event,
    Finish,
    ModelRequest,
    RateReport,
    ReasoningDelta,
    Remark,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolSpec,
    UsageReport,
)
from antiphon.providers.demo.faults import Refusal
from antiphon.providers.demo.wire.base import Asked, ErrorReply, Manner, wanted_form
from antiphon.providers.demo.wire.files import unnamed
from antiphon.providers.protocols.arguments import as_object

_REASONS: Mapping[str, str] = {"length": "length", "filtered": "content_filter"}
_TEXTS = {
    "quota": "you've reached your weekly usage limit, please upgrade to continue",
    "too_long": "the input length exceeds the context length",
}


class TalkFunction(Struct, frozen=True):
    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    arguments: dict[str, Any] = {}


class TalkTool(Struct, frozen=True):
    """A tool that is offered, or a call of one."""

    function: TalkFunction
    id: str = ""


class TalkMessage(Struct, frozen=True):
    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: list[TalkTool] = []
    tool_name: str | None = None
    tool_call_id: str | None = None
    images: list[str] = []


class TalkOptions(Struct, frozen=True):
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: list[str] = []
    num_predict: int | None = None


class TalkBody(Struct, frozen=True):
    """The body of `POST /api/chat`, as far as the demo model reads it."""

    model: str
    messages: list[TalkMessage] = []
    tools: list[TalkTool] = []
    stream: bool = True
    think: bool | Literal["low", "medium", "high", "max"] | None = None
    options: TalkOptions = TalkOptions()
    format: dict[str, Any] | str | None = None


_decoder = msgspec.json.Decoder(TalkBody)


class OllamaWire:
    """Ollama's chat."""

    manner = Manner(asks=("/api/chat",), lists=("/api/tags",), content_type="application/x-ndjson")

    def read(self, body: bytes, _: Mapping[str, str]) -> Asked:
        try:
            read = _decoder.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValidationError(f"The body is not a request for a chat: {error}") from error
        request = ModelRequest(
            model=read.model,
            messages=tuple(_message(message) for message in read.messages),
            tools=tuple(_tool(tool.function) for tool in read.tools),
            temperature=read.options.temperature,
            top_p=read.options.top_p,
            seed=read.options.seed,
            stop=tuple(read.options.stop),
            max_tokens=read.options.num_predict,
            output=wanted_form(read.format),
        )
        return Asked(request=request, stream=read.stream)

    def encoder(self, asked: Asked) -> "LinesEncoder":
        return LinesEncoder(asked.request.model)

    def whole(self, asked: Asked, events: Sequence[Event]) -> bytes:
        if isinstance(events[-1], Error):
            return msgspec.json.encode({"error": events[-1].public})
        message: dict[str, Any] = {
            "content": "".join(event.text for event in events if isinstance(event, TextDelta)),
            "thinking": "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
            "tool_calls": [_called(event) for event in events if isinstance(event, ToolCallEnd)],
        }
        encoder = LinesEncoder(asked.request.model)
        for event in events[:-1]:
            encoder.encode(event)
        ending = events[-1]
        reason = ending.reason if isinstance(ending, Finish) else "stop"
        return encoder.last(reason, **{field: value for field, value in message.items() if value})

    def refuse(self, refusal: Refusal) -> ErrorReply:
        status = 503 if refusal.kind == "overload" else refusal.status
        text, wait = _TEXTS.get(refusal.kind, refusal.public), refusal.retry_after
        return ErrorReply(
            status=status,
            body=msgspec.json.encode({"error": text}),
            headers={} if wait is None else {"Retry-After": f"{wait:.0f}"},
        )

    def models(self) -> bytes:
        entry = {"name": DEMO, "model": DEMO, "size": 0, "capabilities": ["completion", "tools", "thinking"]}
        return msgspec.json.encode({"models": [entry]})


def _message(message: TalkMessage) -> ChatMessage:
    calls = (
        ToolCall(id=call.id, name=call.function.name, arguments=msgspec.json.encode(call.function.arguments).decode())
        for call in message.tool_calls
    )
    return ChatMessage(
        role=message.role,
        text=message.content,
        calls=tuple(calls),
        call_id=message.tool_call_id,
        name=message.tool_name,
        files=tuple(unnamed(image) for image in message.images),
    )


def _tool(function: TalkFunction) -> ToolSpec:
    return ToolSpec(name=function.name, description=function.description, parameters=function.parameters)


def _called(event: ToolCallEnd) -> dict[str, Any]:
    function = {"index": 0, "name": event.call.name, "arguments": as_object(event.call.arguments)}
    return {"function": function} | ({"id": event.call.id} if event.call.id else {})


class LinesEncoder:
    """Encodes the events of one stream, each as a line of its own."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._usage = Usage()

    def first(self) -> bytes:
        return b""

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return self._line({"content": text})
            case ReasoningDelta(text):
                return self._line({"content": "", "thinking": text})
            case ToolCallEnd():
                return self._line({"content": "", "tool_calls": [_called(event)]})
            case ToolCallStart() | ToolCallDelta() | Remark() | RateReport():
                return b""
            case UsageReport(usage):
                self._usage = usage
                return b""
            case Finish(reason):
                return self.last(reason)
            case Error():
                return msgspec.json.encode({"error": event.public}) + b"\n"

    def last(self, reason: str, **message: Any) -> bytes:
        """The line that says why the answer ends and what it cost."""
        counts = {"prompt_eval_count": self._usage.input_tokens, "eval_count": self._usage.output_tokens}
        ending = {"done_reason": _REASONS.get(reason, "stop"), "total_duration": 1, **counts}
        return self._line({"content": "", **message}, done=True, **ending)

    def _line(self, message: dict[str, Any], *, done: bool = False, **fields: Any) -> bytes:
        said = {"role": "assistant", **message}
        line = {"model": self._model, "created_at": now(), "message": said, "done": done, **fields}
        return msgspec.json.encode(line) + b"\n"
