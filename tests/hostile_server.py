"""A server that says whatever a test wants."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Self


class HostileServer:
    """Says `greeting` to everybody, and a piece of `answers` for each piece it hears; then the next connection.

    async with HostileServer([b"+OK\\r\\n"]) as server:
        client = await connect(port=server.port)
    """

    def __init__(self, answers: Sequence[bytes] = (), *, greeting: bytes = b"") -> None:
        self.answers = answers
        self.greeting = greeting
        self.heard = b""
        """By everybody, so far."""
        self.port = 0
        self.accepted = 0
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        for writer in self._open:
            writer.transport.abort()
        await self._listener.wait_closed()
        while self._open:
            await asyncio.sleep(0)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._open.add(writer)
        try:
            with suppress(OSError):
                writer.write(self.greeting)
                for answer in self.answers:
                    self.heard += await reader.read(65_536)
                    writer.write(answer)
                    await writer.drain()
                while piece := await reader.read(65_536):
                    self.heard += piece
        finally:
            writer.transport.abort()
            self._open.discard(writer)
