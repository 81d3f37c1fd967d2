"""The OpenAI chat-completions protocol without I/O: a request to bytes (`openai_decoder` reads the answer).

https://platform.openai.com/docs/api-reference/chat. Spoken by OpenAI, Ollama, llama.cpp, LM Studio, vLLM, OpenRouter
and nearly every gateway, each with its own deviations: the few that must be known beforehand are `Quirks`, all others
the decoder takes as they come.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from antiphon.providers.base import ChatMessage, ModelRequest, ToolCall

PATH = "chat/completions"


class Quirks(Struct, frozen=True, kw_only=True):
    """How one vendor differs from the others."""

    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    reports_cost: bool = False  # `usage.cost` in US dollars, asked for in the request
    reasoning_details: bool = False  # signed reasoning that must go back unchanged


def encode(request: ModelRequest, quirks: Quirks) -> bytes:
    """The body of the HTTP request. Raises ValueError when a text cannot be sent."""
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_message(message, quirks) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
            }
            for tool in request.tools
        ]
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        body[quirks.max_tokens] = request.max_tokens
    if quirks.reports_cost:
        body["usage"] = {"include": True}
    return msgspec.json.encode(body)


def _message(message: ChatMessage, quirks: Quirks) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    wire: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.calls:
        wire["content"] = message.text or None
        wire["tool_calls"] = [_call(call) for call in message.calls]
    if quirks.reasoning_details and message.opaque is not None:
        wire["reasoning_details"] = message.opaque
    return wire


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
