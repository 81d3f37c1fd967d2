"""The arguments of a call as vendors take them back: always an object, or the text of one."""

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


def as_object_text(text: str) -> str:
    """The arguments as `as_object` has them; what is an object stays as it was written."""
    value = as_object(text)
    return msgspec.json.encode(value).decode() if value == {"invalid": text} else text
