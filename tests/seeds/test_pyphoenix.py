"""The blocks of PyPhoenix's core concepts: one test each."""

import ast
import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from antiphon.errors import ServiceError
from antiphon.realtime.channel import Channel
from antiphon.realtime.client.channel import ClientChannel
from antiphon.realtime.client.options import ClientOptions
from antiphon.realtime.client.phoenix import PhoenixClient
from antiphon.realtime.client.push import PushError
from antiphon.realtime.config import PhoenixConfig, set_config
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.pubsub import PubSub
from antiphon.realtime.server import Server
from antiphon.telemetry.metrics import Metrics
from tests.phoenix import configured
from tests.programs import printed
from tests.seeds.extract import Block
from tests.seeds.running import having, prepare, public, run, run_async, sample

ROOM = Path(__file__).with_name("room.js")
PACKAGES = Path(__file__).parents[1] / "wire" / "node"
LONGEST = 10.0

Connect = Callable[[Phoenix], Any]


class Room(Channel):
    """Sends whatever it is told to everybody, and says that it did."""

    async def on_message(self, payload: Any, socket: Any) -> Any:
        await self.broadcast(self.event, payload)
        return {"sent": True}


@pytest.fixture
async def app() -> AsyncIterator[Phoenix]:
    """An application on a free port, without channels, with a pubsub and metrics of its own."""
    metrics = Metrics()
    app = Phoenix(configured(close_seconds=1.0), metrics=metrics, pubsub=PubSub(metrics=metrics))
    await app.listen("127.0.0.1", 0)
    yield app
    await app.stop()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects a client to an application that listens."""
    async with AsyncExitStack() as clients:

        async def enter(app: Phoenix) -> PhoenixClient:
            client = PhoenixClient(
                f"http://127.0.0.1:{app.port}/socket", options=ClientOptions(timeout_seconds=LONGEST)
            )
            return await clients.enter_async_context(client)

        yield enter


@pytest.fixture
def visit(node: str, npm_ci: Callable[[Path], Path]) -> Callable[[Phoenix], Any]:
    """Runs the visitor in JavaScript to its end and returns what it observed."""
    modules = npm_ci(PACKAGES) / "node_modules"

    async def run(app: Phoenix) -> list[Any]:
        url = f"ws://127.0.0.1:{app.port}/socket"
        return await printed(node, str(ROOM), url, env={**os.environ, "NODE_PATH": str(modules)})

    return run


class Heard:
    """The events that reach a channel of a client, to be waited for."""

    def __init__(self, channel: ClientChannel) -> None:
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        channel.on(None, lambda event, payload: self._events.put_nowait((event, payload)))

    async def next(self) -> tuple[str, Any]:
        async with asyncio.timeout(LONGEST):
            return await self._events.get()


# --- Phoenix application ------------------------------------------------------------------------------------------


@sample("pyphoenix-1")
async def test_an_application_serves_until_it_is_stopped(
    block: Block, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port 4000 may be somebody's: the listener alone is told to take another."""
    bound = []
    listening = asyncio.Event()
    start = Server.start

    async def start_elsewhere(server: Server, host: str, port: int) -> None:
        bound.append((host, port))
        await start(server, host, 0)
        listening.set()

    monkeypatch.setattr(Server, "start", start_elsewhere)
    program, names = prepare(block, {})
    serving = asyncio.create_task(program())
    async with asyncio.timeout(LONGEST):
        await listening.wait()
    app: Phoenix = names["app"]
    app.channel("room:*")(Room)
    channel = (await connect(app)).channel("room:lobby")
    heard = Heard(channel)
    await channel.join()
    with pytest.raises(ServiceError, match="already serving"):
        await app.listen("127.0.0.1", 0)
    assert await channel.push("hello", {"n": 1}) == {"sent": True}
    assert await heard.next() == ("hello", {"n": 1})
    assert not serving.done()
    await app.stop()
    async with asyncio.timeout(LONGEST):
        await serving
    assert bound == [("localhost", 4000)]


# --- Channels -----------------------------------------------------------------------------------------------------


@sample("pyphoenix-2")
async def test_a_room_greets_who_joins_and_repeats_what_is_said_to_all(
    block: Block, app: Phoenix, connect: Connect, visit: Callable[[Phoenix], Any]
) -> None:
    """With the npm package `phoenix` in the room and a client of ours beside it."""
    run(block, app=app)
    ours = (await connect(app)).channel("room:lobby")
    elsewhere = (await connect(app)).channel("room:other")
    heard, not_meant = Heard(ours), Heard(elsewhere)
    assert await ours.join() == {}
    await elsewhere.join()
    seen = await visit(app)
    assert seen == [
        ["joined", {}],
        ["new_message", {"text": "from JavaScript"}],
        ["left", {}],
    ]
    assert await heard.next() == ("new_message", {"text": "from JavaScript"})
    assert app.members("room:lobby") == 1
    with pytest.raises(PushError, match="unmatched topic"):
        await (await connect(app)).channel("user:123").join()
    app.broadcast("room:other", "last", {})
    assert await not_meant.next() == ("last", {})


# --- PubSub -------------------------------------------------------------------------------------------------------


@sample("pyphoenix-3")
async def test_a_pattern_hears_all_its_topics_and_no_other(block: Block) -> None:
    heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    names = await run_async(block, handle_room_message=lambda topic, message: heard.put_nowait((topic, message)))
    pubsub = names["pubsub"]
    assert pubsub is public("get_pubsub")()
    try:
        async with asyncio.timeout(LONGEST):
            assert await heard.get() == ("room:lobby", {"type": "announcement", "text": "Welcome!"})
        assert await pubsub.publish("user:123", {"text": "not for rooms"}) == 0
        assert await pubsub.publish("roomy", {"text": "not below room:"}) == 0
        assert await pubsub.publish("room:game:7", {"n": 1}) == 1
        async with asyncio.timeout(LONGEST):
            assert await heard.get() == ("room:game:7", {"n": 1})
    finally:
        await pubsub.unsubscribe("room:*", names["handle_room_message"])
    assert await pubsub.publish("room:lobby", {"text": "nobody listens"}) == 0


# --- Presence -----------------------------------------------------------------------------------------------------


@sample("pyphoenix-4")
async def test_who_is_tracked_is_listed_with_what_was_said_of_them(block: Block) -> None:
    before = time.time()
    names = await run_async(block, time=time)
    presences = names["presences"]
    assert list(presences) == ["user123"]
    (meta,) = presences["user123"]["metas"]
    assert (meta["username"], meta["status"]) == ("Alice", "online")
    assert before <= meta["joined_at"] <= time.time()
    assert await names["presence"].list("room:other") == {}


@sample("pyphoenix-5")
async def test_who_comes_and_goes_is_told(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    presence = public("get_presence")()
    run(block, presence=presence)
    await presence.track(pid="user7", topic="room:lobby", meta={"username": "Bob"})
    await presence.untrack(pid="user7", topic="room:lobby")
    assert capsys.readouterr().out.splitlines() == ["Bob joined room:lobby", "Bob left room:lobby"]


# --- Transport ----------------------------------------------------------------------------------------------------


@sample("pyphoenix-6")
async def test_the_frame_of_the_document_is_a_frame_on_the_wire(block: Block, app: Phoenix) -> None:
    frame = ast.literal_eval(block.text.partition("\n")[2])
    join_ref, ref, topic, event, payload = frame
    app.channel("room:*")(Room)
    url = f"http://127.0.0.1:{app.port}/socket/websocket?vsn=2.0.0"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket, asyncio.timeout(LONGEST):
        await socket.send_json([join_ref, "1", topic, "phx_join", {}])
        assert await socket.receive_json() == [
            join_ref,
            "1",
            topic,
            "phx_reply",
            {"status": "ok", "response": {}},
        ]
        await socket.send_json(frame)
        assert await socket.receive_json() == [None, None, topic, event, payload]
        answer = {"status": "ok", "response": {"sent": True}}
        assert await socket.receive_json() == [join_ref, ref, topic, "phx_reply", answer]


# --- Middleware ---------------------------------------------------------------------------------------------------


def room_with_middleware(app: Phoenix) -> Any:
    """A room of the application, whose middleware can be chosen."""
    channel = having(Room, "use_middleware")
    app.channel("room:*")(channel)
    return channel


@sample("pyphoenix-7")
async def test_who_has_a_token_comes_in_as_themselves(block: Block, app: Phoenix, connect: Connect) -> None:
    public("AuthMiddleware")
    run(block, channel=room_with_middleware(app))
    channel = (await connect(app)).channel("room:lobby", {"token": "t"})
    await channel.join()
    assert app.members("room:lobby") == 1


@sample("pyphoenix-8")
async def test_what_happens_in_a_channel_is_logged_without_what_is_said(
    block: Block, app: Phoenix, connect: Connect, logged: list[dict[str, Any]]
) -> None:
    public("LoggingMiddleware")
    run(block, channel=room_with_middleware(app))
    channel = (await connect(app)).channel("room:lobby")
    heard = Heard(channel)
    await channel.join()
    await channel.push("hello", {"text": "a secret"})
    assert await heard.next() == ("hello", {"text": "a secret"})
    assert any(event.get("topic") == "room:lobby" for event in logged)
    assert "a secret" not in str(logged)


@sample("pyphoenix-9")
async def test_ten_messages_a_second_pass_and_the_next_is_refused(block: Block, app: Phoenix, connect: Connect) -> None:
    public("RateLimitMiddleware")
    run(block, channel=room_with_middleware(app))
    channel = (await connect(app)).channel("room:lobby")
    await channel.join()
    said = [asyncio.create_task(channel.push("hello", {"n": n}, timeout=1)) for n in range(30)]
    answers = await asyncio.gather(*said, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, PushError)]
    assert 15 <= len(refused) <= 20


# --- Configuration ------------------------------------------------------------------------------------------------


@pytest.fixture
def usual_config() -> Iterator[None]:
    """What is set is for this test alone."""
    yield
    set_config(PhoenixConfig())


@sample("pyphoenix-10")
async def test_what_is_configured_holds_for_the_next_application(block: Block, usual_config: None) -> None:
    config = run(block)["config"]
    assert (config.host, config.port, config.debug) == ("0.0.0.0", 4000, False)  # noqa: S104 - the document's
    assert config.security.rate_limit_enabled is True
    assert (config.transport.max_connections, config.presence.cleanup_interval) == (10000, 300)
    assert public("Phoenix")().config == config
