"""A server that is asked to stop sees its sockets out: first nobody new, then answers, then everybody, in batches."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.serving import LONGEST, Served, Visitors

SOCKETS = 300
BATCH, PAUSE = 100, 0.3
RESTART = 1012


class Crowd:
    """Clients that say nothing, and when each was told to go."""

    def __init__(self) -> None:
        self.ends: dict[int, float] = {}
        self._open = AsyncExitStack()
        self._watched: list[asyncio.Task[None]] = []

    async def enter(self, url: str, count: int) -> None:
        for number in range(count):
            connection = await self._open.enter_async_context(connect(socket_url(url), proxy=None))
            self._watched.append(asyncio.create_task(self._watch(number, connection)))

    async def gone(self) -> None:
        """Waits until all have been told."""
        async with asyncio.timeout(LONGEST):
            await asyncio.gather(*self._watched)

    async def leave(self) -> None:
        for task in self._watched:
            task.cancel()
        await self._open.aclose()

    async def _watch(self, number: int, connection: ClientConnection) -> None:
        await connection.wait_closed()
        assert connection.close_code == RESTART
        self.ends[number] = time.monotonic()


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    crowd = Crowd()
    yield crowd
    await crowd.leave()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def socket_url(url: str) -> str:
    return f"{url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0"


async def status(http: aiohttp.ClientSession, url: str) -> tuple[int, Any]:
    async with http.get(url) as answer:
        return answer.status, answer.headers


async def until_not_ready(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(LONGEST):
        while (await status(http, f"{url}/ready"))[0] != 503:
            await asyncio.sleep(0.01)


async def test_three_hundred_sockets_are_seen_out(
    served: Served, visitors: Visitors, crowd: Crowd, http: aiohttp.ClientSession
) -> None:
    served.variables |= {
        "ANTIPHON_SERVER__DRAIN_SECONDS": "15",
        "ANTIPHON_REALTIME__TRANSPORT__DRAIN_BATCH": str(BATCH),
        "ANTIPHON_REALTIME__TRANSPORT__DRAIN_PAUSE": str(PAUSE),
    }
    served.start()
    await crowd.enter(served.url, SOCKETS)
    poll = f"{served.url}/socket/longpoll?vsn=2.0.0"
    async with http.get(poll) as answer:
        token = (await answer.json())["token"]
    visitor = await visitors.enter(served.url)
    turn = await visitor.say("!slow 20 !long 100")
    await visitor.see(lambda: visitor.seq.get(turn["turn_id"], 0) >= 2)

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(status(http, f"{poll}&token={token}"))
        served.process.send_signal(signal.SIGTERM)
        await until_not_ready(http, served.url)
        # Nobody new comes in, whatever carries them, and is told when to try again.
        with pytest.raises(InvalidStatus) as refused:
            await connect(socket_url(served.url), proxy=None)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["retry-after"] == "2"
        code, answered = await status(http, poll)
        assert (code, answered["retry-after"]) == (503, "2")
        # Those who are here stay until the answer that is under way is finished.
        assert (crowd.ends, waiting.done()) == ({}, False)
        assert (await visitor.answer(turn["turn_id"]))["end"]["status"] == "answered"
    await crowd.gone()
    began = time.monotonic()
    assert len(crowd.ends) == SOCKETS
    # The first may hear of it late, but not by half a pause.
    assert max(crowd.ends.values()) - min(crowd.ends.values()) > PAUSE * (SOCKETS // BATCH - 1.5)
    assert waiting.result()[0] == 200, "a poll that waits is answered, so that its client asks again elsewhere"
    assert await asyncio.to_thread(served.process.wait, LONGEST) == 0
    assert time.monotonic() - began < 10
    assert "realtime.draining" in served.log
    assert "Traceback" not in served.log


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_hurries(
    served: Served, crowd: Crowd, http: aiohttp.ClientSession, how: signal.Signals
) -> None:
    served.variables |= {
        "ANTIPHON_REALTIME__TRANSPORT__DRAIN_BATCH": "1",
        "ANTIPHON_REALTIME__TRANSPORT__DRAIN_PAUSE": "600",
    }
    served.start()
    await crowd.enter(served.url, 20)
    served.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(LONGEST):
        while not crowd.ends:
            await asyncio.sleep(0.01)
    assert len(crowd.ends) == 1
    served.process.send_signal(how)
    await crowd.gone()
    assert len(crowd.ends) == 20
    assert await asyncio.to_thread(served.process.wait, LONGEST) == 0
    assert "Traceback" not in served.log
