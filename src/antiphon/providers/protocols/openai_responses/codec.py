"""Requests of the OpenAI responses protocol.

https://platform.openai.com/docs/api-reference/responses. Nothing is stored at the vendor: every request carries the
whole conversation, and reasoning goes back sealed to the model that made it.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.files.inline import to_base64
from antiphon.providers.base import ChatMessage, File, ModelInfo, ModelRequest, ToolName
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.arguments import as_object_text
from antiphon.providers.protocols.asking import SOUNDS, asked_model, fitting_id, given, inline, is_strict
from antiphon.providers.protocols.opaque import unsealed
from antiphon.providers.protocols.openai_chat.codec import list_models
from antiphon.providers.protocols.openai_responses.decoder import PROTOCOL, OpenAIResponsesDecoder

_REASONS = re.compile(r"(?:^|[/-])(?:o[1-9]|gpt-oss|gpt-[5-9](?!.*-chat))|codex|grok-(?!.*non-reasoning)")
"""Names of models that reason: of others it is a wrong request to ask for the reasoning itself."""


class OpenAIResponses(Struct, frozen=True):
    """The codec. What one `vendor` has sealed no other can open."""

    vendor: str = "openai"
    summaries: bool = True  # reasoning is told in short when an effort is asked for
    warmth: bool = False  # models that reason take a temperature too

    @property
    def models_path(self) -> str:
        return "models"

    def path(self, _: ModelRequest, /) -> str:
        return "responses"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def encode(self, request: ModelRequest) -> bytes:
        maker = self._maker(request.model)
        body: dict[str, Any] = {
            "model": request.model,
            "input": [item for message in request.messages for item in _items(message, maker)],
            "stream": True,
            "store": False,
        }
        if request.tools:
            body |= _tools(request)
        if request.output is not None:
            schema = dict(request.output.schema)
            form = {"type": "json_schema", "name": request.output.name, "schema": schema, "strict": is_strict(schema)}
            body["text"] = {"format": form}
        body |= given(max_output_tokens=request.max_tokens, prompt_cache_key=request.cache_key)
        return msgspec.json.encode(body | self._reasoning(request))

    def decoder(self, failures: Failures, payload: bytes, *, wait: float | None) -> OpenAIResponsesDecoder:
        return OpenAIResponsesDecoder(failures, payload, maker=self._maker(asked_model(payload)), wait=wait)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        return list_models(body)

    def _maker(self, model: str) -> str:
        return f"{self.vendor}:{model}"

    def _reasoning(self, request: ModelRequest) -> dict[str, Any]:
        """What differs between models that reason and others; who asks for an effort knows that this one does."""
        reasons = request.effort is not None or _REASONS.search(request.model) is not None
        fields: dict[str, Any] = {}
        if reasons:
            fields["include"] = ["reasoning.encrypted_content"]
        if request.effort is not None:
            fields["reasoning"] = {"effort": request.effort} | ({"summary": "auto"} if self.summaries else {})
        if self.warmth or not reasons:
            fields |= given(temperature=request.temperature, top_p=request.top_p)
        return fields


def _tools(request: ModelRequest) -> dict[str, Any]:
    tools = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
            "strict": is_strict(tool.parameters),
        }
        for tool in request.tools
    ]
    match request.tool_choice:
        case "auto":
            return {"tools": tools}
        case ToolName(name=name):
            return {"tools": tools, "tool_choice": {"type": "function", "name": name}}
        case choice:
            return {"tools": tools, "tool_choice": choice}


def _items(message: ChatMessage, maker: str) -> list[dict[str, Any]]:
    match message.role:
        case "tool":
            call_id = fitting_id(message.call_id)
            return [{"type": "function_call_output", "call_id": call_id, "output": message.text}]
        case "assistant":
            return _answer(message, maker)
        case role:
            text = [{"type": "input_text", "text": message.text}] if message.text else []
            content = [*text, *(_file(file) for file in message.files)] if message.files else message.text
            return [{"role": role, "content": content}]


def _answer(message: ChatMessage, maker: str) -> list[dict[str, Any]]:
    kept = [each["item"] for each in unsealed(PROTOCOL, message.opaque) or () if each["maker"] == maker]
    items = [item for item in kept if item["type"] == "reasoning"]
    if message.text:
        phases = [{"phase": item["phase"]} for item in kept if item["type"] == "message"]
        items.append({"role": "assistant", "content": message.text} | (phases[-1] if phases else {}))
    for call in message.calls:
        arguments = as_object_text(call.arguments)
        name, call_id = call.name, fitting_id(call.id)
        items.append({"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments})
    return items


def _file(file: File) -> dict[str, Any]:
    if file.media_type.startswith("image/"):
        return {"type": "input_image", "image_url": file.url or inline(file)}
    if file.media_type in SOUNDS and file.data is not None:
        sound = {"data": to_base64(file.data), "format": SOUNDS[file.media_type]}
        return {"type": "input_audio", "input_audio": sound}
    if file.url is not None:
        return {"type": "input_file", "file_url": file.url}
    return {"type": "input_file", "filename": file.name, "file_data": inline(file)}
