"""Requests of the OpenAI chat-completions protocol, and its list of models.

https://platform.openai.com/docs/api-reference/chat. The deviations of vendors that must be known beforehand are
`Quirks`, all others the decoder takes as they come.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.files.inline import to_base64
from antiphon.providers.base import ChatMessage, File, ModelInfo, ModelRequest, OutputSchema, ToolCall, ToolName
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.arguments import as_object_text
from antiphon.providers.protocols.asking import (
    SOUNDS,
    fitting_id,
    given,
    in_words,
    inline,
    is_strict,
    with_one_system,
    with_order,
)
from antiphon.providers.protocols.listing import entries, window
from antiphon.providers.protocols.opaque import unsealed
from antiphon.providers.protocols.openai_chat.decoder import PROTOCOL, OpenAIChatDecoder
from antiphon.providers.protocols.openai_chat.quirks import Quirks

_MOST_MARKS = 4
"""Places that Anthropic keeps for one request."""


class OpenAIChat(Struct, frozen=True):
    """The codec, as the vendor with these `quirks` speaks it."""

    quirks: Quirks = Quirks()

    @property
    def models_path(self) -> str:
        return "models"

    def path(self, _: ModelRequest, /) -> str:
        return "chat/completions"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def encode(self, request: ModelRequest) -> bytes:
        quirks = self.quirks
        form = self._form(request)
        messages = with_one_system(request.messages)
        if request.output is not None and form.get("type") != "json_schema":
            messages = with_order(messages, in_words(request.output))
        body: dict[str, Any] = {"model": request.model, "messages": self._messages(messages), "stream": True}
        if request.model.startswith(quirks.marks_for):
            _mark(body["messages"], messages)
        if quirks.stream_options:
            body["stream_options"] = {"include_usage": True}
        if request.tools:
            body |= _tools(request)
        if form:
            body["response_format"] = form
        return msgspec.json.encode(body | self._settings(request))

    def decoder(self, failures: Failures, payload: bytes, *, wait: float | None) -> OpenAIChatDecoder:
        return OpenAIChatDecoder(failures, self.quirks, payload, wait=wait)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        return list_models(body)

    def _messages(self, messages: Iterable[ChatMessage]) -> list[dict[str, Any]]:
        wire: list[dict[str, Any]] = []
        for message in messages:
            if self.quirks.answers_tools and message.role == "user" and wire and wire[-1]["role"] == "tool":
                wire.append({"role": "assistant", "content": "…"})
            wire.append(_message(message, self.quirks))
        return wire

    def _form(self, request: ModelRequest) -> dict[str, Any]:
        """The form of the answer as a field; empty when there is none to ask for or no field for it."""
        if request.output is None or (request.tools and not self.quirks.output_with_tools):
            return {}
        return {"type": "json_object"} if self.quirks.output == "object" else _schema(request.output)

    def _settings(self, request: ModelRequest) -> dict[str, Any]:
        quirks, fields = self.quirks, dict[str, Any]()
        if request.effort is not None:
            effort = quirks.efforts.get(request.effort, request.effort)
            fields[quirks.effort] = {"effort": effort} if quirks.effort == "reasoning" else effort
        if quirks.cache_key is not None:
            fields[quirks.cache_key] = request.cache_key
        if quirks.reports_cost:
            fields["usage"] = {"include": True}
        fields |= {quirks.seed: request.seed, quirks.max_tokens: request.max_tokens}
        stop = request.stop if request.stop and quirks.stops else None
        return given(temperature=request.temperature, top_p=request.top_p, stop=stop, **fields)


def list_models(body: bytes) -> tuple[ModelInfo, ...]:
    """The models of a list as OpenAI gives it. Raises ValueError when it is none."""
    return tuple(map(_model, entries(body, "data", "id", bare=True)))


def _schema(output: OutputSchema) -> dict[str, Any]:
    schema = dict(output.schema)
    strict = {"strict": True} if is_strict(schema) else {}
    return {"type": "json_schema", "json_schema": {"name": output.name, "schema": schema} | strict}


def _tools(request: ModelRequest) -> dict[str, Any]:
    tools = [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
        }
        for tool in request.tools
    ]
    match request.tool_choice:
        case "auto":
            return {"tools": tools}
        case ToolName(name=name):
            return {"tools": tools, "tool_choice": {"type": "function", "function": {"name": name}}}
        case choice:
            return {"tools": tools, "tool_choice": choice}


def _message(message: ChatMessage, quirks: Quirks) -> dict[str, Any]:
    if message.role == "tool":
        call_id = fitting_id(message.call_id, nine=quirks.nine_ids)
        return {"role": "tool", "tool_call_id": call_id, "content": message.text}
    wire: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.files:
        text = [{"type": "text", "text": message.text}] if message.text else []
        wire["content"] = [*text, *(_file(file) for file in message.files)]
    if message.role == "assistant":
        wire |= _answer(message, quirks)
    return wire


def _answer(message: ChatMessage, quirks: Quirks) -> dict[str, Any]:
    """What only a model's own message holds: its calls, and its reasoning where the vendor wants that back."""
    fields: dict[str, Any] = {}
    if message.calls:
        fields["content"] = message.text or None
        fields["tool_calls"] = [_call(call, quirks) for call in message.calls]
    if quirks.reasoning_back == "always" or (quirks.reasoning_back == "given" and message.reasoning):
        fields["reasoning_content"] = message.reasoning or ""
    if quirks.reasoning_details and (signed := unsealed(PROTOCOL, message.opaque)):
        fields["reasoning_details"] = signed
    return fields


def _mark(wire: list[dict[str, Any]], messages: tuple[ChatMessage, ...]) -> None:
    """Asks the vendor to keep everything up to the last messages that are marked."""
    kept = [place for place, message in enumerate(messages) if message.keep and (message.text or message.files)]
    for place in kept[-_MOST_MARKS:]:
        content = wire[place]["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        parts[-1] = {**parts[-1], "cache_control": {"type": "ephemeral"}}
        wire[place]["content"] = parts


def _file(file: File) -> dict[str, Any]:
    if file.media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": file.url or inline(file)}}
    if file.media_type in SOUNDS and file.data is not None:
        sound = {"data": to_base64(file.data), "format": SOUNDS[file.media_type]}
        return {"type": "input_audio", "input_audio": sound}
    return {"type": "file", "file": {"filename": file.name, "file_data": file.url or inline(file)}}


def _call(call: ToolCall, quirks: Quirks) -> dict[str, Any]:
    function = {"name": call.name, "arguments": as_object_text(call.arguments)}
    return {"id": fitting_id(call.id, nine=quirks.nine_ids), "type": "function", "function": function}


def _model(entry: dict[str, Any]) -> ModelInfo:
    context = window(entry, "context_length", "context_window", "max_model_len")
    able = entry.get("supported_parameters")
    return ModelInfo(id=entry["id"], context=context, tools=not isinstance(able, list) or "tools" in able)
