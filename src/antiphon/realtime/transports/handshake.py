"""The HTTP side of a WebSocket: reading the upgrade request, answering it with 101 or a refusal."""

import base64
import binascii
import hashlib
from http import HTTPStatus

import msgspec

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
SUBPROTOCOL = "phoenix"


class UpgradeRequest(msgspec.Struct, frozen=True):
    """`headers` has lower-case names; values of repeated headers are joined with a comma."""

    method: str
    path: str
    query: str
    headers: dict[str, str]

    @property
    def problem(self) -> str | None:
        """Why this is no WebSocket upgrade, None when it is one (TR-7)."""
        if "upgrade" not in _tokens(self.headers.get("connection", "")):
            return "the connection header does not say upgrade"
        if "websocket" not in _tokens(self.headers.get("upgrade", "")):
            return "the upgrade header does not say websocket"
        if self.headers.get("sec-websocket-version") != "13":
            return "sec-websocket-version must be 13"
        try:
            key = base64.b64decode(self.headers.get("sec-websocket-key", ""), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        return None if len(key) == 16 else "sec-websocket-key must be 16 bytes in base64"


def parse_request(data: bytes) -> UpgradeRequest:
    """The request in `data`; the HTTP server in front has already checked its form."""
    head = data.partition(b"\r\n\r\n")[0].decode("latin-1")
    request_line, *lines = head.split("\r\n")
    method, target, _ = request_line.split(" ", 2)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key, text = name.strip().lower(), value.strip()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    path, _, query = target.partition("?")
    return UpgradeRequest(method, path, query, headers)


def accept(request: UpgradeRequest) -> bytes:
    """The 101 answer. A client that offers `phoenix` gets it named: browsers abort when it is not (AU-3)."""
    digest = hashlib.sha1(request.headers["sec-websocket-key"].encode() + _GUID, usedforsecurity=False).digest()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "upgrade: websocket",
        "connection: upgrade",
        f"sec-websocket-accept: {base64.b64encode(digest).decode()}",
    ]
    if SUBPROTOCOL in _tokens(request.headers.get("sec-websocket-protocol", "")):
        lines.append(f"sec-websocket-protocol: {SUBPROTOCOL}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def refuse(status: int, text: str = "") -> bytes:
    """A complete HTTP answer that ends the connection."""
    body = text.encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: text/plain; charset=utf-8",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    if status == HTTPStatus.BAD_REQUEST:
        lines.append("sec-websocket-version: 13")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def _tokens(value: str) -> list[str]:
    return [token.strip().lower() for token in value.split(",")]
