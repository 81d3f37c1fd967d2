"""How vendors say that a prompt is longer than their model takes, and how long it may be."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.providers.base import Excess

_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "request_too_large"})

_TEXT = re.compile(
    r"""
      prompt(?:\ is)?\ too\ long                                        # Anthropic, Ollama
    | token\ count .{0,60} exceeds\ the\ max                            # Google
    | (?:maximum|max|available|model's)\ context\ (?:length|size|window)  # OpenAI, vLLM, SGLang, llama.cpp
    | exceeds?\ (?:the\ )?(?:maximum\ allowed\ input|context)\ (?:length|size|window)
    | context\ (?:length|window)\ exceeded
    | reduce\ the\ length\ of\ the\ (?:messages|input|prompt)           # Groq
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MOST = re.compile(
    r"(?:context (?:length|size|window)|allowed input length|tokens? allowed|tokens? >)\D{0,20}?(\d[\d,]{2,11})",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"(?:resulted in|contains at least|token count|input length|request|requested(?: a total of)?)\s?\(?(\d[\d,]{2,11})"
    r"|(\d[\d,]{2,11}) tokens? >",
    re.IGNORECASE,
)


def is_overlong(status: int | None, codes: Sequence[str], text: str) -> bool:
    """Whether less of the same may be accepted. Too much in a minute is something else, whatever its words are."""
    if status == 413 or not _CODES.isdisjoint(codes):
        return True
    return status not in {401, 403, 404, 429, 503, 529} and _TEXT.search(text) is not None


def excess_of(error: Any, text: str) -> Excess | None:
    """The tokens that were sent and those that are taken, as far as the vendor says; fields first, then its words."""
    fields: Mapping[str, Any] = error if isinstance(error, dict) else {}
    most = _count(fields.get("n_ctx")) or _first(_MOST, text)
    asked = _count(fields.get("n_prompt_tokens")) or _first(_ASKED, text)
    if most is None:
        return None
    return Excess(most=most, asked=asked if asked is not None and asked > most else None)


def _first(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return _count(int(next(filter(None, found.groups())).replace(",", ""))) if found else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
