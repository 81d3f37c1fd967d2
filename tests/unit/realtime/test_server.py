"""The server of an application that runs by itself: what it does to the process it runs in."""

import asyncio
import gc
import socket
from threading import Event
from typing import Any

import pytest

from antiphon.realtime.server import Server
from antiphon.runtime import threads


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


@pytest.fixture
def listeners(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Every socket that is made to listen."""
    made: list[socket.socket] = []
    create = socket.create_server

    def noted(*args: Any, **kwargs: Any) -> socket.socket:
        made.append(create(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(socket, "create_server", noted)
    return made


async def test_a_start_that_is_given_up_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch, listeners: list[socket.socket]
) -> None:
    """The name server is slow; when it answers at last, nobody wants to listen any more."""
    loop, asked, may_answer = asyncio.get_running_loop(), asyncio.Event(), Event()
    find = socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        loop.call_soon_threadsafe(asked.set)
        may_answer.wait(10)
        return find(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    only = threads.adopt(threads.Threads(1, 5))
    starting = asyncio.create_task(Server(nothing, asyncio.Protocol, at_once).start("127.0.0.1", 0))
    await asked.wait()
    starting.cancel()
    may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await threads.run_async(lambda: None)  # the only one is free again
    threads.release(only)
    assert all(each.fileno() == -1 for each in listeners)


@pytest.mark.parametrize("later", range(6))
async def test_a_start_that_is_given_up_while_it_begins_leaves_nothing(
    listeners: list[socket.socket], later: int
) -> None:
    """`later` turns of the loop after it has bound: before uvicorn begins, and while it does."""
    server = Server(nothing, asyncio.Protocol, at_once)
    tasks = asyncio.all_tasks()
    starting = asyncio.create_task(server.start("127.0.0.1", 0))
    while not listeners:
        await asyncio.sleep(0)
    port = server.port
    for _ in range(later):
        await asyncio.sleep(0)
    if starting.cancel():
        with pytest.raises(asyncio.CancelledError):
            await starting
    else:
        await server.stop()
    assert listeners[0].fileno() == -1
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    assert asyncio.all_tasks() == tasks
    assert gc.get_freeze_count() == 0
