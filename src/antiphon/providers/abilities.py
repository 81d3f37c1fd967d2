"""Which files a model takes, as far as its vendor tells that before it is asked.

Of a model that is in no table all is tried that its vendor's protocol carries: who refuses is asked again without.
"""

import re
from collections.abc import Mapping
from typing import Literal

Kind = Literal["image", "pdf", "sound"]

_EVERYTHING: frozenset[Kind] = frozenset({"image", "pdf", "sound"})
_PAPER: frozenset[Kind] = frozenset({"image", "pdf"})
_PICTURES: frozenset[Kind] = frozenset({"image"})
_NOTHING: frozenset[Kind] = frozenset()

_VENDORS: Mapping[str, frozenset[Kind]] = {
    "demo": _EVERYTHING,
    "google": _EVERYTHING,
    "openrouter": _EVERYTHING,
    "pydantic-ai": _EVERYTHING,
    "anthropic": _PAPER,
    "openai": _PAPER,
    "azure": _PAPER,
    "deepseek": _NOTHING,
}
"""Others take pictures at most: that is what their OpenAI-like protocols know."""

_LISTENS = re.compile(r"audio|omni")
_BLIND = re.compile(
    r"(?:^|/)(?:gpt-3\.5|gpt-4(?:-0613|-32k.*)?$|gpt-oss|o1-(?:mini|preview)|o3-mini|text-|claude-(?:2|instant)|"
    r"deepseek|codestral|mixtral|open-mi|mistral-(?:tiny|7b)|command-r|llama-?3(?:\.[13])?(?!.*vision)|"
    r"qwen(?:2|2\.5|3)(?!.*(?:vl|omni))|kimi-k2|phi-?[34](?!.*(?:vision|multimodal))|grok-(?:2-1212|3|code))",
    re.IGNORECASE,
)
"""Models without eyes, by their makers' names of them, wherever they are served."""


def abilities(provider: str, model: str) -> frozenset[Kind]:
    """The kinds of files that a model may be given."""
    if _BLIND.search(model):
        return _NOTHING
    known = _VENDORS.get(provider, _PICTURES)
    return known | {"sound"} if known and _LISTENS.search(model) else known


def kind_of(media_type: str) -> Kind | None:
    """None for what no vendor takes."""
    if media_type.startswith("image/"):
        return "image"
    if media_type == "application/pdf":
        return "pdf"
    return "sound" if media_type.startswith("audio/") else None
