"""Requests of the OpenAI chat-completions protocol, and its list of models.

https://platform.openai.com/docs/api-reference/chat. The deviations of vendors that must be known beforehand are
`Quirks`, all others the decoder takes as they come.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.providers.base import ChatMessage, File, ModelInfo, ModelRequest, ToolCall, ToolName
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.openai_chat.decoder import OpenAIChatDecoder
from antiphon.providers.protocols.openai_chat.quirks import Quirks

_SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


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
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [_message(message, quirks) for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.tools:
            body |= _tools(request)
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.max_tokens is not None:
            body[quirks.max_tokens] = request.max_tokens
        if request.output is not None:
            form = {"name": request.output.name, "schema": dict(request.output.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if quirks.reports_cost:
            body["usage"] = {"include": True}
        return msgspec.json.encode(body)

    def decoder(self, failures: Failures, payload: bytes, *, wait: float | None) -> OpenAIChatDecoder:
        return OpenAIChatDecoder(failures, self.quirks, payload, wait=wait)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        listing = msgspec.json.decode(body)
        entries = listing.get("data") if isinstance(listing, dict) else listing
        if not isinstance(entries, list):
            raise ValueError("no list of models")  # noqa: TRY004 - the body is wrong, not the caller's argument
        return tuple(_model(entry) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str))


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
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    wire: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.files:
        text = [{"type": "text", "text": message.text}] if message.text else []
        wire["content"] = [*text, *(_file(file) for file in message.files)]
    if message.calls:
        wire["content"] = message.text or None
        wire["tool_calls"] = [_call(call) for call in message.calls]
    if quirks.reasoning_details and message.opaque is not None:
        wire["reasoning_details"] = message.opaque
    return wire


def _file(file: File) -> dict[str, Any]:
    if file.media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": file.url or _inline(file)}}
    if file.media_type in _SOUNDS and file.data is not None:
        sound = {"data": b64encode(file.data).decode(), "format": _SOUNDS[file.media_type]}
        return {"type": "input_audio", "input_audio": sound}
    return {"type": "file", "file": {"filename": file.name, "file_data": file.url or _inline(file)}}


def _inline(file: File) -> str:
    return f"data:{file.media_type};base64,{b64encode(file.data or b'').decode()}"


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call.arguments)}}


def _arguments(text: str) -> str:
    # llama.cpp, vLLM and Ollama refuse a whole conversation for ever when one old call holds invalid JSON.
    try:
        if isinstance(msgspec.json.decode(text), dict):
            return text
    except (ValueError, RecursionError):
        pass
    return msgspec.json.encode({"invalid": text}).decode()


def _model(entry: dict[str, Any]) -> ModelInfo:
    sizes = (entry.get(field) for field in ("context_length", "context_window", "max_model_len"))
    context = next((size for size in sizes if isinstance(size, int) and size > 0), None)
    able = entry.get("supported_parameters")
    return ModelInfo(id=entry["id"], context=context, tools=not isinstance(able, list) or "tools" in able)
