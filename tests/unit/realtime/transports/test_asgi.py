"""Phoenix as an ASGI application: on servers of others, and mounted in applications of others."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from antiphon.realtime.admission.connect import ConnectInfo, Refused
from antiphon.realtime.channel import Channel
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.presence.presence import Presence
from antiphon.realtime.pubsub import PubSub
from antiphon.telemetry.metrics import Metrics
from tests.nodes import until
from tests.phoenix import configured
from tests.rules import rule
from tests.unit.realtime.transports.bytewise import Raw
from tests.unit.realtime.transports.hosting import HOSTS, Host, uvicorn_serves
from tests.unit.realtime.transports.polling import Poller


class Room(Channel):
    """What a room has to do here."""

    async def on_join(self, payload: Any, socket: Any) -> Any:
        if "gate" in payload:
            await asyncio.Event().wait()
        return {"params": socket.assigns["params"]} if "params" in payload else {}

    async def on_leave(self, reason: str, socket: Any) -> None:
        socket.app.ends.put_nowait((self.topic, reason))

    @Channel.on("mixed")
    async def mixed(self, payload: Any, socket: Any) -> Any:
        await self.push("pushed", {"n": 1})
        await self.broadcast("message", {"n": 2})
        await self.push("bytes", b"\x00\xff")
        await self.broadcast("message", {"n": 4})
        return {"n": 5}

    @Channel.on("wait")
    async def wait(self, payload: Any, socket: Any) -> Any:
        await socket.app.gate.wait()
        return {}

    async def on_message(self, payload: Any, socket: Any) -> Any:
        return {"size": len(payload)} if isinstance(payload, bytes) else payload


class Application(Phoenix):
    """One whose tests can see what happens in it."""

    def __init__(self, **settings: Any) -> None:
        self.counted = Metrics()
        config = configured(**{"close_seconds": 1.0, "longpoll": True, "longpoll_window": 0.3, **settings})
        super().__init__(
            config, metrics=self.counted, pubsub=PubSub(metrics=self.counted), presence=Presence(metrics=self.counted)
        )
        self.ends: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.route("room:*", Room)
        self.on_connect(self.let_in)
        self.socket_id = lambda socket: socket.assigns["params"].get("id")

    async def let_in(self, info: ConnectInfo) -> Any:
        if "refuse" in info.params:
            raise Refused(int(info.params["refuse"]), "not you", {"retry-after": "7"})
        if "crash" in info.params:
            raise RuntimeError("the connection crashes, as asked")
        return {"params": dict(info.params)}

    async def ended(self) -> tuple[str, str]:
        async with asyncio.timeout(10):
            return await self.ends.get()


class Talker:
    """A client that sends and sees frames."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, *frames: list[Any]) -> None:
        for frame in frames:
            await self.connection.send(json.dumps(frame))

    async def receive(self) -> Any:
        async with asyncio.timeout(10):
            found = await self.connection.recv()
            return found if isinstance(found, bytes) else json.loads(found)

    async def join(self, topic: str, payload: Any = None) -> Any:
        await self.send(["1", "1", topic, "phx_join", payload or {}])
        return await self.receive()

    async def closed(self) -> int | None:
        async with asyncio.timeout(10):
            await self.connection.wait_closed()
        return self.connection.close_code


class Clients:
    """Of one port."""

    def __init__(self, port: int, opened: AsyncExitStack) -> None:
        self.port = port
        self._opened = opened

    async def talker(self, query: str = "vsn=2.0.0", path: str = "/socket/websocket", **options: Any) -> Talker:
        url = f"ws://127.0.0.1:{self.port}{path}?{query}"
        options.setdefault("subprotocols", [Subprotocol("phoenix")])
        return Talker(await self._opened.enter_async_context(connect(url, proxy=None, **options)))

    async def refusal(self, *where: str, **options: Any) -> tuple[int, bytes]:
        with pytest.raises(InvalidStatus) as caught:
            await self.talker(*where, **options)
        return caught.value.response.status_code, bytes(caught.value.response.body or b"")

    async def poller(self, path: str = "/socket/longpoll") -> Poller:
        http = await self._opened.enter_async_context(aiohttp.ClientSession())
        return await Poller(http, f"http://127.0.0.1:{self.port}{path}").open()


Hosting = Callable[..., Awaitable[Clients]]


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture(params=sorted(HOSTS))
def host(request: pytest.FixtureRequest) -> Host:
    return HOSTS[request.param]


@pytest.fixture
def hosted(host: Host, opened: AsyncExitStack) -> Hosting:
    """Serves an application, and connects clients to it, which go first."""

    async def start(app: Any, **options: Any) -> Clients:
        port = await opened.enter_async_context(host(app, **options))
        return Clients(port, await opened.enter_async_context(AsyncExitStack()))

    return start


# --- WebSockets -----------------------------------------------------------------------------------------------------


@rule("MD-4", "MD-5", "AU-3", "BN-8")
async def test_frames_come_in_their_order(hosted: Hosting) -> None:
    talker = await (await hosted(Application())).talker()
    assert talker.connection.subprotocol == "phoenix"
    await talker.send(["1", "1", "room:1", "phx_join", {}], ["1", "2", "room:1", "mixed", {}])
    assert [await talker.receive() for _ in range(6)] == [
        ["1", "1", "room:1", "phx_reply", {"status": "ok", "response": {}}],
        ["1", None, "room:1", "pushed", {"n": 1}],
        [None, None, "room:1", "message", {"n": 2}],
        b"\x00\x01\x06\x051room:1bytes\x00\xff",
        [None, None, "room:1", "message", {"n": 4}],
        ["1", "2", "room:1", "phx_reply", {"status": "ok", "response": {"n": 5}}],
    ]
    await talker.connection.send(b"\0\1\1\6\4" + b"13room:1size" + b"\1\2\xff")
    assert (await talker.receive())[4]["response"] == {"size": 3}


async def test_a_broadcast_reaches_sockets_and_sessions(hosted: Hosting) -> None:
    app = Application()
    clients = await hosted(app)
    talkers, poller = [await clients.talker() for _ in range(3)], await clients.poller()
    for talker in talkers:
        await talker.join("room:1")
    await poller.join("room:1")
    for number in range(200):
        app.broadcast("room:1", "message", {"n": number, "text": "é🎵"})
    for talker in talkers:
        assert [(await talker.receive())[4]["n"] for _ in range(200)] == list(range(200))
    assert [frame[4]["n"] for frame in await poller.frames(200)] == list(range(200))


@rule("TR-3", "TR-9", "TR-12", "TR-13", "TR-14", "OR-8")
async def test_refusals_have_their_status(hosted: Hosting) -> None:
    clients = await hosted(Application())
    assert await clients.refusal("vsn=2.0.0&refuse=429") == (429, b"not you")
    for query, status in (("vsn=3.0.0", 403), ("vsn=2.0.0&crash=1", 500), ("vsn=2.0.0&a=%zz", 400)):
        assert (await clients.refusal(query))[0] == status
    assert (await clients.refusal("vsn=2.0.0", "/socket/elsewhere"))[0] == 404
    assert (await clients.refusal(origin="http://evil.example"))[0] == 403


@rule("TR-7", "TR-8", "LP-19")
async def test_plain_requests_and_long_poll(hosted: Hosting) -> None:
    clients = await hosted(Application())
    poller = await clients.poller()
    assert (await poller.join("room:1"))[4]["status"] == "ok"
    assert await poller.post(["1", "2", "room:1", "any", {"a": 1}]) == 200
    assert (await poller.frames(1))[0][4]["response"] == {"a": 1}
    assert (await poller.get())["status"] == 204
    poller.url = f"http://127.0.0.1:{clients.port}/socket/websocket"
    status, _, body = await poller.ask("GET")
    assert (status, body[:10]) == (400, b"the connec")
    poller.url = f"http://127.0.0.1:{clients.port}/elsewhere"
    assert (await poller.ask("GET"))[0] == 404


@rule("DC-2", "ER-6", "LM-1", "HB-6", "DC-5")
async def test_every_end_has_its_code(hosted: Hosting) -> None:
    app = Application(max_message_bytes=2048)
    clients = await hosted(app)
    user, bad, large, last = [await clients.talker(f"vsn=2.0.0&id=user:{n}") for n in range(4)]
    for talker in (user, bad, large):
        await talker.join("room:1")
    assert app.disconnect("user:0") == 1
    assert await user.closed() == 1001
    await bad.connection.send("no frame")
    assert await bad.closed() == 1011
    await large.connection.send(json.dumps(["1", "2", "room:1", "any", {"x": "x" * 3000}]))
    assert await large.closed() == 1009
    assert [await app.ended() for _ in range(3)] == [("room:1", "closed")] * 3
    await app.drain()
    assert await last.closed() == 1012
    assert (await clients.refusal())[0] == 503
    await until(lambda: len(app.sockets) == 0)


@rule("HB-4", "HB-6")
async def test_who_says_nothing_is_closed_and_who_says_something_is_not(hosted: Hosting) -> None:
    clients = await hosted(Application(idle_seconds=0.4))
    quiet, talking = await clients.talker(), await clients.talker()

    async def talk() -> None:
        while True:
            await talking.send([None, "1", "phoenix", "heartbeat", {}])
            await talking.receive()
            await asyncio.sleep(0.05)

    talk_on = asyncio.create_task(talk())
    assert await quiet.closed() == 1002
    assert not talk_on.done()
    talk_on.cancel()


@rule("DC-1", "JN-13")
async def test_a_client_that_vanishes_is_gone_from_its_channels(hosted: Hosting) -> None:
    app = Application()
    clients = await hosted(app)
    there, joining = await clients.talker(), await clients.talker()
    await there.join("room:1")
    await joining.send(["1", "1", "room:2", "phx_join", {"gate": True}])
    await until(lambda: b"antiphon_ws_channels 2.0" in app.counted.render())
    there.connection.transport.abort()
    joining.connection.transport.abort()
    assert await app.ended() == ("room:1", "closed")
    await until(lambda: len(app.sockets) == 0)
    assert app.members("room:1") == 0
    assert b"antiphon_ws_sockets 0.0" in app.counted.render()
    assert b"antiphon_ws_channels 0.0" in app.counted.render()


@rule("BC-11")
async def test_a_slow_client_is_let_go_and_slows_nobody(hosted: Hosting, logged: list[Any]) -> None:
    app = Application(blocked_bytes=128 * 1024)
    clients = await hosted(app)
    slow, other = await one_who_reads_nothing(clients.port), await clients.talker()
    await other.join("room:1")
    await until(lambda: app.members("room:1") == 2)
    number = 0
    while app.members("room:1") == 2:
        app.broadcast("room:1", "message", {"n": number, "text": "x" * 50_000})
        assert (await other.receive())[4]["n"] == number
        number += 1
        assert number < 2000, "the slow client is still there"
    assert await app.ended() == ("room:1", "closed")
    assert [line["limit"] for line in logged if line["event"] == "realtime.slow_consumer"] == ["bytes"]
    assert b'antiphon_ws_closed_total{code="1013"} 1.0' in app.counted.render()
    slow.writer.transport.abort()


@rule("BC-11")
async def test_a_client_that_takes_nothing_for_too_long_is_let_go(hosted: Hosting, logged: list[Any]) -> None:
    app = Application(blocked_bytes=64 * 1024 * 1024, blocked_seconds=0.2)
    clients = await hosted(app)
    slow = await one_who_reads_nothing(clients.port)
    await until(lambda: app.members("room:1") == 1)
    for number in range(400):
        app.broadcast("room:1", "message", {"n": number, "text": "x" * 20_000})
    assert await app.ended() == ("room:1", "closed")
    assert [line["limit"] for line in logged if line["event"] == "realtime.slow_consumer"] == ["seconds"]
    slow.writer.transport.abort()


async def one_who_reads_nothing(port: int) -> Raw:
    """A client that has asked to join, and does not even look at the answer."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
    client = Raw(*await asyncio.open_connection(sock=plain, limit=2**12))
    assert " 101 " in await client.request("/socket/websocket?vsn=2.0.0")
    client.write(1, b'["1","1","room:1","phx_join",{}]')
    return client


async def test_a_client_is_not_read_from_while_its_handlers_are_behind(hosted: Hosting) -> None:
    app = Application(max_queued_frames=4)
    talker = await (await hosted(app)).talker()
    await talker.join("room:1")
    await talker.send(*(["1", str(n), "room:1", "wait", {}] for n in range(20)))
    await until(lambda: app.frames_received >= 5 or b'direction="in"} 6.0' in app.counted.render())
    app.gate.set()
    assert [(await talker.receive())[1] for _ in range(20)] == [str(n) for n in range(20)]


async def test_many_replies_do_not_pile_up(hosted: Hosting) -> None:
    app = Application(blocked_bytes=256 * 1024)
    talker = await (await hosted(app)).talker()
    await talker.join("room:1")
    echo = ["1", "2", "room:1", "any", {"text": "x" * 20_000}]
    sending = asyncio.create_task(talker.send(*([echo] * 200)))
    for _ in range(200):
        assert len((await talker.receive())[4]["response"]["text"]) == 20_000
    await sending


# --- where it is served ---------------------------------------------------------------------------------------------


@rule("TR-1", "TR-6", "CI-1")
async def test_it_mounts_in_an_application_of_fastapi(hosted: Hosting) -> None:
    app = Application(mount="/at/:place", connect_info=("uri",))
    paths = []

    @app.on_connect
    async def connect(info: ConnectInfo) -> Any:
        assert info.uri is not None
        paths.append(info.uri.path)
        return {"params": dict(info.params)}

    api = FastAPI(lifespan=app.lifespan)
    api.mount("/live/é", app)
    clients = await hosted(api)
    talker = await clients.talker(path="/live/%C3%A9/at/home%20town/websocket")
    reply = await talker.join("room:1", {"params": True})
    assert reply[4]["response"]["params"] == {"vsn": "2.0.0", "place": "home town"}
    poller = await clients.poller("/live/%C3%A9/at/home/longpoll")
    assert (await poller.join("room:1"))[4]["status"] == "ok"
    assert paths == ["/live/%C3%A9/at/home%20town/websocket", "/live/%C3%A9/at/home/longpoll"]
    assert (await clients.refusal("vsn=2.0.0", "/live/%C3%A9/elsewhere"))[0] == 404


async def test_a_root_path_of_the_server_is_not_part_of_the_mount(opened: AsyncExitStack) -> None:
    port = await opened.enter_async_context(uvicorn_serves(Application(), root_path="/behind/proxy"))
    clients = Clients(port, opened)
    assert (await (await clients.talker()).join("room:1"))[4]["status"] == "ok"
    assert (await (await clients.poller()).join("room:1"))[4]["status"] == "ok"
    await opened.aclose()


async def test_an_application_that_is_not_open_says_what_to_do(hosted: Hosting, logged: list[Any]) -> None:
    api = FastAPI()
    api.mount("/", Application())
    clients = await hosted(api)
    assert (await clients.refusal())[0] == 503
    async with aiohttp.ClientSession() as http:
        assert (await Poller(http, f"http://127.0.0.1:{clients.port}/socket/longpoll").ask("GET"))[0] == 503
    said = [(line["event"], line["log_level"]) for line in logged]
    assert said == [("realtime.not_open", "error")]  # one a second, however many ask


async def test_the_life_of_the_server_is_that_of_the_application(host: Host) -> None:
    app = Application()
    async with host(app) as port, connect(f"ws://127.0.0.1:{port}/socket/websocket?vsn=2.0.0", proxy=None) as client:
        assert (await Talker(client).join("room:1"))[4]["status"] == "ok"
    assert not app.is_open
    assert await app.ended() == ("room:1", "closed")


# --- the words of ASGI ----------------------------------------------------------------------------------------------


def websocket(**scope: Any) -> dict[str, Any]:
    return {
        "type": "websocket", "scheme": "ws", "path": "/socket/websocket", "query_string": b"vsn=2.0.0",
        "headers": [(b"host", b"localhost")], **scope,
    }  # fmt: skip


async def asked(app: Application, scope: dict[str, Any], *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """What the application sends to a server that tells it this, and then nothing."""
    sent: list[dict[str, Any]] = []
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    async with asyncio.timeout(5):
        await app(scope, receive, send)
    return sent


async def test_without_the_extension_a_refusal_is_a_close() -> None:
    app = Application()
    async with app.lifespan():
        sent = await asked(app, websocket(query_string=b"refuse=429&vsn=2.0.0"), {"type": "websocket.connect"})
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert b'antiphon_ws_refused_total{status="429"} 1.0' in app.counted.render()


async def test_a_client_that_is_gone_before_it_is_let_in_is_no_socket() -> None:
    app = Application()
    async with app.lifespan():
        assert await asked(app, websocket(), {"type": "websocket.disconnect"}) == []
        sent = await asked(app, websocket(), {"type": "websocket.connect"}, {"type": "websocket.disconnect"})
        assert [message["type"] for message in sent] == ["websocket.accept"]
        assert len(app.sockets) == 0


@rule("TR-10")
async def test_an_id_that_is_nonsense_is_refused() -> None:
    app = Application()
    app.socket_id = lambda socket: 7
    async with app.lifespan():
        sent = await asked(app, websocket(extensions={"websocket.http.response": {}}), {"type": "websocket.connect"})
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 403


async def test_a_server_that_gives_no_raw_path_is_understood() -> None:
    app = Application(mount="/at/:place")
    async with app.lifespan():
        scope = websocket(path="/at/é town/websocket")
        message = {"type": "websocket.receive", "text": '["1","1","room:1","phx_join",{"params":1}]'}
        sent = await asked(app, scope, {"type": "websocket.connect"}, message, {"type": "websocket.disconnect"})
    assert [message["type"] for message in sent][:1] == ["websocket.accept"]


@rule("DC-2")
async def test_the_end_is_said_when_nothing_is_waited_for_any_more() -> None:
    """granian sends a close no sooner than nobody waits for a message."""
    app = Application()
    waiting, closed = asyncio.Event(), asyncio.Event()

    async def receive() -> Any:
        if not app.sockets:
            return {"type": "websocket.connect"}
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            waiting.clear()

    async def send(message: Any) -> None:
        if message["type"] == "websocket.close":
            assert not waiting.is_set()
            closed.set()

    async with app.lifespan(), asyncio.timeout(5):
        serving = asyncio.create_task(app(websocket(query_string=b"id=ann&vsn=2.0.0"), receive, send))
        await waiting.wait()
        app.disconnect("ann")
        await serving
    assert closed.is_set()


async def test_an_application_that_cannot_open_says_so() -> None:
    app = Application()

    async def fails() -> None:
        raise RuntimeError("no broker here")

    app.cluster.start = fails  # type: ignore[method-assign]
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError):
        await app({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.failed", "message": "no broker here"}]
    await app.close()
