"""A WebSocket client made of bytes: it sends what no library would, and sees every frame that comes back."""

import asyncio
import os
import zlib
from typing import Self

from websockets.speedups import apply_mask

FIN, RSV1 = 0x80, 0x40
UPGRADE = (
    "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
)


def client_frame(first: int, payload: bytes = b"", *, masked: bool = True) -> bytes:
    """One frame with any first byte, so with any opcode and any reserved bits, final or not."""
    length, bit = len(payload), 0x80 if masked else 0
    if length < 126:
        head = bytes((first, bit | length))
    elif length < 65_536:
        head = bytes((first, bit | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + apply_mask(payload, mask)


def squeezed(body: bytes, level: int = 6) -> bytes:
    """The payload of a compressed message, as a client makes it."""
    compressor = zlib.compressobj(level, wbits=-15)
    return (compressor.compress(body) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(first: int, payload: bytes) -> tuple[int, bytes]:
    """A frame as it was before the server compressed it."""
    if not first & RSV1:
        return first, payload
    return first & ~RSV1, zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")


class RawClient:
    """One upgraded connection to a port of this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.answer = ""
        """The head of the server's answer to the upgrade."""

    @classmethod
    async def connect(cls, port: int, target: str = "/socket/websocket?vsn=2.0.0", headers: str = "") -> Self:
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        await client.send(UPGRADE.format(target=target, headers=headers).encode())
        async with asyncio.timeout(10):
            client.answer = (await client._reader.readuntil(b"\r\n\r\n")).decode()
        assert client.answer.startswith("HTTP/1.1 101 ")
        return client

    async def send(self, data: bytes, chop: int = 0) -> None:
        """Writes the bytes at once, or in pieces of `chop` bytes that leave one by one."""
        for start in range(0, len(data), chop or len(data) or 1):
            self._writer.write(data[start : start + (chop or len(data))])
            await self._writer.drain()
            if chop:
                await asyncio.sleep(0)

    async def frame(self) -> tuple[int, bytes]:
        """(first byte, payload) of the next frame; raises `IncompleteReadError` where there is none."""
        async with asyncio.timeout(10):
            first, length = await self._reader.readexactly(2)
            assert not length & 0x80, "a server does not mask"
            if length > 125:
                length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
            return first, await self._reader.readexactly(length)

    async def frames(self) -> tuple[list[tuple[int, bytes]], int | None]:
        """(first byte, payload) of all that still comes, and the code of the close; the connection has ended then."""
        seen: list[tuple[int, bytes]] = []
        code, torn = None, b""
        try:
            while True:
                first, payload = await self.frame()
                assert code is None, "a frame after the close"
                if first == FIN | 8:
                    code = int.from_bytes(payload[:2], "big")
                    self.hang_up()
                else:
                    seen.append((first, payload))
        except asyncio.IncompleteReadError as end:
            torn = end.partial
        assert torn == b""
        return seen, code

    def hang_up(self) -> None:
        """Sends no more, and still hears."""
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()

    def abort(self) -> None:
        self._writer.transport.abort()
