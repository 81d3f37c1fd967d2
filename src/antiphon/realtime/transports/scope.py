"""What ASGI tells of a request, in our words."""

from typing import Any, Literal

from antiphon.realtime.connect import ConnectRequest, Peer, gathered
from antiphon.realtime.origin import Arrival


def path_of(scope: Any) -> str:
    """The path in the characters of the wire (Latin-1), its percent-encoding untouched."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")


def connect_request(
    scope: Any, transport: Literal["websocket", "longpoll"], variables: dict[str, str]
) -> ConnectRequest:
    """What `Admission` wants to know."""
    headers = gathered((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    client, server = scope.get("client"), scope.get("server") or ("", None)
    return ConnectRequest(
        transport=transport,
        path=path_of(scope),
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
