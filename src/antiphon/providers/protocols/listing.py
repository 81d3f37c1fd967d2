"""Lists of models, as most vendors give them: an object with a list of objects, each with a name."""

from typing import Any

import msgspec

_LONGEST_NAME = 200


def entries(body: bytes, field: str, name: str, *, bare: bool = False) -> list[dict[str, Any]]:
    """The entries under `field`, or with `bare` of a list alone, whose `name` people can be shown. Raises ValueError
    when there is no list."""
    listing = msgspec.json.decode(body)
    found = listing.get(field) if isinstance(listing, dict) else listing if bare else None
    if not isinstance(found, list):
        raise ValueError("no list of models")  # noqa: TRY004 - the body is wrong, not the caller's argument
    return [entry for entry in found if isinstance(entry, dict) and _is_name(entry.get(name))]


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()


def window(entry: dict[str, Any], *fields: str) -> int | None:
    """The tokens that a model takes: the first of `fields` that tells any."""
    sizes = (entry.get(field) for field in fields)
    return next((size for size in sizes if isinstance(size, int) and size > 0), None)
