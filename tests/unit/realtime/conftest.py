"""A real server with a room like the reference room, and a client that shows every frame."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from antiphon.errors import ServiceError
from antiphon.realtime.admission.connect import ConnectInfo, Refused
from antiphon.realtime.channel import Channel, Deferred, Rejected, Reply
from antiphon.realtime.config import PhoenixConfig
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.presence.presence import Presence
from antiphon.telemetry.metrics import Metrics
from tests.phoenix import configured


class Room(Channel):
    """What the tests make a server do. `gates` let a test decide when a handler goes on."""

    gates: dict[str, asyncio.Event]
    ends: asyncio.Queue[tuple[str, str]]
    deferred: Deferred

    async def on_join(self, payload: Any, socket: Any) -> Any:
        if isinstance(payload, bytes):
            return {"bytes": len(payload)}
        if "subscribe" in payload:
            self.listen_now()
        if "gate" in payload:
            await self.gate(payload["gate"])
        if "crash" in payload:
            raise RuntimeError("the secret of the join")
        if "deny" in payload:
            raise Rejected({"reason": payload["deny"]})
        if "push" in payload:
            await self.push("early", {})
        return payload.get("answer", {"assigns": self.assigns} if "assigns" in payload else None)

    async def after_join(self) -> None:
        if self.topic.startswith("room:after"):
            await self.push("welcome", {"topic": self.topic})

    async def on_leave(self, reason: str, socket: Any) -> None:
        if self.topic.startswith("room:slow_leave"):
            await self.gate("leave")
        while (
            self.topic.startswith("room:stubborn_leave")
            and not self.gates.setdefault("leave", asyncio.Event()).is_set()
        ):
            with suppress(asyncio.CancelledError):
                await self.gate("leave")
        await self.ends.put((self.topic, reason))

    def gate(self, name: str) -> Awaitable[Any]:
        return self.gates.setdefault(name, asyncio.Event()).wait()

    @Channel.on("echo")
    async def echo(self, payload: Any, socket: Any) -> Any:
        return payload

    @Channel.on("gated")
    async def gated(self, payload: Any, socket: Any) -> Any:
        async with asyncio.timeout(10):
            await self.gate(payload["gate"])
        return {"after": payload["gate"]}

    @Channel.on("error")
    async def error(self, payload: Any, socket: Any) -> Any:
        return Reply("error", payload)

    @Channel.on("reject")
    async def reject(self, payload: Any, socket: Any) -> Any:
        raise Rejected(payload)

    @Channel.on("status")
    async def status(self, payload: Any, socket: Any) -> Any:
        return Reply("maybe")

    @Channel.on("silent")
    async def silent(self, payload: Any, socket: Any) -> None:
        return None

    @Channel.on("defer")
    async def postpone(self, payload: Any, socket: Any) -> None:
        self.deferred = self.defer()

    @Channel.on("answer")
    async def answer(self, payload: Any, socket: Any) -> None:
        self.deferred.reply(payload)
        self.deferred.reply({}, "error")

    @Channel.on("broadcast")
    async def to_all(self, payload: Any, socket: Any) -> Any:
        await self.broadcast("message", payload)
        return payload.get("reply")

    @Channel.on("broadcast_from")
    async def to_others(self, payload: Any, socket: Any) -> None:
        await self.broadcast_from("message", payload)

    @Channel.on("mixed")
    async def mixed(self, payload: Any, socket: Any) -> Any:
        await self.push("pushed", {"n": 1})
        await self.broadcast("message", {"n": 2})
        await self.push("pushed", {"n": 3})
        await self.broadcast_from("message", {"n": 0})
        await self.broadcast("message", {"n": 4})
        return {"n": 5}

    @Channel.on("push")
    async def push_it(self, payload: Any, socket: Any) -> None:
        await self.push(payload.get("event", "pushed"), payload.get("value", payload))

    @Channel.on("bytes")
    async def bytes(self, payload: Any, socket: Any) -> None:
        await self.push("bytes", b"\x00\x01")

    @Channel.on("size")
    async def size(self, payload: Any, socket: Any) -> Any:
        return {"size": len(payload)}

    @Channel.on("crash")
    async def crash(self, payload: Any, socket: Any) -> Any:
        await self.push("before", {})
        raise RuntimeError("the secret of the handler")

    @Channel.on("unsendable")
    async def unsendable(self, payload: Any, socket: Any) -> Any:
        return {"nan": float("nan")}

    @Channel.on("stop")
    async def end(self, payload: Any, socket: Any) -> Any:
        self.stop(payload.get("reason", "normal"))
        return payload.get("reply")

    @Channel.on("assign")
    async def assign(self, payload: Any, socket: Any) -> Any:
        self.assigns.update(payload)
        return {"mine": self.assigns, "socket": socket.assigns}


class Quiet(Channel):
    """Has nothing but what every channel has."""


class Plain(Channel):
    """Handles every event in one place."""

    async def on_message(self, payload: Any, socket: Any) -> Any:
        return {"event": self.event, "join_ref": self.join_ref}


class Wire:
    """A client that sends and sees raw frames."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, *frames: list[Any]) -> None:
        """The frames, in as few packets as it takes."""
        for frame in frames:
            await self.connection.send(json.dumps(frame))

    async def receive(self) -> list[Any]:
        async with asyncio.timeout(5):
            return cast("list[Any]", json.loads(await self.connection.recv()))

    async def expect(self, *frames: list[Any]) -> None:
        """Exactly these frames, in this order."""
        assert [await self.receive() for _ in frames] == list(frames)

    async def nothing_more(self) -> None:
        """Everything sent before this has been answered: the next frame is the answer to a heartbeat."""
        await self.send([None, "barrier", "phoenix", "heartbeat", {}])
        await self.expect([None, "barrier", "phoenix", "phx_reply", {"status": "ok", "response": {}}])

    async def join(self, topic: str, payload: Any = None, join_ref: Any = "1") -> list[Any]:
        await self.send([join_ref, join_ref, topic, "phx_join", payload or {}])
        return await self.receive()

    async def closed(self) -> int | None:
        """Waits for the end of the connection and tells its close code."""
        async with asyncio.timeout(5):
            await self.connection.wait_closed()
        return self.connection.close_code


class Live:
    """A served application and the clients of one test."""

    def __init__(self, config: PhoenixConfig, **application: Any) -> None:
        self.metrics = Metrics()
        application.setdefault("presence", Presence(metrics=self.metrics))
        self.app = Phoenix(config, metrics=self.metrics, **application)
        self.gates: dict[str, asyncio.Event] = {}
        self.ends: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.clients = AsyncExitStack()
        self.app.route("room:*", self.room, flavour="room")
        self.app.channel("quiet")(Quiet)
        self.app.channel("plain:*")(Plain)
        self.app.route("broken", self.broken)
        self.app.on_connect(self.let_in)
        self.app.socket_id = lambda socket: socket.assigns.get("socket_id")

    def room(self) -> Channel:
        room = Room()
        room.gates, room.ends = self.gates, self.ends
        return room

    def broken(self) -> Channel:
        raise RuntimeError("the secret of the factory")

    async def let_in(self, info: ConnectInfo) -> Any:
        if "refuse" in info.params:
            raise Refused(int(info.params["refuse"]))
        if "gate" in info.params:
            await self.gates.setdefault(info.params["gate"], asyncio.Event()).wait()
        if "unavailable" in info.params:
            raise ServiceError("the store is full")
        if "crash" in info.params:
            raise RuntimeError("the secret of the connection")
        if "nonsense" in info.params:
            return ["not", "a", "dict"]
        if "id" in info.params:
            return {"socket_id": 7 if info.params["id"] == "seven" else info.params["id"]}
        return {"params": info.params, "headers": dict(info.x_headers)}

    def open(self, gate: str) -> None:
        self.gates.setdefault(gate, asyncio.Event()).set()

    async def reached(self, gate: str) -> None:
        """Waits until a handler stands before the gate."""
        async with asyncio.timeout(5):
            while gate not in self.gates:
                await asyncio.sleep(0.001)

    async def ended(self) -> tuple[str, str]:
        async with asyncio.timeout(5):
            return await self.ends.get()

    def url(self, query: str = "vsn=2.0.0", mount: str = "/socket") -> str:
        return f"ws://127.0.0.1:{self.app.port}{mount}/websocket?{query}"

    async def wire(self, query: str = "vsn=2.0.0", mount: str = "/socket", **options: Any) -> Wire:
        options.setdefault("subprotocols", [Subprotocol("phoenix")])
        connection = await self.clients.enter_async_context(connect(self.url(query, mount), proxy=None, **options))
        return Wire(connection)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Live]]]:
    """Starts servers with settings of their own."""
    started: list[Live] = []

    async def start(application: dict[str, Any] | None = None, **settings: Any) -> Live:
        config = configured(**{"close_seconds": 1.0, "connect_info": ("x_headers",), **settings})
        live = Live(config, **(application or {}))
        await live.app.listen("127.0.0.1", 0)
        started.append(live)
        return live

    yield start
    for live in started:
        for gate in live.gates:
            live.open(gate)
        await live.clients.aclose()
        await live.app.stop()


@pytest.fixture
async def live(serve: Callable[..., Awaitable[Live]]) -> Live:
    """A server with the usual settings."""
    return await serve()


@pytest.fixture
async def wire(live: Live) -> Wire:
    """A client of it."""
    return await live.wire()
