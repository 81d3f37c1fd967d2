"""The arguments of a call as vendors take them back: always an object."""

from typing import Any

import msgspec


def as_object(text: str) -> dict[str, Any]:
    """The arguments a model wrote; what is no JSON object comes back under `invalid`.

    Vendors and servers refuse a whole conversation for ever when one old call holds invalid JSON.
    """
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"invalid": text}
