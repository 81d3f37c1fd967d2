"""The HTTP side of a WebSocket: reading the upgrade request, answering it with 101 or a refusal."""

import asyncio
import hashlib
import re
from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from http import HTTPStatus

import msgspec

from antiphon.realtime.admission.connect import ConnectRequest, Peer, gathered
from antiphon.realtime.admission.origin import Arrival

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
"""Sixteen bytes in base64."""
_ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: %b\r\n"
)
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class UpgradeRequest(msgspec.Struct, frozen=True):
    """`path` and `query` in the characters of the wire, `headers` as `gathered` leaves them."""

    method: str
    path: str
    query: str
    headers: dict[str, str]


def parse_request(data: bytes) -> UpgradeRequest:
    """The request in `data`; the HTTP server in front has already checked its form."""
    head = data.partition(b"\r\n\r\n")[0].decode("latin-1")
    request_line, *lines = head.split("\r\n")
    method, target, _ = request_line.split(" ", 2)
    headers = gathered(line.partition(":")[::2] for line in lines)
    path, _, query = target.partition("?")
    return UpgradeRequest(method, path, query, headers)


def requested(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> UpgradeRequest:
    """The same, of what a parser has found."""
    path, _, query = target.decode("latin-1").partition("?")
    found = gathered([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
    return UpgradeRequest(method, path, query, found)


def connect_request(
    request: UpgradeRequest, variables: dict[str, str], transport: asyncio.BaseTransport
) -> ConnectRequest:
    """What `Admission` wants to know of a request that came over `transport`."""
    peer, local, tls = (transport.get_extra_info(name) for name in ("peername", "sockname", "ssl_object"))
    certificate = tls.getpeercert(binary_form=True) if tls else None
    return ConnectRequest(
        transport="websocket",
        path=request.path,
        query=request.query,
        variables=variables,
        headers=request.headers,
        arrival=Arrival(
            "https" if tls else "http",
            request.headers.get("host", ""),
            str(local[0]) if isinstance(local, tuple) else "",
        ),
        peer=Peer(peer[0], peer[1], certificate) if isinstance(peer, tuple) else None,
    )


def problem(headers: Mapping[str, str]) -> str | None:
    """Why a request with these headers is no WebSocket upgrade, None when it is one (TR-7)."""
    if "upgrade" not in _words(headers.get("connection", "")):
        return "the connection header does not say upgrade"
    if "websocket" not in _words(headers.get("upgrade", "")):
        return "the upgrade header does not say websocket"
    if headers.get("sec-websocket-version") != "13":
        return "sec-websocket-version must be 13"
    key = headers.get("sec-websocket-key", "")
    return None if _KEY.fullmatch(key) else "sec-websocket-key must be 16 bytes in base64"


def accept(request: UpgradeRequest, extension: str | None = None, subprotocol: str | None = None) -> bytes:
    """The 101 answer, which names what was negotiated."""
    digest = hashlib.sha1(request.headers["sec-websocket-key"].encode() + _GUID, usedforsecurity=False).digest()
    answer = _ACCEPTED % b2a_base64(digest, newline=False)
    if extension is not None:
        answer += f"sec-websocket-extensions: {extension}\r\n".encode("latin-1")
    if subprotocol is not None:
        answer += f"sec-websocket-protocol: {subprotocol}\r\n".encode("latin-1")
    return answer + b"\r\n"


def refuse(status: int, body: str | bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A complete HTTP answer that ends the connection."""
    content = body.encode() if isinstance(body, str) else body
    lines = [
        f"HTTP/1.1 {status} {_PHRASES.get(status, 'Refused')}",
        *(f"{name}: {value}" for name, value in refusal_headers(status, len(content), headers or {}).items()),
        "connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + content


def refusal_headers(status: int, size: int, headers: Mapping[str, str]) -> dict[str, str]:
    """`headers`, and what else an answer with a body of `size` bytes says."""
    complete = {"content-type": "text/plain; charset=utf-8", "content-length": str(size), **headers}
    if status == HTTPStatus.BAD_REQUEST:
        complete["sec-websocket-version"] = "13"
    return complete


def _words(value: str) -> list[str]:
    if value.isalpha():
        return [value.lower()]  # as nearly every client writes it
    return [word.strip().lower() for word in value.split(",")]
