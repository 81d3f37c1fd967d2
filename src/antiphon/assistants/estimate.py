"""What texts and files weigh in tokens, by estimate: no vocabulary is loaded and nothing is fetched."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from types import MappingProxyType

import msgspec

from antiphon.domain import AnyPart, ReasoningPart, TextPart
from antiphon.files.kinds import is_text
from antiphon.files.pictures import dimensions
from antiphon.providers.base import ChatMessage, File, ModelRequest, ToolSpec

BYTES_PER_TOKEN = 4.0
"""About right for English and for Chinese alike, which characters are not: there one character is nearly a token."""

MESSAGE_BYTES = 16
"""What a vendor's template adds around each message."""

PICTURE = 1_600
"""Tokens of a picture of unknown width and height: what most vendors make of a large one."""

PDF_BYTES, PAGE = 50, 2_000
"""Bytes of a PDF that make one token, and the tokens of a page, which is both read and seen."""

SOUND_BYTES = 125
"""Bytes of a sound that make one token: a second of speech has about 4 KB, and Google counts 32 tokens."""


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


def file_tokens(file: File, vendor: str = "") -> int:
    """What `vendor` counts for a file. A text has its bytes counted, as it is quoted."""
    weight = file.size if file.data is None else len(file.data)
    if is_text(file.media_type):
        return tokens(weight)
    if file.media_type == "application/pdf":
        return max(PAGE, weight // PDF_BYTES)
    if not file.media_type.startswith("image/"):
        return weight // SOUND_BYTES
    pixels = dimensions(file.data) if file.data is not None else None
    return _RULES.get(vendor, _by_area)(*pixels) if pixels and all(pixels) else PICTURE


def files_tokens(request: ModelRequest, vendor: str = "") -> int:
    return sum(file_tokens(file, vendor) for message in request.messages for file in message.files)


def _by_area(width: int, height: int) -> int:
    """https://platform.claude.com/docs/en/build-with-claude/vision; what is larger is made smaller."""
    return min(PICTURE, ceil(width * height / 750))


def _by_tiles(width: int, height: int) -> int:
    """https://platform.openai.com/docs/guides/images-vision: into 2048 by 2048, then the shorter side to 768."""
    fit = min(1.0, 2_048 / max(width, height))
    fit = min(fit, 768 / min(width, height))
    return 85 + 170 * ceil(width * fit / 512) * ceil(height * fit / 512)


def _by_large_tiles(width: int, height: int) -> int:
    """https://ai.google.dev/gemini-api/docs/tokens: small pictures are one tile."""
    return 258 if max(width, height) <= 384 else min(PICTURE, 258 * ceil(width / 768) * ceil(height / 768))


_RULES: Mapping[str, Callable[[int, int], int]] = MappingProxyType(
    {"openai": _by_tiles, "azure": _by_tiles, "github": _by_tiles, "google": _by_large_tiles}
)
