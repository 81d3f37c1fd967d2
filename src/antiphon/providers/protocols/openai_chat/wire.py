"""The OpenAI chat-completions answer as it is on the wire, typed only as far as real servers agree.

https://platform.openai.com/docs/api-reference/chat: a chunk of a stream and a whole answer share one shape. Leaves are
`Any` because vendors send numbers for strings, objects for JSON text and lists of parts for text.
"""

from typing import Any

import msgspec
from msgspec import Struct

from antiphon.domain import Usage
from antiphon.providers.protocols.counts import count, details


class WireFunction(Struct, gc=False):
    name: Any = None
    arguments: Any = None


class WireCall(Struct, gc=False):
    index: Any = None
    id: Any = None
    function: WireFunction | None = None


class WireMessage(Struct, gc=False):
    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    tool_calls: list[WireCall] | None = None


class WireChoice(Struct, gc=False):
    index: Any = 0
    delta: WireMessage | None = None
    message: WireMessage | None = None
    finish_reason: Any = None


class WireChunk(Struct, gc=False):
    choices: list[WireChoice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None


CHUNK = msgspec.json.Decoder(WireChunk)


def read_text(value: Any) -> str:
    """The text of a field that is a string, null, a part, or a list of parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "" if value.get("type") == "thinking" else read_text(value.get("text"))
    if isinstance(value, list):
        return "".join([read_text(part) for part in value])
    return ""


def read_reasoning(message: WireMessage) -> str:
    """Visible reasoning, from the first of its fields that holds any; servers that change its name send it in two."""
    if text := read_text(message.reasoning_content) or read_text(message.reasoning):
        return text
    if message.reasoning_details:
        return read_text(message.reasoning_details)
    if isinstance(message.content, list):
        parts = [part for part in message.content if isinstance(part, dict) and part.get("type") == "thinking"]
        return "".join([read_text(part.get("thinking")) for part in parts])
    return ""


_MOST_DOLLARS = 1e6  # for one answer; what is more is no bill


def read_arguments(value: Any) -> str:
    """Arguments as JSON text, also of the servers that send the object itself."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else ""


def read_usage(usage: dict[str, Any], *, with_cost: bool) -> Usage:
    """The vendor's count of tokens, whatever it leaves out."""
    prompt, completion = details(usage, "prompt_tokens_details"), details(usage, "completion_tokens_details")
    cost = usage.get("cost") if with_cost else None
    return Usage(
        input_tokens=count(usage.get("prompt_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        cached_tokens=count(prompt.get("cached_tokens", usage.get("prompt_cache_hit_tokens"))),
        reasoning_tokens=count(completion.get("reasoning_tokens")),
        cost=float(cost) if isinstance(cost, int | float) and 0 <= cost < _MOST_DOLLARS else None,
    )
