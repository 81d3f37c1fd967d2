"""Which serializer a client gets for the `vsn` it asks for (TR-2, TR-3)."""

import re
from functools import lru_cache
from typing import Any

from antiphon.realtime.wire import supabase
from antiphon.realtime.wire.base import Serializer
from antiphon.realtime.wire.v1 import V1
from antiphon.realtime.wire.v2 import V2

_SEMANTIC = re.compile(
    r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)

DEFAULT = "1.0.0"
"""What a client speaks that does not say."""

Serializers = tuple[tuple[int, int, Serializer], ...]
"""(major, minor, serializer): any patch of that minor version is served by it."""

SERIALIZERS: Serializers = ((2, 0, V2), (1, 0, V1))

SUPABASE: Serializers = ((2, 0, supabase.V2), (1, 0, supabase.V1))
"""The same versions in the dialect of Supabase."""

SERVED = ", ".join(f"{major}.{minor}.x" for major, minor, _ in SERIALIZERS)


def serializer_for(vsn: Any, serializers: Serializers = SERIALIZERS) -> Serializer | None:
    """The one of the serializers that a client asks for with `vsn`, None when there is none."""
    return _serving(vsn, serializers) if isinstance(vsn, str) else None


@lru_cache  # clients ask for few versions, and each that connects asks
def _serving(vsn: str, serializers: Serializers) -> Serializer | None:
    match = _SEMANTIC.fullmatch(vsn)
    if match is None:
        return None
    major, minor, patch, prerelease = int(match[1]), int(match[2]), int(match[3]), match[4]
    if prerelease and patch == 0:
        return None  # comes before the first version of its range
    return next((found for a, b, found in serializers if (a, b) == (major, minor)), None)
