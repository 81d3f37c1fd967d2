"""The watch over all connections of a process."""

import asyncio
from typing import Any

from antiphon.realtime.config import TransportConfig
from antiphon.realtime.instruments import Instruments
from antiphon.realtime.members.sockets import Sockets
from antiphon.telemetry.metrics import Metrics


class Broken:
    """A connection whose first look fails."""

    def __init__(self) -> None:
        self.looks: asyncio.Queue[int] = asyncio.Queue()

    def carried(self) -> None:
        return None

    def shutdown(self) -> None:
        pass

    def check(self, now: float) -> None:
        self.looks.put_nowait(1)
        if self.looks.qsize() == 1:
            raise RuntimeError("what nobody thought of")


class Still:
    """Nobody whose access ends."""

    def check(self) -> None:
        pass


async def test_a_look_that_fails_is_not_the_last_one() -> None:
    reports: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context["exception"]))
    expiry: Any = Still()
    sockets = Sockets(TransportConfig(idle_seconds=0.02), Instruments(Metrics()), expiry, lambda: None)
    connection = Broken()
    sockets.connected(connection)
    async with asyncio.timeout(5):
        while connection.looks.qsize() < 3:
            await asyncio.sleep(0.002)
    sockets.disconnected(connection)
    sockets.stop()
    asyncio.get_running_loop().set_exception_handler(None)
    assert [type(each) for each in reports] == [RuntimeError]
