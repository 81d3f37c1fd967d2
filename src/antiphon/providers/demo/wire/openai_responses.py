"""OpenAI's responses protocol, the server's side: bytes to a request, events to bytes.

https://platform.openai.com/docs/api-reference/responses. What the vendor refuses is refused here too: sealed reasoning
that was changed, calls without results, results without calls.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.domain import Usage, new_id
from antiphon.errors import ValidationError
from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    Finish,
    ModelRequest,
    OutputSchema,
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
from antiphon.providers.demo.wire.files import of_openai
from antiphon.providers.demo.wire.openai_chat import OpenAIChatWire
from antiphon.providers.demo.wire.signing import is_signed, signature
from antiphon.providers.demo.wire.sse import server_event

_INCOMPLETE: Mapping[str, str] = {"length": "max_output_tokens", "filtered": "content_filter"}
_Item = dict[str, Any]
_WITHIN: Mapping[str, Mapping[str, int]] = {"message": {"content_index": 0}, "reasoning": {"summary_index": 0}}


class ResponsesTool(Struct, frozen=True):
    name: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ResponsesBody(Struct, frozen=True):
    """The body of `POST /v1/responses`, as far as the demo model reads it."""

    model: str
    input: str | list[_Item]
    stream: bool = False
    tools: list[ResponsesTool] = []
    tool_choice: Any = "auto"
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    text: dict[str, Any] = {}


def _output(form: Any) -> OutputSchema | None:
    if not isinstance(form, Mapping) or form.get("type") != "json_schema":
        return None
    return wanted_form(form.get("schema"), form.get("name"))


_decoder = msgspec.json.Decoder(ResponsesBody)
_chat = OpenAIChatWire()


class OpenAIResponsesWire:
    """Responses. Errors and the list of models are those of chat completions."""

    manner = Manner(asks=("/v1/responses",), lists=_chat.manner.lists)

    def read(self, body: bytes, _: Mapping[str, str]) -> Asked:
        try:
            read = _decoder.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValidationError(f"The body is not a request for a response: {error}") from error
        items = [{"role": "user", "content": read.input}] if isinstance(read.input, str) else read.input
        _check(items)
        request = ModelRequest(
            model=read.model,
            messages=tuple(_messages(items)),
            tools=tuple(_tool(tool) for tool in read.tools if _allows(read.tool_choice, tool.name)),
            temperature=read.temperature,
            top_p=read.top_p,
            max_tokens=read.max_output_tokens,
            output=_output(read.text.get("format")),
        )
        return Asked(request=request, stream=read.stream)

    def encoder(self, asked: Asked) -> "ResponsesEncoder":
        return ResponsesEncoder(asked.request.model)

    def whole(self, asked: Asked, events: Sequence[Event]) -> bytes:
        encoder = ResponsesEncoder(asked.request.model)
        for event in events:
            encoder.encode(event)
        if isinstance(events[-1], Error):
            return msgspec.json.encode({"error": {"code": "server_error", "message": events[-1].public}})
        return msgspec.json.encode(encoder.response)

    def refuse(self, refusal: Refusal) -> ErrorReply:
        return _chat.refuse(refusal)

    def models(self) -> bytes:
        return _chat.models()


# --- requests -----------------------------------------------------------------------------------------------------


def _check(items: Sequence[_Item]) -> None:
    calls = {item.get("call_id") for item in items if item.get("type") == "function_call"}
    results = {item.get("call_id") for item in items if item.get("type") == "function_call_output"}
    if without := calls - results:
        raise ValidationError(f"No tool output found for function call {min(map(str, without))}.")
    if without := results - calls:
        raise ValidationError(f"No tool call found for function call output with call_id {min(map(str, without))}.")
    for place, item in enumerate(items):
        if item.get("type") == "reasoning":
            if not is_signed(_text(item.get("summary")), item.get("encrypted_content")):
                raise ValidationError(f"input[{place}]: The encrypted content could not be verified.")
            if place + 1 == len(items) or items[place + 1].get("role") == "user":
                raise ValidationError(f"input[{place}]: reasoning was provided without its required following item.")


def _messages(items: Sequence[_Item]) -> Iterator[ChatMessage]:
    """What a model said and called at one time is one message, as everywhere else."""
    said: list[str] = []
    calls: list[ToolCall] = []
    for item in items:
        kind = item.get("type", "message")
        if kind == "message" and item.get("role") == "assistant":
            said.append(_text(item.get("content")))
        elif kind == "function_call":
            calls.append(ToolCall(id=item["call_id"], name=item["name"], arguments=item["arguments"]))
        elif kind != "reasoning":
            if said or calls:
                yield ChatMessage(role="assistant", text="".join(said), calls=tuple(calls))
                said, calls = [], []
            yield _other(item, kind)
    if said or calls:
        yield ChatMessage(role="assistant", text="".join(said), calls=tuple(calls))


def _other(item: _Item, kind: str) -> ChatMessage:
    if kind == "function_call_output":
        return ChatMessage(role="tool", text=_text(item.get("output")), call_id=item.get("call_id"))
    match item.get("role"):
        case "user" if kind == "message":
            content = item.get("content")
            return ChatMessage(role="user", text=_text(content), files=tuple(of_openai(content)))
        case "system" | "developer" if kind == "message":
            return ChatMessage(role="system", text=_text(item.get("content")))
    raise ValidationError(f"Invalid item {kind[:50]!r} of {str(item.get('role'))[:50]!r}.")


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n\n".join(part["text"] for part in content if isinstance(part, dict) and "text" in part)
    return content if isinstance(content, str) else ""


def _tool(tool: ResponsesTool) -> ToolSpec:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return ToolSpec(name=tool.name, description=tool.description or "", parameters=parameters)


def _allows(choice: Any, name: str) -> bool:
    return bool(choice.get("name", name) == name) if isinstance(choice, dict) else choice != "none"


# --- answers ------------------------------------------------------------------------------------------------------


class ResponsesEncoder:
    """Encodes the events of one stream as items: reasoning, a message and each call are one, one after the other."""

    def __init__(self, model: str) -> None:
        self.response: _Item = {
            "id": f"resp_{new_id()}", "object": "response", "created_at": int(time.time()), "model": model,
            "status": "in_progress", "output": [], "error": None, "incomplete_details": None, "usage": None,
        }  # fmt: skip
        self._number = -1
        self._item: _Item | None = None
        self._pieces: list[str] = []

    def first(self) -> bytes:
        begun = self._event("response.created", response=self.response)
        return begun + self._event("response.in_progress", response=self.response)

    def encode(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return self._within("message", {"role": "assistant", "content": []}) + self._piece("output_text", text)
            case ReasoningDelta(text):
                opened = self._within("reasoning", {"summary": []})
                return opened + self._piece("reasoning_summary_text", text)
            case ToolCallStart(_, call_id, name):
                return self._shut() + self._open("function_call", {"call_id": call_id, "name": name, "arguments": ""})
            case ToolCallDelta(_, arguments):
                return self._piece("function_call_arguments", arguments)
            case ToolCallEnd():
                return self._shut()
            case UsageReport(usage):
                self.response["usage"] = _usage_body(usage)
                return b""
            case Finish(reason):
                return self._finish(reason)
            case Remark() | RateReport():
                return b""
            case Error():
                return self._event("error", code="server_error", message=event.public, param=None)

    def _finish(self, reason: str) -> bytes:
        shut = self._shut()
        why = _INCOMPLETE.get(reason)
        self.response["status"] = status = "incomplete" if why else "completed"
        self.response["incomplete_details"] = {"reason": why} if why else None
        return shut + self._event(f"response.{status}", response=self.response)

    def _within(self, kind: str, fields: _Item) -> bytes:
        if self._item is not None and self._item["type"] == kind:
            return b""
        opened = self._shut() + self._open(kind, fields)
        if kind == "message":
            part = {"type": "output_text", "text": "", "annotations": []}
            return opened + self._event("response.content_part.added", **self._place(), part=part)
        part = {"type": "summary_text", "text": ""}
        return opened + self._event("response.reasoning_summary_part.added", **self._place(), part=part)

    def _open(self, kind: str, fields: _Item) -> bytes:
        self._item = {"type": kind, "id": f"{kind}_{new_id()}", "status": "in_progress", **fields}
        return self._event("response.output_item.added", **self._place(), item=self._item)

    def _piece(self, kind: str, text: str) -> bytes:
        self._pieces.append(text)
        return self._event(f"response.{kind}.delta", **self._place(), delta=text)

    def _shut(self) -> bytes:
        item, whole = self._item, "".join(self._pieces)
        if item is None:
            return b""
        match item["type"]:
            case "message":
                item["content"] = [{"type": "output_text", "text": whole, "annotations": []}]
            case "reasoning":
                item |= {"summary": [{"type": "summary_text", "text": whole}], "encrypted_content": signature(whole)}
            case _:
                item["arguments"] = whole or "{}"
        item["status"] = "completed"
        done = self._event("response.output_item.done", **self._place(), item=item)
        self.response["output"].append(item)
        self._item = None
        self._pieces.clear()
        return done

    def _place(self) -> _Item:
        item = self._item or {}
        return {
            "output_index": len(self.response["output"]),
            "item_id": item.get("id"),
            **_WITHIN.get(item.get("type", ""), {}),
        }

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._number += 1
        return server_event({"type": kind, "sequence_number": self._number, **fields}, kind)


def _usage_body(usage: Usage) -> _Item:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
