"""Thousands who are connected, have joined and say nothing: all hear what is said to all, and leave nothing behind."""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self, cast

import psutil
import pytest

from tests.raw_frames import UPGRADE, client_frame
from tests.serving import environment
from tests.soaking import rounds

MOST = 10_000
SPARE = 500
"""Files of a process that are no connections of a crowd."""
SPARE_TASKS = 3
"""That handlers were stepped with, and others will be: one for each depth, however many there are."""
ARRIVING = 100
"""Clients that connect side by side."""
LONGEST = 120.0
PROGRAM = Path(__file__).parents[1] / "idle_room.py"


class Server:
    """The process, and what it says it holds."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.port = port
        self._process = process
        self._system = psutil.Process(process.pid)

    async def ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        return await answered(self._process)

    async def holds(self, **wanted: int) -> None:
        """Waits until it holds exactly this."""
        async with asyncio.timeout(LONGEST):
            while (found := await self.ask("held")) | wanted != found:
                await asyncio.sleep(0.1)

    @property
    def memory(self) -> int:
        """Bytes of it that are in memory."""
        return int(self._system.memory_info().rss)

    @property
    def files(self) -> int:
        return int(self._system.num_fds())


async def answered(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(LONGEST):
        return cast("dict[str, Any]", json.loads(await process.stdout.readline()))


class Guest(asyncio.Protocol):
    """Joins the topic of all and one of its own, then listens."""

    def __init__(self, number: int) -> None:
        self.heard = 0
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number = number
        self._replies = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(UPGRADE.format(target="/socket/websocket?vsn=2.0.0", headers="").encode())

    def data_received(self, data: bytes) -> None:
        if b"HTTP/1.1 101" in data:
            for topic in ("room:all", f"room:{self._number}"):
                join = json.dumps(["1", "1", topic, "phx_join", {}]).encode()
                self._transport.write(client_frame(0x81, join))
        self._replies += data.count(b'"status":"ok"')
        self.heard += data.count(b'"news"')
        if self._replies == 2 and not self.joined.done():
            self.joined.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.joined.done():
            self.joined.set_exception(ConnectionError("the server hung up"))

    def vanish(self) -> None:
        """Without a word, as a client does that is killed."""
        self._transport.abort()


class Crowd:
    def __init__(self, server: Server, size: int) -> None:
        self.guests = [Guest(number) for number in range(size)]
        self._server = server

    async def __aenter__(self) -> Self:
        door = asyncio.Semaphore(ARRIVING)
        loop = asyncio.get_running_loop()

        async def enter(number: int, guest: Guest) -> None:
            async with door:
                # From a few addresses: one has not enough ports when an earlier crowd still holds some.
                here = (f"127.0.0.{2 + number % 4}", 0)
                await loop.create_connection(lambda: guest, "127.0.0.1", self._server.port, local_addr=here)
                await guest.joined

        async with asyncio.timeout(LONGEST):
            await asyncio.gather(*(enter(number, guest) for number, guest in enumerate(self.guests)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for guest in self.guests:
            guest.vanish()

    async def have_heard(self, times: int) -> None:
        async with asyncio.timeout(LONGEST):
            while min(guest.heard for guest in self.guests) < times:
                await asyncio.sleep(0.05)
        assert {guest.heard for guest in self.guests} == {times}


@pytest.fixture
def size() -> Iterator[int]:
    """As many as the system allows: their ends are in this process, the other ends in the server's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    size = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard - SPARE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, size + SPARE), hard))
    yield size
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def server(size: int) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM)),
        env=environment(Path("/")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Server(process, (await answered(process))["port"])
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(LONGEST):
            assert await process.wait() == 0


@pytest.mark.alone
@pytest.mark.timeout(4 * LONGEST)
async def test_everybody_hears_and_nothing_of_them_is_left(server: Server, size: int) -> None:
    before, files = await server.ask("held"), server.files
    assert (before["sockets"], before["topics"]) == (0, 0)
    peaks, ends = [], []
    for _ in rounds(2):
        async with Crowd(server, size) as crowd:
            assert (await server.ask("held"))["sockets"] == size
            assert await server.ask("say") == {"members": size}
            await crowd.have_heard(1)
            peaks.append(server.memory)
            held = await server.ask("held")
            assert held["topics"] == size + 1
            assert held["tasks"] <= before["tasks"] + SPARE_TASKS, "a socket that is idle has no task"
        await server.holds(sockets=0, topics=0)
        assert (await server.ask("held"))["tasks"] <= before["tasks"] + SPARE_TASKS
        assert server.files <= files + 5
        ends.append(server.memory)
    # What the first crowd took serves the second: nothing of it was kept.
    assert max(peaks[1:]) < 1.25 * peaks[0], peaks
    assert max(ends[1:]) < 1.25 * ends[0], ends
