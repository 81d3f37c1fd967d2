"""Parts of an answer that only the vendor that made them can read: signatures, and thinking in cipher.

Each is kept under the name of its protocol, and goes back unchanged to that protocol alone: a model that answers next
in the same conversation may be another vendor's.
"""

from typing import Any


def sealed(protocol: str, part: Any) -> dict[str, Any]:
    """The part as it is kept."""
    return {protocol: part}


def unsealed(protocol: str, opaque: Any) -> Any:
    """The part that was kept, None when there is none of this protocol."""
    return opaque.get(protocol) if isinstance(opaque, dict) else None


def joined(first: Any, second: Any) -> Any:
    """The parts of two thoughts that follow each other, in their order."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return first if second is None else second
    both = {
        protocol: [*part, *second[protocol]]
        for protocol, part in first.items()
        if isinstance(part, list) and isinstance(second.get(protocol), list)
    }
    return {**first, **second, **both}
