"""The client against a real server, and against breaks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

from antiphon.errors import ServiceError
from antiphon.realtime.client import PhoenixClient, PushError


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[..., Any]]:
    opened: list[PhoenixClient] = []

    async def open_client(live: Any, **options: Any) -> PhoenixClient:
        options.setdefault("delays", (0.01,))
        client = PhoenixClient(f"http://127.0.0.1:{live.app.port}/socket", **options)
        opened.append(client)
        await client.connect()
        return client

    yield open_client
    for client in opened:
        await client.close()


def reached(seen: list[Any], count: int) -> bool:
    return len(seen) == count


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_join_push_listen_leave(live: Any, client_of: Any) -> None:
    client = await client_of(live, params={"who": "ann"})
    channel = client.channel("room:1", {"answer": {"hello": 1}})
    events: list[Any] = []
    channel.on("message", lambda event, payload: events.append((event, payload)))
    channel.on(None, lambda event, payload: events.append(event))
    assert await channel.join() == {"hello": 1}
    assert await channel.push("echo", {"n": 1}) == {"n": 1}
    live.app.broadcast("room:1", "message", {"n": 2})
    await until(lambda: len(events) == 2)
    assert events == [("message", {"n": 2}), "message"]
    await channel.leave()
    assert not channel.joined
    assert await live.ended() == ("room:1", "left")


async def test_refusals_are_errors_with_their_reason(live: Any, client_of: Any) -> None:
    client = await client_of(live)
    with pytest.raises(PushError, match="phx_join with error: full") as caught:
        await client.channel("room:1", {"deny": "full"}).join()
    assert (caught.value.status, caught.value.response) == ("error", {"reason": "full"})
    channel = client.channel("room:2")
    await channel.join()
    with pytest.raises(PushError, match="error"):
        await channel.push("error", {"why": 1})
    with pytest.raises(TimeoutError):
        await channel.push("silent", {}, timeout=0.05)


async def test_a_server_that_is_not_there_is_one_sentence(free_port: int) -> None:
    with pytest.raises(ServiceError, match="is the server running"):
        await PhoenixClient(f"http://127.0.0.1:{free_port}/socket").connect()


async def test_a_server_that_refuses_is_one_sentence(live: Any, client_of: Any) -> None:
    with pytest.raises(ServiceError, match="HTTP 429"):
        await client_of(live, params={"refuse": "429"})


async def test_after_a_break_it_comes_back_and_asks_again_what_to_join_with(live: Any, client_of: Any) -> None:
    states: list[str] = []
    client = await client_of(live, params={"id": "ann"}, on_status=states.append)
    joins: list[Any] = []
    channel = client.channel("room:1", lambda: {"answer": {"join": len(joins) + 1}})
    channel.on_joined = joins.append
    await channel.join()
    for count in (2, 3):
        live.app.disconnect("ann")
        await until(partial(reached, joins, count))
    assert joins == [{"join": 1}, {"join": 2}, {"join": 3}]
    assert states == ["connected", "reconnecting", "connected", "reconnecting", "connected"]
    assert await channel.push("echo", {"n": 1}) == {"n": 1}
    await client.close()
    assert states[-1] == "closed"


async def test_what_follows_a_join_at_once_is_told_after_its_answer(live: Any, client_of: Any) -> None:
    client = await client_of(live)
    channel = client.channel("room:after")
    seen: list[Any] = []
    channel.on_joined = lambda response: seen.append("joined")
    channel.on("welcome", lambda event, payload: seen.append(event))
    await channel.join()
    await until(partial(reached, seen, 2))
    assert seen == ["joined", "welcome"]


async def test_a_listener_that_raises_is_reported_and_harms_nothing(live: Any, client_of: Any) -> None:
    reports: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context["exception"]))
    client = await client_of(live)
    channel = client.channel("room:1")
    await channel.join()

    def fails(event: str, payload: Any) -> None:
        raise RuntimeError("boom")

    channel.on("message", fails)
    live.app.broadcast("room:1", "message", {})
    await until(partial(reached, reports, 1))
    assert await channel.push("echo", {"n": 1}) == {"n": 1}
    asyncio.get_running_loop().set_exception_handler(None)


async def test_a_push_under_way_when_the_connection_breaks_fails(live: Any, client_of: Any) -> None:
    client = await client_of(live, params={"id": "ann"})
    channel = client.channel("room:1")
    await channel.join()
    pushing = asyncio.create_task(channel.push("gated", {"gate": "never"}))
    await live.reached("never")
    live.app.disconnect("ann")
    with pytest.raises(ServiceError, match="broke before the answer"):
        await pushing


async def test_a_left_channel_does_not_come_back(live: Any, client_of: Any) -> None:
    states: list[str] = []
    client = await client_of(live, params={"id": "ann"}, on_status=states.append)
    stays, left = client.channel("room:1"), client.channel("room:2")
    await stays.join()
    await left.join()
    await left.leave()
    live.app.disconnect("ann")
    await until(lambda: states[-1] == "connected" and len(states) == 3 and stays.joined)
    assert live.app.members("room:1") == 1
    assert live.app.members("room:2") == 0


async def test_a_channel_that_the_server_closed_is_over(live: Any, client_of: Any) -> None:
    client = await client_of(live)
    channel = client.channel("room:1")
    await channel.join()
    with pytest.raises(TimeoutError):
        await channel.push("stop", {}, timeout=0.05)
    await until(lambda: not channel.joined)


async def test_a_channel_that_crashed_is_joined_again(live: Any, client_of: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("antiphon.realtime.client._REJOIN_SECONDS", (0.01,))
    client = await client_of(live)
    channel = client.channel("room:1")
    joins: list[Any] = []
    channel.on_joined = joins.append
    await channel.join()
    with pytest.raises(TimeoutError):
        await channel.push("crash", {}, timeout=0.05)
    await until(lambda: len(joins) == 2)
    assert await channel.push("echo", {"n": 1}) == {"n": 1}


async def test_a_channel_made_anew_takes_the_place_of_one_that_is_coming_back(live: Any, client_of: Any) -> None:
    """Whoever tries again after a break must not be displaced for ever by the attempt before."""
    client = await client_of(live)
    first = client.channel("room:1", {"gate": "first"})
    joining = asyncio.create_task(first.join())
    await live.reached("first")
    first.reconnected()
    second = client.channel("room:1")
    joining.cancel()
    live.open("first")
    await second.join()
    for _ in range(3):
        assert await second.push("echo", {"n": 1}, timeout=1) == {"n": 1}
        await asyncio.sleep(0.01)
    assert second.joined
    assert live.app.members("room:1") == 1


@pytest.mark.parametrize("frame", ["no JSON", "{}", "[1]", '[null, "1", "phoenix", "phx_reply", {}]'])
async def test_a_frame_that_is_none_is_passed_over(live: Any, client_of: Any, frame: str) -> None:
    client = await client_of(live)
    channel = client.channel("room:1")
    await channel.join()
    for connection in live.app.connections:
        connection.send(frame.encode())
    assert await channel.push("echo", {"n": 1}, timeout=1) == {"n": 1}


async def test_heartbeats_keep_the_connection_up(serve: Any, client_of: Any) -> None:
    live = await serve(idle_seconds=0.3)
    states: list[str] = []
    await client_of(live, heartbeat_seconds=0.05, on_status=states.append)
    await asyncio.sleep(0.8)
    assert states == ["connected"]


async def test_a_server_that_goes_silent_is_noticed(serve: Any, client_of: Any) -> None:
    """Half open: the connection stands, nothing is answered."""
    silent = await asyncio.start_server(answer_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    states: list[str] = []
    client = PhoenixClient(
        f"http://127.0.0.1:{port}/socket",
        heartbeat_seconds=0.05,
        timeout_seconds=0.2,
        delays=(0.01,),
        on_status=states.append,
    )
    await client.connect()
    await until(lambda: "reconnecting" in states)
    await client.close()
    silent.close()


async def answer_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    from antiphon.realtime.transports.handshake import accept, parse_request

    writer.write(accept(parse_request(await reader.readuntil(b"\r\n\r\n"))))
    while await reader.read(1000):
        pass
    writer.close()


async def test_it_knows_with_what_code_its_connection_ended(serve: Any, client_of: Any) -> None:
    live = await serve(max_message_bytes=1024)
    told: list[str] = []
    client: PhoenixClient = await client_of(live, on_status=told.append)
    channel = client.channel("room:1")
    await channel.join()
    assert client.close_code is None
    with pytest.raises(ServiceError):
        await channel.push("echo", {"text": "x" * 5000})
    await until(lambda: told[:3] == ["connected", "reconnecting", "connected"])
    assert client.close_code == 1009
