"""One connection: it is known to live, frames keep their order, and nonsense harms nothing."""

import asyncio
from typing import Any

import pytest

from tests.rules import rule


@rule("JS-3", "HB-1", "JS-10")
async def test_heartbeats_keep_the_connection_up(serve: Any, client_of: Any, until: Any) -> None:
    live = await serve(idle_seconds=0.3)
    states: list[str] = []
    client = await client_of(live, heartbeat_seconds=0.05, on_status=states.append)
    began = asyncio.get_running_loop().time()
    await until(lambda: asyncio.get_running_loop().time() - began > 0.8)
    assert states == ["connected"]
    assert client.connected


@rule("JS-3")
async def test_a_server_that_goes_silent_is_noticed(scripted: Any, client_of: Any) -> None:
    """Half open: the connection stands, nothing is answered."""
    client = await client_of(scripted.port, heartbeat_seconds=0.05)
    first = await scripted.accept()
    assert await scripted.hear(first) == [None, "1", "phoenix", "heartbeat", {}]
    await first.wait_closed()
    assert first.close_code == client.close_code == 4000
    await scripted.answer(await scripted.accept())


@rule("HB-1")
async def test_an_answer_to_another_heartbeat_is_none(scripted: Any, client_of: Any) -> None:
    await client_of(scripted.port, heartbeat_seconds=0.05)
    first = await scripted.accept()
    await scripted.hear(first)
    await scripted.say(first, None, "77", "phoenix", "phx_reply", {"status": "ok", "response": {}})
    await first.wait_closed()
    assert first.close_code == 4000


@pytest.mark.parametrize(
    "frame",
    ["no JSON", "{}", "[1]", '[null, "1", "phoenix", "phx_reply", {}]', "[" * 100_000, b"", b"\x07", b"\x00\xff"],
)
async def test_a_frame_that_is_none_is_passed_over(scripted: Any, client_of: Any, frame: Any) -> None:
    client = await client_of(scripted.port)
    server = await scripted.accept()
    channel = client.channel("room:1")
    joining = asyncio.create_task(channel.join())
    await server.send(frame)
    await scripted.answer(server, {"n": 1})
    assert await joining == {"n": 1}


async def test_what_is_pushed_at_once_arrives_in_order(live: Any, client_of: Any) -> None:
    client = await client_of(live)
    channel = client.channel("room:1")
    heard: list[int] = []
    channel.on("message", lambda event, payload: heard.append(payload["n"]))
    await channel.join()
    payloads = [{"n": n, "text": "x" * (n % 7) * 3000} for n in range(300)]
    async with asyncio.TaskGroup() as pushing:
        for payload in payloads:
            pushing.create_task(channel.send("broadcast", payload))
    await channel.push("echo", {})
    assert heard == list(range(300))


async def test_a_message_that_is_too_big_ends_the_connection(scripted: Any, client_of: Any, until: Any) -> None:
    client = await client_of(scripted.port, max_message_bytes=1024)
    await (await scripted.accept()).send("x" * 2000)
    await scripted.accept()
    assert client.close_code == 1009
