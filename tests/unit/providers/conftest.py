"""A vendor on loopback that answers with whatever bytes a test wants."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

import pytest

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawVendor:
    """An HTTP server without manners. It answers request n with `answers[n]`, the last one for ever."""

    answers: list[Answer]
    url: str = ""
    port: int = 0
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a client has closed a connection."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length")
                    ),
                    0,
                )
                self.requests.append((head, await reader.readexactly(length)))
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                work = asyncio.ensure_future(answer(writer))
                ended = asyncio.ensure_future(reader.read(1))
                await asyncio.wait({work, ended}, return_when=asyncio.FIRST_COMPLETED)
                if ended.done() and not ended.cancelled():
                    self.gone.set()
                work.cancel()
                ended.cancel()
                await asyncio.gather(work, ended, return_exceptions=True)
                if writer.is_closing() or self.gone.is_set():
                    break
        writer.close()


@pytest.fixture
async def raw_vendor() -> AsyncIterator[Callable[..., Awaitable[RawVendor]]]:
    """Starts a `RawVendor` on a free port."""
    async with AsyncExitStack() as stack:

        async def start(*answers: Answer) -> RawVendor:
            vendor = RawVendor(list(answers))
            server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
            vendor.port = server.sockets[0].getsockname()[1]
            vendor.url = f"http://127.0.0.1:{vendor.port}/v1"
            stack.callback(server.close)
            return vendor

        yield start
