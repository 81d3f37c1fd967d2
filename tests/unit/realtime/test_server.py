"""The server of an application that runs by itself: what it does to the process it runs in."""

import asyncio
import gc
from typing import Any

from antiphon.realtime.server import Server


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """Never asked."""


async def at_once() -> None:
    """There is nobody to see out."""


async def test_a_started_house_is_left_out_of_garbage_collection_until_it_ends() -> None:
    server = Server(nothing, asyncio.Protocol, at_once)
    await server.start("127.0.0.1", 0)
    assert gc.get_freeze_count() > 1000
    cycle: list[Any] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() >= 1, "what becomes garbage later is found all the same"
    await server.stop()
    assert gc.get_freeze_count() == 0
