"""The contract of a cache: bytes under keys, each for a while. What is kept here may be gone at any moment."""

from typing import Any, Protocol

from antiphon.errors import ValidationError

LONGEST = 10 * 365 * 86_400.0
"""Seconds. Who asks for more gets this: to a cache it is the same, and it still fits every server's clock."""

NO_NUMBER = "What the cache holds here is no number that can be counted on. Use another key."


class CacheBackend(Protocol):
    """Where entries are kept. Keys are any text, lifetimes are in seconds.

    The methods of an implementation raise `ServiceError` when its server cannot be reached or refuses; of the cache
    that people use (`soft.SoftBackend`) they never do, and say by None or False that nothing was found or done.
    """

    name: str
    """As the settings say it; a label of metrics."""

    async def get(self, *keys: str) -> list[bytes | None]:
        """What is under each of the keys, in one exchange."""
        ...

    async def set(self, key: str, value: bytes, ttl: float) -> bool: ...

    async def swap(self, key: str, old: bytes | None, new: bytes, ttl: float) -> bool:
        """Stores `new` when exactly `old` is there, None meaning nothing; False when something else is. Atomic."""
        ...

    async def delete(self, *keys: str) -> bool:
        """True when they are gone now, whether or not they were there."""
        ...

    async def increment(self, key: str, by: int, ttl: float) -> int | None:
        """Adds to a number, which begins at 0 and lives for `ttl` from its beginning; returns what it is now. Atomic.

        Raises `ValidationError` when there is something else than a number."""
        ...

    async def clear(self) -> bool: ...

    async def check(self) -> str:
        """Proves that it keeps entries and says where; raises `ServiceError` with the reason and what to do."""
        ...

    async def stop(self) -> None:
        """Lets go of connections. The next call makes new ones."""
        ...


def lifetime(ttl: object) -> float:
    """`ttl` as seconds that a cache can keep something for. Raises `ValidationError` for what is no such time."""
    if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not ttl > 0:
        raise ValidationError(f"A lifetime in a cache is a number of seconds above 0, not {ttl!r:.40}.")
    return float(min(ttl, LONGEST))


def sum_of(found: Any, by: int) -> int:
    """What `CacheBackend.increment` makes of an entry. Raises `ValidationError` as it does."""
    digits = found.removeprefix(b"-") if isinstance(found, bytes) else b""
    if not digits.isdigit() or abs(total := int(found) + by) >= 2**63:
        raise ValidationError(NO_NUMBER)
    return total
