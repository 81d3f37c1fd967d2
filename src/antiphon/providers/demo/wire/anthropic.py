"""Anthropic's messages protocol, the server's side: bytes to a request, events to bytes.

https://platform.claude.com/docs/en/api/messages. What the vendor refuses is refused here too: thinking that was
changed, calls without results, empty text, more than four marks for its cache.
"""

from collections.abc import Iterator, Mapping, Sequence
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
    File,
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
from antiphon.providers.demo.wire.files import at, held
from antiphon.providers.demo.wire.signing import is_signed, signature
from antiphon.providers.demo.wire.sse import server_event

_STOPS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "filtered": "refusal",
}
_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    404: "not_found_error",
    410: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
_MOST_MARKS = 4
_Block = dict[str, Any]


class MessagesTool(Struct, frozen=True):
    name: str
    description: str = ""
    input_schema: dict[str, Any] = {}


class MessagesTurn(Struct, frozen=True):
    role: str
    content: str | list[_Block]

    @property
    def blocks(self) -> list[_Block]:
        return [{"type": "text", "text": self.content}] if isinstance(self.content, str) else self.content


class MessagesBody(Struct, frozen=True):
    """The body of `POST /v1/messages`, as far as the demo model reads it."""

    model: str
    max_tokens: int
    messages: list[MessagesTurn]
    system: str | list[_Block] = ""
    stream: bool = False
    tools: list[MessagesTool] = []
    tool_choice: dict[str, Any] = {}
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] = []
    output_config: dict[str, Any] = {}


_decoder = msgspec.json.Decoder(MessagesBody)


class AnthropicWire:
    """Messages."""

    manner = Manner(
        asks=("/v1/messages",), lists=("/v1/models",), key_header="x-api-key", key_prefix="", anthropic_limits=True
    )

    def read(self, body: bytes, _: Mapping[str, str]) -> Asked:
        try:
            read = _decoder.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValidationError(f"The body is not a request for a message: {error}") from error
        if body.count(b'"cache_control"') > _MOST_MARKS:
            raise ValidationError(f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided.")
        system = read.system if isinstance(read.system, str) else "".join(_text(block) for block in read.system)
        first = [ChatMessage(role="system", text=system)] if system else []
        _check(read.messages)
        request = ModelRequest(
            model=read.model,
            messages=(*first, *(message for turn in read.messages for message in _messages(turn))),
            tools=tuple(_tool(tool) for tool in read.tools if _allows(read.tool_choice, tool.name)),
            temperature=read.temperature,
            top_p=read.top_p,
            stop=tuple(read.stop_sequences),
            max_tokens=read.max_tokens,
            output=wanted_form((read.output_config.get("format") or {}).get("schema")),
        )
        return Asked(request=request, stream=read.stream)

    def encoder(self, asked: Asked) -> "MessagesEncoder":
        return MessagesEncoder(asked.request.model)

    def whole(self, asked: Asked, events: Sequence[Event]) -> bytes:
        encoder = MessagesEncoder(asked.request.model)
        content, ending = list(_whole_blocks(events)), events[-1]
        if isinstance(ending, Error):
            return msgspec.json.encode(_error("api_error", ending.public))
        usage = next((event.usage for event in events if isinstance(event, UsageReport)), Usage())
        stop = _STOPS[ending.reason] if isinstance(ending, Finish) else None
        return msgspec.json.encode(
            {**encoder.message, "content": content, "stop_reason": stop, "usage": _usage_body(usage)}
        )

    def refuse(self, refusal: Refusal) -> ErrorReply:
        status, kind = refusal.status, _TYPES.get(refusal.status, "invalid_request_error")
        text, wait = refusal.public, refusal.retry_after
        if refusal.kind == "quota":
            status, kind, text = 400, "invalid_request_error", "Your credit balance is too low to access the API."
        elif refusal.kind == "overload" and status == 429:
            status, kind = 529, "overloaded_error"
        elif refusal.excess is not None:
            text = f"prompt is too long: {refusal.excess.asked} tokens > {refusal.excess.most} maximum"
        return ErrorReply(
            status=status,
            body=msgspec.json.encode(_error(kind, text)),
            headers={} if wait is None else {"retry-after": f"{wait:.0f}"},
        )

    def models(self) -> bytes:
        entry = {"type": "model", "id": DEMO, "display_name": "Demo", "created_at": "1970-01-01T00:00:00Z"}
        return msgspec.json.encode({"data": [entry], "has_more": False, "first_id": DEMO, "last_id": DEMO})


# --- requests -----------------------------------------------------------------------------------------------------


def _check(turns: Sequence[MessagesTurn]) -> None:
    for number, turn in enumerate(turns):
        answered = (
            {block.get("tool_use_id") for block in turns[number + 1].blocks} if number + 1 < len(turns) else set()
        )
        for place, block in enumerate(turn.blocks):
            where = f"messages.{number}.content.{place}"
            match block.get("type"):
                case "thinking" if not is_signed(str(block.get("thinking")), block.get("signature")):
                    raise ValidationError(f"{where}: Invalid `signature` in `thinking` block")
                case "tool_use" if block.get("id") not in answered:
                    raise ValidationError(f"{where}: `tool_use` ids were found without `tool_result` blocks after")
                case "text" if not _text(block).strip():
                    raise ValidationError(f"{where}: text content blocks must contain non-whitespace text")


def _messages(turn: MessagesTurn) -> Iterator[ChatMessage]:
    blocks = turn.blocks
    text = "".join(_text(block) for block in blocks if block.get("type") == "text")
    if turn.role == "assistant":
        calls = tuple(
            ToolCall(id=block["id"], name=block["name"], arguments=msgspec.json.encode(block["input"]).decode())
            for block in blocks
            if block.get("type") == "tool_use"
        )
        yield ChatMessage(role="assistant", text=text, calls=calls)
        return
    if turn.role != "user":
        raise ValidationError(f"Invalid role {turn.role[:50]!r}: use user or assistant.")
    for block in blocks:
        if block.get("type") == "tool_result":
            content = block.get("content", "")
            said = content if isinstance(content, str) else "".join(_text(part) for part in content)
            yield ChatMessage(role="tool", text=said, call_id=block.get("tool_use_id"))
    files = tuple(_file(block) for block in blocks if block.get("type") in {"image", "document"})
    if text or files:
        yield ChatMessage(role="user", text=text, files=files)


def _file(block: _Block) -> File:
    match block:
        case {"source": {"type": "base64", "media_type": kind, "data": data}}:
            return held(str(kind), data, str(block.get("title", "")))
        case {"source": {"type": "url", "url": url}}:
            return at(url)
    raise ValidationError("The source of an image or a document is base64 or url.")


def _text(block: _Block) -> str:
    text = block.get("text")
    return text if isinstance(text, str) else ""


def _tool(tool: MessagesTool) -> ToolSpec:
    return ToolSpec(name=tool.name, description=tool.description, parameters=tool.input_schema)


def _allows(choice: Mapping[str, Any], name: str) -> bool:
    return choice.get("type") != "none" and choice.get("name", name) == name


# --- answers ------------------------------------------------------------------------------------------------------


class MessagesEncoder:
    """Encodes the events of one stream as blocks: thinking, text and each call are one, one after the other."""

    def __init__(self, model: str) -> None:
        self.message: dict[str, Any] = {
            "id": f"msg_{new_id()}", "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": _usage_body(Usage()),
        }  # fmt: skip
        self._index = -1
        self._kind: str | None = None
        self._thought: list[str] = []
        self._usage = Usage()

    def first(self) -> bytes:
        return _named({"type": "message_start", "message": self.message}) + _named({"type": "ping"})

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return self._within("text", {"text": ""}) + self._delta("text_delta", "text", text)
            case ReasoningDelta(text):
                opened = self._within("thinking", {"thinking": "", "signature": ""})
                self._thought.append(text)
                return opened + self._delta("thinking_delta", "thinking", text)
            case ToolCallStart(_, call_id, name):
                return self._shut() + self._open("tool_use", {"id": call_id, "name": name, "input": {}})
            case ToolCallDelta(_, arguments):
                return self._delta("input_json_delta", "partial_json", arguments)
            case ToolCallEnd():
                return self._shut()
            case UsageReport(usage):
                self._usage = usage
                return b""
            case Finish(reason):
                delta = {"stop_reason": _STOPS[reason], "stop_sequence": None}
                last = {"type": "message_delta", "delta": delta, "usage": _usage_body(self._usage)}
                return self._shut() + _named(last) + _named({"type": "message_stop"})
            case Remark() | RateReport():
                return b""
            case Error():
                return _named(_error("api_error", event.public))

    def _within(self, kind: str, fields: _Block) -> bytes:
        return b"" if self._kind == kind else self._shut() + self._open(kind, fields)

    def _open(self, kind: str, fields: _Block) -> bytes:
        self._index += 1
        self._kind = kind
        block = {"type": kind, **fields}
        return _named({"type": "content_block_start", "index": self._index, "content_block": block})

    def _shut(self) -> bytes:
        if self._kind is None:
            return b""
        signed = b""
        if self._kind == "thinking":
            signed = self._delta("signature_delta", "signature", signature("".join(self._thought)))
            self._thought.clear()
        self._kind = None
        return signed + _named({"type": "content_block_stop", "index": self._index})

    def _delta(self, kind: str, field: str, text: str) -> bytes:
        delta = {"type": kind, field: text}
        return _named({"type": "content_block_delta", "index": self._index, "delta": delta})


def _named(document: _Block) -> bytes:
    return server_event(document, document["type"])


def _whole_blocks(events: Sequence[Event]) -> Iterator[_Block]:
    if thought := "".join(event.text for event in events if isinstance(event, ReasoningDelta)):
        yield {"type": "thinking", "thinking": thought, "signature": signature(thought)}
    if text := "".join(event.text for event in events if isinstance(event, TextDelta)):
        yield {"type": "text", "text": text}
    for event in events:
        if isinstance(event, ToolCallEnd):
            call = event.call
            yield {"type": "tool_use", "id": call.id, "name": call.name, "input": msgspec.Raw(call.arguments.encode())}


def _usage_body(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{new_id()}"}
