"""A client that writes and reads bytes, and may be as slow as it likes."""

import asyncio
from typing import Any

from websockets.frames import Frame, Opcode

HEADERS = "host: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
KEY = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


class Raw:
    """A client made of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def write(self, opcode: int, payload: bytes, **options: Any) -> None:
        frame = Frame(Opcode(opcode), payload, **options)
        frame.check = lambda: None  # type: ignore[method-assign]  # it refuses to write what is wrong
        self.writer.write(frame.serialize(mask=True))

    async def request(self, target: str, method: str = "GET", headers: str = HEADERS + KEY) -> str:
        self.writer.write(f"{method} {target} HTTP/1.1\r\n{headers}\r\n".encode())
        async with asyncio.timeout(5):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(5):
            first, length = await self.reader.readexactly(2)
            if length > 125:
                length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8), "big")
            return first & 0x0F, await self.reader.readexactly(length)

    async def close_code(self) -> int:
        """Skips to the close frame, checks that the connection ends, and tells the code."""
        while (frame := await self.frame())[0] != 8:
            pass
        self.writer.close()
        return int.from_bytes(frame[1][:2], "big")
