"""What a text weighs in tokens, by estimate: no vocabulary is loaded and nothing is fetched."""

from collections.abc import Iterable, Sequence

import msgspec

from antiphon.domain import AnyPart, ReasoningPart, TextPart
from antiphon.providers.base import ChatMessage, ModelRequest, ToolSpec

BYTES_PER_TOKEN = 4.0
"""About right for English and for Chinese alike, which characters are not: there one character is nearly a token."""

MESSAGE_BYTES = 16
"""What a vendor's template adds around each message."""


def size(text: str) -> int:
    """Bytes of UTF-8, counted without encoding where the text is plain ASCII."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def message_size(message: ChatMessage) -> int:
    total = MESSAGE_BYTES + size(message.text)
    if message.notes:
        total += size(message.notes)
    if message.reasoning:
        total += size(message.reasoning)
    for call in message.calls:
        total += size(call.name) + size(call.arguments)
    return total


def messages_size(messages: Iterable[ChatMessage]) -> int:
    return sum(map(message_size, messages))


def tokens(weight: int, bytes_per_token: float = BYTES_PER_TOKEN) -> int:
    """The tokens of `weight` bytes; at least one where there is anything."""
    return max(1, round(weight / bytes_per_token)) if weight else 0


def tools_size(tools: Sequence[ToolSpec]) -> int:
    return len(msgspec.json.encode(tools)) if tools else 0


def request_size(request: ModelRequest) -> int:
    return messages_size(request.messages) + tools_size(request.tools)


def parts_size(parts: Iterable[AnyPart]) -> int:
    """What a model wrote of these parts, calls of tools aside."""
    return sum(size(part.text) for part in parts if isinstance(part, TextPart | ReasoningPart))
