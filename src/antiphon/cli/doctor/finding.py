"""One line of what the doctor found."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

from msgspec import Struct

Mark = Literal["ok", "warn", "fail"]


class Finding(Struct, frozen=True):
    """`what` was looked at, `found` in one line; `advice` says what to do when it is not well."""

    mark: Mark
    what: str
    found: str
    advice: str = ""


Check = Callable[[], Awaitable[Iterable[Finding]]]
"""Looks at one thing. What it raises becomes a finding."""


def size(count: float) -> str:
    """Bytes, for people."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
