"""Requests of Ollama's own protocol, and its list of models.

https://docs.ollama.com/api/chat. Its OpenAI-compatible interface cuts a conversation to the server's default window
(often 4,096 tokens) and says nothing; here each request names the window it needs.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.files.inline import to_base64
from antiphon.providers.base import ChatMessage, File, ModelInfo, ModelRequest, ToolCall, ToolName, ToolSpec
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.arguments import as_object
from antiphon.providers.protocols.asking import given, with_one_system, with_order
from antiphon.providers.protocols.listing import entries
from antiphon.providers.protocols.ollama.decoder import OllamaDecoder

_BYTES_PER_TOKEN = (
    3  # few enough for other languages than English: too large a window costs memory, too small one words
)
_TOKENS_PER_IMAGE = 1_500
_ANSWER = 2_048
"""Tokens that are kept for an answer without a limit."""

_SMALLEST_WINDOW = 8_192


class Ollama(Struct, frozen=True):
    """The codec."""

    @property
    def models_path(self) -> str:
        return "api/tags"

    def path(self, _: ModelRequest, /) -> str:
        return "api/chat"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def encode(self, request: ModelRequest) -> bytes:
        tools, order = _choice(request)
        asked = with_one_system(request.messages)
        messages = [_message(message) for message in (with_order(asked, order) if order else asked)]
        body: dict[str, Any] = {"model": request.model, "messages": messages, "stream": True}
        if tools:
            body["tools"] = [_tool(tool) for tool in tools]
        if request.output is not None:
            body["format"] = dict(request.output.schema)
        if request.effort is not None:
            # Only gpt-oss has levels in all versions; the others think or do not.
            body["think"] = request.effort if "gpt-oss" in request.model else True
        options = given(
            num_ctx=_window(request, body),
            temperature=request.temperature,
            top_p=request.top_p,
            seed=request.seed,
            stop=request.stop or None,
            num_predict=request.max_tokens,
        )
        return msgspec.json.encode(body | {"options": options})

    def decoder(self, failures: Failures, payload: bytes, *, wait: float | None) -> OllamaDecoder:
        return OllamaDecoder(failures, payload, wait=wait)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        return tuple(map(_model, entries(body, "models", "name")))


def _choice(request: ModelRequest) -> tuple[tuple[ToolSpec, ...], str]:
    """The tools on offer, and in words what must be done with them: there is no field for it."""
    match request.tool_choice:
        case "none":
            return (), ""
        case "required" if request.tools:
            return request.tools, "Call at least one of your tools now."
        case ToolName(name=name):
            return tuple(tool for tool in request.tools if tool.name == name), f"Call the tool {name} now."
        case _:
            return request.tools, ""


def _window(request: ModelRequest, body: dict[str, Any]) -> int:
    """The smallest window, doubled until everything fits: Ollama loads a model anew whenever the size changes."""
    images = [image for message in body["messages"] for image in message.get("images", ())]
    text = len(msgspec.json.encode(body)) - sum(len(image) for image in images)
    needed = text // _BYTES_PER_TOKEN + len(images) * _TOKENS_PER_IMAGE + (request.max_tokens or _ANSWER)
    window = _SMALLEST_WINDOW
    while window < needed:
        window *= 2
    return window


def _message(message: ChatMessage) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.role == "tool":
        return wire | {"tool_name": message.name, "tool_call_id": message.call_id}
    if message.calls:
        wire["tool_calls"] = [_call(call) for call in message.calls]
        if message.reasoning:  # asked for again only while its tools are at work
            wire["thinking"] = message.reasoning
    if message.files:
        wire["content"] = "\n\n".join(filter(None, [message.text, *(_told(file) for file in message.files)]))
        if images := [to_base64(file.data) for file in message.files if _is_image(file) and file.data]:
            wire["images"] = images
    return wire


def _is_image(file: File) -> bool:
    return file.media_type.startswith("image/") and file.data is not None


def _told(file: File) -> str:
    """A file in words: its text, or that it cannot be seen, so that the model can say so."""
    if _is_image(file):
        return ""
    if file.media_type.startswith("text/") and file.data is not None:
        return f"File {file.name}:\n{file.data.decode('utf-8', 'replace')}"
    return f"(The file {file.name} is of a kind that you cannot read.)"


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": as_object(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _model(entry: dict[str, Any]) -> ModelInfo:
    able = entry.get("capabilities")
    return ModelInfo(id=entry["name"], tools=not isinstance(able, list) or "tools" in able)
