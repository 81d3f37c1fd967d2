"""What ASGI tells of a request, in our words."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote

from antiphon.realtime.admission.connect import ConnectRequest, Peer, gathered
from antiphon.realtime.admission.origin import Arrival

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_OF_PATHS = "/:@!$&'()*+,;=~"
"""What a path may hold as it is (RFC 3986, 3.3)."""


def path_of(scope: Any) -> str:
    """The path in the characters of the wire (Latin-1), its percent-encoding untouched, below where the application is
    mounted in another one (`root_path`)."""
    path, root = _whole_path(scope), scope.get("root_path", "").rstrip("/")
    for prefix in (root, quote(root, safe=_OF_PATHS)):
        if prefix and path.startswith(f"{prefix}/"):
            return path[len(prefix) :]
    return path


def connect_request(
    scope: Any, transport: Literal["websocket", "longpoll"], variables: dict[str, str]
) -> ConnectRequest:
    """What `Admission` wants to know."""
    headers = gathered((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    client, server = scope.get("client"), scope.get("server") or ("", None)
    return ConnectRequest(
        transport=transport,
        path=_whole_path(scope),
        query=scope["query_string"].decode("latin-1"),
        variables=variables,
        headers=headers,
        arrival=Arrival(
            {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"]),
            headers.get("host", ""),
            str(server[0]),
        ),
        peer=None if client is None else Peer(*client),
    )


class BodyTooLargeError(ValueError):
    """A body that is not read to its end."""


async def read_body(request: ConnectRequest, receive: Receive, limit: int) -> bytes:
    """Raises `BodyTooLargeError` when it is larger than `limit`, `ConnectionError` when the client goes meanwhile."""
    announced = request.headers.get("content-length", "0")
    if not announced.isascii() or not announced.isdigit() or int(announced) > limit:
        raise BodyTooLargeError(f"bodies are limited to {limit} bytes")
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client has gone")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise BodyTooLargeError(f"bodies are limited to {limit} bytes")
    return bytes(body)


def header_pairs(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers of an answer as ASGI takes them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _whole_path(scope: Any) -> str:
    raw: bytes = scope.get("raw_path") or quote(scope["path"], safe=_OF_PATHS).encode()
    return raw.partition(b"?")[0].decode("latin-1")
