"""OpenAI's chat protocol, the server's side: bytes to a request, events to bytes.

Protocol: https://platform.openai.com/docs/api-reference/chat.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.domain import new_id
from antiphon.errors import ValidationError
from antiphon.providers.base import (
    DEMO,
    ChatMessage,
    Error,
    Event,
    ModelRequest,
    OutputSchema,
    ToolCall,
    ToolSpec,
)
from antiphon.providers.demo.faults import Refusal
from antiphon.providers.demo.wire.base import Asked, ErrorReply, Manner, wanted_form
from antiphon.providers.demo.wire.files import of_openai
from antiphon.providers.protocols.openai_chat.serving import Chunks, completion, error_body

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
    top_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    response_format: dict[str, Any] | None = None

    def request(self) -> ModelRequest:
        """The body as a provider sees it. `tool_choice` may forbid tools or leave one of them."""
        return ModelRequest(
            model=self.model,
            messages=tuple(_message(message) for message in self.messages),
            tools=tuple(_tool(tool.function) for tool in self.tools or () if self._allows(tool.function.name)),
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            max_tokens=self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens,
            output=self._output(),
        )

    def _output(self) -> OutputSchema | None:
        asked = self.response_format or {}
        form = asked.get("json_schema")
        if asked.get("type") != "json_schema" or not isinstance(form, Mapping):
            return None
        return wanted_form(form.get("schema"), form.get("name"))

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
        return completion(_identity(), asked.request.model, int(time.time()), events)

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
        files=tuple(of_openai(message.content)),
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
