"""Tens of thousands of frames of every kind, from raw noise to nearly right ones of each version, at one server.

A channel there echoes, broadcasts, crashes and listens to other topics. Beside it neighbours echo all the while: they
get each of their answers, in order, and at the end nothing is left of the others.
"""

import asyncio
import gc
import json
from collections.abc import Callable, Iterator, MutableMapping
from random import Random
from typing import Any

import pytest
import uvloop
from websockets.asyncio.client import ClientConnection, connect

from antiphon.realtime.channel import Channel
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.pubsub import PubSub
from antiphon.realtime.transports.websocket import WebSocketProtocol
from antiphon.telemetry.metrics import Metrics
from tests.hostile.effort import EFFORT, SECONDS
from tests.phoenix import configured
from tests.raw_frames import RawClient, client_frame, inflated, squeezed
from tests.rules import rule

FRAMES = 2500 * EFFORT
"""Frames of each kind."""

BURST, CROWD = 25, 8
"""Frames of one socket at most, and sockets at a time."""

CODES = {None, 1000, 1002, 1007, 1009, 1011, 1013}
"""How a socket may end; None where the client was gone before it was told."""

LONGEST = 30.0


class Target(Channel):
    """Does whatever it is asked."""

    async def on_join(self, payload: Any, socket: Any) -> Any:
        await self.subscribe("news:*")
        return {"hello": True}

    async def on_info(self, topic: str, message: Any) -> None:
        await self.push("news", {"of": topic})

    @Channel.out("seen")
    async def seen(self, event: str, payload: Any) -> None:
        await self.push(event, payload)

    @Channel.on("echo")
    async def echo(self, payload: Any, socket: Any) -> Any:
        return payload

    @Channel.on("later")
    async def later(self, payload: Any, socket: Any) -> Any:
        await asyncio.sleep(0)
        return {"late": True}

    @Channel.on("broadcast")
    async def to_all(self, payload: Any, socket: Any) -> None:
        await self.broadcast("seen", payload if isinstance(payload, (dict, bytes)) else {"it": payload})
        await self.broadcast_from("message", payload if isinstance(payload, (dict, bytes)) else {"it": payload})
        await self.app.pubsub.publish("news:1", None)

    @Channel.on("stop")
    async def end(self, payload: Any, socket: Any) -> None:
        self.stop()

    @Channel.on("crash")
    async def crash(self, payload: Any, socket: Any) -> None:
        raise RuntimeError("as asked")


class Quiet(Channel):
    """Where the neighbours are."""

    @Channel.on("echo")
    async def echo(self, payload: Any, socket: Any) -> Any:
        return payload


class Neighbour:
    """Says something, waits for exactly its answer, and so on until it is told to stop."""

    def __init__(self, connection: ClientConnection, topic: str) -> None:
        self._connection = connection
        self._topic = topic
        self._stopping = False
        self.echoes = 0

    async def begin(self) -> None:
        assert (await self._ask("1", "phx_join", {}))["status"] == "ok"
        self._running = asyncio.create_task(self._talk())

    async def end(self) -> None:
        self._stopping = True
        await self._running
        await self._connection.close()

    async def _talk(self) -> None:
        while not self._stopping:
            self.echoes += 1
            payload = {"n": self.echoes, "text": "x" * (self.echoes % 500)}
            assert await self._ask(str(self.echoes + 1), "echo", payload) == {"status": "ok", "response": payload}

    async def _ask(self, ref: str, event: str, payload: Any) -> Any:
        await self._connection.send(json.dumps(["1", ref, self._topic, event, payload]))
        async with asyncio.timeout(LONGEST):
            answer = json.loads(await self._connection.recv())
        assert answer[:4] == ["1", ref, self._topic, "phx_reply"]
        return answer[4]


class Siege:
    """The server, its neighbours, and what must come back to where it was."""

    def __init__(self, logged: list[MutableMapping[str, Any]]) -> None:
        self._logged = logged
        self.metrics = Metrics()
        self.pubsub = PubSub(metrics=self.metrics)
        config = configured(
            compression=True, max_message_bytes=100_000, close_seconds=0.5, max_channels=5, rate_limit_enabled=False
        )
        self.app = Phoenix(config, metrics=self.metrics, pubsub=self.pubsub)
        self.app.route("target:*", Target)
        self.app.route("quiet:*", Quiet)
        self.neighbours: list[Neighbour] = []
        self.faults: list[Any] = []

    async def begin(self) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.faults.append(context))
        await self.app.listen("127.0.0.1", 0)
        url = f"ws://127.0.0.1:{self.app.port}/socket/websocket?vsn=2.0.0"
        for number, compression in enumerate((None, "deflate")):
            connection = await connect(url, proxy=None, compression=compression)
            self.neighbours.append(Neighbour(connection, f"quiet:{number}"))
            await self.neighbours[-1].begin()
        self._before = self.figures()

    async def end(self) -> None:
        """Nothing of all that is left, and nobody has noticed."""
        try:
            deadline = asyncio.get_running_loop().time() + LONGEST
            while self.figures() != self._before and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.05)
            assert self.figures() == self._before
            for neighbour in self.neighbours:
                await neighbour.end()
                assert neighbour.echoes > 20
        finally:
            await self.app.stop()
        assert self.faults == []

    def read_the_log(self) -> None:
        """What went wrong; the errors themselves are let go of, for they hold all that they passed through."""
        for line in self._logged:
            if line["log_level"] in {"error", "critical"} and str(line["exc_info"]) != "as asked":
                self.faults.append(line)
        self._logged.clear()

    def figures(self) -> dict[str, float]:
        self.read_the_log()
        lines = self.metrics.render().decode().splitlines()
        gc.collect()
        held = [type(thing) for thing in gc.get_objects() if isinstance(thing, Socket | WebSocketProtocol | Channel)]
        return {
            **{line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("antiphon_ws_sockets ")},
            **{line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("antiphon_ws_channels ")},
            "connections": len(self.app.sockets),
            "topics": len(self.app.topics),
            "subscriptions": len(list(self.pubsub._subscriptions)),
            "held": len(held),
            # Those that wait for work to take over come and go.
            "tasks": sum(getattr(task.get_coro(), "_work", task) is not None for task in asyncio.all_tasks()),
        }


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


@pytest.fixture
def siege(runner: asyncio.Runner, logged: list[MutableMapping[str, Any]]) -> Iterator[Siege]:
    siege = Siege(logged)
    runner.run(siege.begin())
    yield siege
    runner.run(siege.end())


# --- what is sent -------------------------------------------------------------------------------------------------

TOPICS = ["target:1", "target:1", "target:2", "target:", "phoenix", "nowhere", "", "target:\x00", "t" * 300]
EVENTS = [
    "phx_join", "phx_join", "phx_leave", "echo", "echo", "broadcast", "later", "stop", "crash", "heartbeat",
    "phx_close", "phx_reply", "", "unknown",
]  # fmt: skip
REFS = ['"1"', '"1"', '"1"', "null", "1", '"2"', "{}", "[[]]", "1e999", '"\\ud83d\\ude00"']
PAYLOADS = [
    "{}", "{}", '{"a":1}', "null", "[]", "0", "-0.0", "1e308", "1e400", "18446744073709551616", "1" + "0" * 400, '"x"',
    '{"a":' * 40 + "1" + "}" * 40, "[" * 200 + "]" * 200, '"' + "\u00e4" * 3000 + '"', '{"a":1,"a":2}', '"\\ud800"',
    '{"__proto__":null}', "NaN", "", '{"status":"ok"}', '"\\u0000"', '{"text":"' + "x" * 90_000 + '"}',
]  # fmt: skip


def version_2(rng: Random) -> bytes:
    refs, topic, event = rng.choices(REFS, k=2), json.dumps(rng.choice(TOPICS)), json.dumps(rng.choice(EVENTS))
    return f"[{refs[0]},{refs[1]},{topic},{event},{rng.choice(PAYLOADS)}]".encode()


def version_1(rng: Random) -> bytes:
    refs, topic, event = rng.choices(REFS, k=2), json.dumps(rng.choice(TOPICS)), json.dumps(rng.choice(EVENTS))
    start = f'{{"topic":{topic},"event":{event},"payload":{rng.choice(PAYLOADS)},"ref":{refs[0]}'
    return (start + (f',"join_ref":{refs[1]}}}' if rng.random() < 0.5 else "}")).encode()


def binary(rng: Random) -> bytes:
    fields = [rng.choice(texts).encode()[:255] for texts in (["1", "1", "", "2"], ["1", "", "9" * 255], TOPICS, EVENTS)]
    return bytes((rng.choice([0, 0, 0, 0, 1, 2, 3, 4, 255]), *map(len, fields))) + b"".join(fields) + rng.randbytes(5)


def noise(rng: Random) -> bytes:
    return rng.randbytes(rng.choice([0, 1, 2, 5, 40, 125, 126, 3000]))


def bent(rng: Random, data: bytes) -> bytes:
    """The same with a few bytes changed, lost, doubled or put in."""
    bytes_ = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(bytes_) + 1)
        piece = bytes_[at : at + rng.randrange(1, 8)]
        bytes_[at : at + len(piece)] = rng.choice([rng.randbytes(len(piece)), b"", piece + piece, b'"', b"\xff", b","])
    return bytes(bytes_)


def framed(rng: Random, payload: bytes, first: int) -> bytes:
    """A message in as many fragments as it comes to, pings and pongs between them."""
    if rng.random() < 0.7:
        return client_frame(0x80 | first, payload)
    at = rng.randrange(len(payload) + 1)
    between = rng.choice([b"", client_frame(0x89, b"beat"), client_frame(0x8A, b""), client_frame(0x00, b"")])
    return client_frame(first, payload[:at]) + between + client_frame(0x80, payload[at:])


Make = Callable[[Random], bytes]


def messages(opcode: int, make: Make) -> Make:
    """Whole messages, of which every third is bent."""

    def frame(rng: Random) -> bytes:
        message = make(rng)
        return framed(rng, bent(rng, message) if rng.random() < 0.3 else message, opcode)

    return frame


SWOLLEN = [squeezed(bytes(size)) for size in (100, 99_999, 100_001, 10_000_000)]


def compressed(rng: Random) -> bytes:
    packed = squeezed(version_2(rng), 1) if rng.random() < 0.7 else rng.choice(SWOLLEN)
    return framed(rng, bent(rng, packed) if rng.random() < 0.3 else packed, 0x40 | rng.choice([1, 1, 2]))


def torn(rng: Random) -> bytes:
    """Frames of which the frame itself is bent: its bits, its length, its mask."""
    return bent(rng, framed(rng, version_2(rng), rng.randrange(16)))


KINDS: dict[str, tuple[str, Make]] = {
    "version 2": ("2.0.0", messages(1, version_2)),
    "version 1": ("1.0.0", messages(1, version_1)),
    "version 1 to 2": ("2.0.0", messages(1, version_1)),
    "binary": ("2.0.0", messages(2, binary)),
    "binary to 1": ("1.0.0", messages(2, binary)),
    "compressed": ("2.0.0", compressed),
    "torn": ("2.0.0", torn),
    "noise": ("2.0.0", noise),
}

JOIN = {
    "2.0.0": b'["1","1","target:1","phx_join",{}]',
    "1.0.0": b'{"topic":"target:1","event":"phx_join","payload":{},"ref":"1"}',
}


# --- attacking ----------------------------------------------------------------------------------------------------


def judge(vsn: str, first: int, payload: bytes) -> None:
    """What a server sends is of the protocol, whatever it was sent."""
    if first & 0x0F == 1:
        frame = json.loads(payload)
        assert (len(frame) == 5) if vsn == "2.0.0" else (set(frame) == {"topic", "event", "payload", "ref"})
    elif first & 0x0F == 2:
        assert vsn == "2.0.0"
        assert payload[0] in {0, 1, 2}
    else:
        assert first == 0x8A


async def attack(siege: Siege, rng: Random, vsn: str, make: Make, count: int) -> None:
    """One socket that joins, says all this, and then stays for the answers, or not."""
    headers = "sec-websocket-extensions: permessage-deflate\r\n" if make is compressed else ""
    client = await RawClient.connect(siege.app.port, f"/socket/websocket?vsn={vsn}", headers)
    try:
        sent = client_frame(0x81, JOIN[vsn]) + b"".join(make(rng) for _ in range(count))
        await client.send(sent, rng.choice([0, 0, 0, 1000, 17]) if len(sent) < 20_000 else 0)
        match rng.choice(["stay", "stay", "hang up", "vanish"]):
            case "stay":
                await client.send(client_frame(0x88, b"\x03\xe8"))
                heard, code = await client.frames()
                assert code in CODES
                for frame in heard:
                    judge(vsn, *inflated(*frame))
            case "hang up":
                client.hang_up()
    except ConnectionError:
        """It was told to go while it still spoke."""
    finally:
        client.abort()


@rule("ER-6", "ER-7", "ER-8", "DC-7")
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_frame_harms_anybody(runner: asyncio.Runner, siege: Siege, kind: str) -> None:
    vsn, make = KINDS[kind]
    rng = Random(f"{kind} {EFFORT}")

    async def storm() -> None:
        left = FRAMES
        while left > 0:
            counts = [rng.randrange(1, BURST) for _ in range(CROWD)]
            left -= sum(counts)
            async with asyncio.TaskGroup() as crowd:
                for count in counts:
                    crowd.create_task(attack(siege, Random(rng.random()), vsn, make, count))

    runner.run(storm())
