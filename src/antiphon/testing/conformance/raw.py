"""HTTP and WebSocket with nothing in between: what is right can be said, and what is wrong too."""

import asyncio
import base64
import hashlib
import http.client
import io
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FINAL = 0x80
_CHUNK = 65536
_MASK = b"\x11\x22\x33\x44"


class RoomAddress(msgspec.Struct, frozen=True):
    """Where a reference room is mounted."""

    host: str
    port: int
    tls: bool
    mount: str

    @classmethod
    def of(cls, url: str) -> Self:
        """The address in `http://127.0.0.1:4100/socket`; `ws` is as good, and without a path it is `/socket`."""
        parts = urlsplit(url if "//" in url else f"//{url}")
        if not parts.hostname:
            raise ValueError(f"{url!r} names no server: write it like http://127.0.0.1:4100/socket")
        tls = parts.scheme in {"https", "wss"}
        mount = parts.path.rstrip("/").removesuffix("/websocket").removesuffix("/longpoll")
        return cls(parts.hostname, parts.port or (443 if tls else 80), tls, mount or "/socket")

    @property
    def authority(self) -> str:
        """What goes into the Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to it."""
        return await asyncio.open_connection(self.host, self.port, ssl=self.tls or None)

    def head(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        """The head of a request."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.authority}", *(f"{k}: {v}" for k, v in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class HttpAnswer(msgspec.Struct, frozen=True):
    """An HTTP answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Its body, None where that is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None


async def request(
    address: RoomAddress, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> HttpAnswer:
    """Asks on a connection of its own. Raises `OSError` where nobody answers."""
    reader, writer = await address.open()
    length = {"Content-Length": str(len(body))} if body or method == "POST" else {}
    try:
        writer.write(address.head(method, target, {"Connection": "close", **length, **(headers or {})}) + body)
        received = b""
        # What is too large may be refused, and the connection reset, while it is still being sent.
        with suppress(ConnectionError):
            while chunk := await reader.read(_CHUNK):
                received += chunk
        return parsed(received)
    finally:
        # Whatever is unsent is of no use any more, and would keep the connection.
        writer.transport.abort()


def parsed(data: bytes) -> HttpAnswer:
    """The answer in what came until the connection ended, or in the head of an upgrade. Raises `ConnectionError` where
    there is none."""
    response = _begun(data)
    headers = {name.lower(): value for name, value in response.getheaders()}
    try:
        return HttpAnswer(response.status, headers, response.read())
    except http.client.HTTPException as error:
        raise ConnectionError("the server closed the connection in the middle of its answer") from error


def _begun(data: bytes) -> http.client.HTTPResponse:
    if not data:
        raise ConnectionError("the server closed the connection without an answer")
    response = http.client.HTTPResponse(_Fed(data))  # type: ignore[arg-type]  # it only asks for a file
    try:
        response.begin()
    except http.client.HTTPException as error:
        raise ConnectionError("the server answered with something that is not HTTP") from error
    return response


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """A server may keep the connection for a request that never comes: its end is no more than the last resort."""
    length = _begun(head).length
    return await (reader.read(-1) if length is None else reader.readexactly(length))


class _Fed:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        return io.BytesIO(self._data)


class RawSocket:
    """A WebSocket, or the refusal of one: `answer` says which. `close` ends it without a word."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: HttpAnswer, key: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.answer = answer
        self._key = key

    @classmethod
    async def open(cls, address: RoomAddress, target: str, headers: Mapping[str, str]) -> Self:
        """Asks for an upgrade; header values given replace those of a good request."""
        key = base64.b64encode(os.urandom(16)).decode()
        asked = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
        }
        reader, writer = await address.open()
        writer.write(address.head("GET", target, {**asked, **headers}))
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            upgraded = _begun(head).status == HTTPStatus.SWITCHING_PROTOCOLS
            answer = parsed(head if upgraded else head + await _body(reader, head))
        except BaseException as error:
            writer.close()
            if isinstance(error, asyncio.IncompleteReadError):
                raise ConnectionError("the server closed the connection without an answer") from None
            if isinstance(error, asyncio.LimitOverrunError):
                raise ConnectionError("the server answered with something that is not HTTP") from None
            raise
        return cls(reader, writer, answer, key)

    @property
    def accepted(self) -> bool:
        """Whether the server proved that it understood (RFC 6455, 4.2.2)."""
        proof = base64.b64encode(hashlib.sha1(self._key.encode() + _GUID, usedforsecurity=False).digest()).decode()
        return self.answer.status == 101 and self.answer.headers.get("sec-websocket-accept") == proof

    def send(self, opcode: int, payload: bytes, *, first: int | None = None, masked: bool = True) -> None:
        """Sends one frame. `first` is its first byte where that is to be wrong; clients mask, or should."""
        self._writer.write(frame(opcode, payload, first=first, masked=masked))

    def send_bytes(self, data: bytes) -> None:
        """Sends what need not be a frame."""
        self._writer.write(data)

    async def flush(self) -> None:
        """Returns when what was sent is on its way."""
        await self._writer.drain()

    async def receive(self) -> tuple[int, bytes]:
        """The next frame whole; raises `asyncio.IncompleteReadError` or `ConnectionError` when there is none."""
        first, _, payload = await read_frame(self._reader)
        opcode = first & 0x0F
        while not first & _FINAL:
            first, _, more = await read_frame(self._reader)
            payload += more
        return opcode, payload

    def close(self) -> None:
        """Hangs up, once what was said is sent."""
        self._writer.close()

    def abort(self) -> None:
        """Hangs up at once."""
        self._writer.transport.abort()


def frame(opcode: int, payload: bytes, *, first: int | None = None, masked: bool = True) -> bytes:
    """The bytes of one frame."""
    size, bit = len(payload), 0x80 if masked else 0
    head = bytes([0x80 | opcode if first is None else first])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    return head + _MASK + _applied(payload, _MASK)


def _applied(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    """The first byte of a frame, whether it was masked, and its payload without the mask."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4) if second & 0x80 else b""
    payload = await reader.readexactly(size)
    return first, bool(mask), _applied(payload, mask) if mask else payload
