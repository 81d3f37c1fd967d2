"""Server-sent events, as a server writes them."""

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def server_event(document: Any, name: str | None = None) -> bytes:
    """One event with a JSON document, and with a name where the protocol gives it one."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + _encode(document) + b"\n\n"
