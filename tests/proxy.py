"""A TCP proxy in front of a server on this machine, which fails as networks do: cut, silent, slow, refusing."""

import asyncio
from contextlib import suppress
from typing import Self

_CHUNK = 65_536


class Proxy:
    """Forwards `127.0.0.1:port` to a server until it is told otherwise. Runs in the loop that enters it.

    async with Proxy("127.0.0.1", 5432) as proxy:
        client = await connect(port=proxy.port)
        proxy.cut()
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.delay = 0.0
        """Seconds that every piece waits before it is passed on, in both directions."""
        self.accepted = 0
        """Connections taken so far."""
        self.target = (host, port)
        """Where new connections go."""
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[bool]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        await self.restore()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        while self._tasks:
            await asyncio.sleep(0)  # the handlers end with their connections

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._writers) // 2

    def cut(self) -> None:
        """Ends every connection at once, as a crash of the other side does; new ones are taken."""
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    def pause(self) -> None:
        """From now on nothing arrives, and nobody is told: what a black hole looks like. New connections too."""
        self._flowing.clear()

    def resume(self) -> None:
        """What was held back by `pause` goes on."""
        self._flowing.set()

    async def refuse(self) -> None:
        """Cuts every connection and takes no new one."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
            self.cut()
            await listener.wait_closed()

    async def restore(self) -> None:
        """Takes connections (again), on the same port."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._take, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, far_writer}
        self._writers |= pair
        ways = {
            asyncio.ensure_future(self._pass(reader, far_writer)),
            asyncio.ensure_future(self._pass(far_reader, writer)),
        }
        self._tasks |= ways
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if all(not way.cancelled() and way.result() for way in done):
                await asyncio.wait(ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in pair:
                end.close()
            self._writers -= pair
            self._tasks -= ways

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """False when the connection broke: whoever only has nothing more to say may still be told something."""
        with suppress(OSError):
            while piece := await reader.read(_CHUNK):
                await self._flowing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
            return True
        return False
