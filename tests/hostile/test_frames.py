"""Frames that no client of good will sends, at a server where somebody else talks on and must not notice."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from antiphon.workspace import Workspace
from tests.hostile import contract
from tests.hostile.effort import EFFORT, SECONDS
from tests.serving import LONGEST, Visitor, Visitors, serving

# Attacks by their number are met elsewhere: here every frame is to reach its handler.
SETTINGS = {"transport": {"close_seconds": 0.2, "max_channels": 20}, "security": {"rate_limit_enabled": False}}
ATTACKED = "conversation:<attacked>"
"""Stands for the conversation that all attackers share; it is not the neighbour's."""

ERRORS, CLOSINGS, PUSHES = contract.codes(), contract.closings(), contract.pushes()
OF_THE_ENGINE = {"phx_reply", "phx_close"}


class Siege:
    """A server, its neighbour who talks on, and what both looked like before."""

    def __init__(self, workspace: Workspace, visitors: Visitors) -> None:
        self.workspace = workspace
        self._visitors = visitors
        self._said = 0
        self.topic = ""
        self.neighbour: Visitor

    async def begin(self) -> None:
        self.neighbour = await self._visitors.enter(self.workspace.url, client_id="neighbour")
        maker = await self._visitors.connect(self.workspace.url)
        self.topic = f"conversation:{await self._visitors.new_conversation(maker, 'attacked')}"
        await maker.close()
        await self.unharmed()
        await self.quiet()
        self._before = self.figures()

    async def unharmed(self) -> None:
        """The neighbour asks, and gets exactly its answer."""
        self._said += 1
        answer = await self.neighbour.ask(f"!echo {self._said}")
        assert (answer["text"], answer["end"]["status"]) == (str(self._said), "answered")

    async def end(self) -> None:
        """Nothing of all that is left, and the neighbour saw its own conversation only, each message once."""
        await self.unharmed()
        await self.quiet()
        async with asyncio.timeout(LONGEST):
            while self.figures() != self._before:
                await asyncio.sleep(0.01)
        assert [message["text"] for message in self.neighbour.shown()] == [
            text for number in range(1, self._said + 1) for text in (f"!echo {number}", str(number))
        ]
        assert self.neighbour.joins == 1

    async def quiet(self) -> None:
        """Every turn has ended."""
        async with asyncio.timeout(LONGEST):
            ended = {b"antiphon_turns_running 0.0", b"antiphon_turns_waiting 0.0"}
            while not ended <= set(self.workspace.metrics.render().splitlines()):
                await asyncio.sleep(0.01)

    def figures(self) -> dict[str, float]:
        """What must come back to where it was."""
        phoenix, lines = self.workspace.phoenix, self.workspace.metrics.render().decode().splitlines()
        gauges = ("antiphon_ws_sockets ", "antiphon_ws_channels ", "antiphon_store_waiting")
        return {
            **{line.split()[0]: float(line.split()[1]) for line in lines if line.startswith(gauges)},
            "connections": len(phoenix.sockets),
            "topics": len(phoenix.topics),
            "members": sum(len(topic.members) for topic in phoenix.topics._topics.values()),
            "subscriptions": len(list(self.workspace.pubsub._subscriptions)),
            "tasks": len(asyncio.all_tasks()) - self._spare,
        }

    @property
    def _spare(self) -> int:
        """Tasks that wait for work to take over: one for each depth of each stepper, made anew when it is used up."""
        steppers = [self.workspace.phoenix.stepper, *self.workspace.pubsub._steppers.values()]
        return sum(len(stepper._spares) for stepper in steppers)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """One loop for all examples, so that they meet the same server."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def siege(runner: asyncio.Runner, tmp_path: Path, logged: list[MutableMapping[str, Any]]) -> Iterator[Siege]:
    visitors = Visitors()
    entered = serving(tmp_path, realtime=SETTINGS)
    siege = Siege(runner.run(entered.__aenter__()), visitors)
    try:
        runner.run(siege.begin())
        yield siege
        runner.run(siege.end())
    finally:
        runner.run(visitors.close())
        runner.run(entered.__aexit__(None, None, None))
    gc.collect()
    assert [line for line in logged if line["log_level"] in {"error", "critical"}] == []


# --- what is sent -------------------------------------------------------------------------------------------------

Said = tuple[str, str, str, str] | str | bytes
"""A frame as (join_ref, topic, event, payload), refs and payloads as JSON text; or what is none."""

NASTY = st.sampled_from([
    "null", "true", "0", "-1", "1.5", "-0.0", "1e308", "9007199254740993", "18446744073709551616",
    "-9223372036854775809",
    "1" + "0" * 400, "1e400", '""', '"x"', '"\\u0000"', '"\\ud83d\\ude00"', '"\u202e\ufffe"', '"\\u202e"', "[]", "{}",
    '"' + "x" * 100_001 + '"', '"' + "\\u0000" * 300 + '"', '"' + "\u00e4" * 60_000 + '"', "[" * 40 + "]" * 40,
    '{"a":' * 40 + "1" + "}" * 40, '{"a":1,"a":2}', '{"__proto__":{"x":1}}', '{"turn_id":"x","seq":-1}', '{"seq":1e3}',
    '"01M7YTFAF3A5C20VBDC381VVAW"', '{"turn_id":"01M7YTFAF3A5C20VBDC381VVAW","seq":99999999999999999999}', '"!echo a"',
])  # fmt: skip
"""JSON of values that some part might not expect."""

BROKEN = st.sampled_from([
    "", "{", "[]", "null", "\x00", '"\\ud800"', "NaN", "[" * 5000, "[" * 150 + "]" * 150, "[1,2,3,4,5]", "\ufeff[]",
    '["1","1","a","b",{}', '["1","1","a","b","\\ud800"]', '["1","1","a","b",NaN]', b"\xff", b'["1","1","a","b","\xff"]',
    '["1","1","a","b",' + "[" * 150 + "]" * 150 + "]",
])  # fmt: skip
"""What is no frame, as text or as bytes that are no text."""

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
)
JSON = NASTY | ANYTHING.map(json.dumps)
FIELDS = sorted(
    {field for sent in (*contract.joins(), *contract.events()) for field in sent.fields} | {"seq", "person"}
)
TOPICS = st.sampled_from([
    ATTACKED, ATTACKED, ATTACKED, "conversation:new", "conversations", "conversation:", "conversation:*",
    "person:local",
    "conversation:01M7YTFAF3A5C20VBDC381VVAW", "conversation:new ", "conversation:\x00", "phoenix", "*", "",
    "x" * 70_000,
]) | WORDS  # fmt: skip
STRAY = st.sampled_from(["phx_reply", "phx_close", "phx_error", "heartbeat", "turn_end", "delta", "", "\x00"]) | WORDS
REFS = st.sampled_from(['"1"', '"1"', '"1"', "null", "1", '"2"', "{}", "[[]]", "1e5", '"' + "r" * 5000 + '"'])


@st.composite
def payloads(draw: st.DrawFn, fields: tuple[str, ...]) -> str:
    """The documented fields with undocumented values, or something else altogether."""
    if draw(st.integers(0, 4)) == 0:
        return draw(JSON)
    chosen = [field for field in fields if draw(st.booleans())] + draw(st.lists(st.sampled_from(FIELDS), max_size=1))
    return "{" + ",".join(f'"{field}":{draw(JSON)}' for field in dict.fromkeys(chosen)) + "}"


@st.composite
def frames(draw: st.DrawFn) -> tuple[str, str, str, str]:
    """(join_ref, topic, event, payload), refs and payloads as JSON text."""
    if draw(st.integers(0, 3)) == 0:
        topic, event, payload = draw(TOPICS), draw(STRAY | st.just("phx_leave")), draw(JSON)
    else:
        sent = draw(st.sampled_from([*contract.joins(), *contract.events()]))
        topic = draw(TOPICS) if draw(st.integers(0, 5)) == 0 else sent.topic.replace("conversation:*", ATTACKED)
        event, payload = sent.event, draw(payloads(sent.fields))
    return draw(REFS), topic, event, payload


# --- attacking ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def attacker(siege: Siege) -> AsyncIterator[ClientConnection]:
    url = f"{siege.workspace.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0"
    async with connect(url, proxy=None, max_size=None, close_timeout=1) as socket:
        yield socket


async def hear(socket: ClientConnection, until: set[str]) -> dict[str, list[dict[str, Any]]]:
    """Replies by ref, until these have come or the connection ends. All that is heard must be as documented."""
    replies: dict[str, list[dict[str, Any]]] = {}
    try:
        async with asyncio.timeout(LONGEST):
            while not until <= set(replies):
                _, ref, topic, event, payload = json.loads(await socket.recv())
                assert isinstance(topic, str)
                assert isinstance(payload, dict)
                assert event in OF_THE_ENGINE or event in PUSHES, event
                if event == "phx_reply":
                    judge(payload)
                    replies.setdefault(ref, []).append(payload)
    except ConnectionClosed:
        assert socket.close_code in CLOSINGS, socket.close_code
    return replies


def judge(reply: dict[str, Any]) -> None:
    """An answer has the documented form, whatever it answers."""
    assert set(reply) == {"status", "response"}
    if reply["status"] != "ok":
        assert reply["status"] == "error"
        assert isinstance(reply["response"]["reason"], str)
        assert reply["response"]["reason"]
        assert reply["response"].get("code", "service") in ERRORS


def awaited(said: list[Said]) -> set[str]:
    """Refs of what must be answered: every join, and whatever is said in a conversation that stays joined."""
    known = [(f"f{number}", frame) for number, frame in enumerate(said) if isinstance(frame, tuple)]
    here = [frame for _, frame in known if frame[1] == ATTACKED]
    stays = all(frame[0] == '"1"' and frame[2] not in {"phx_join", "phx_leave"} for frame in here)
    return {
        ref
        for ref, (_, topic, event, _) in known
        if event == "phx_join" or (stays and topic == ATTACKED and event != "typing")
    }


async def storm(siege: Siege, said: list[Said], *, polite: bool) -> None:
    """One socket that joins properly, says all this, and stays for the answers or is gone at once."""
    async with attacker(siege) as socket:
        await socket.send(json.dumps(["1", "join", siege.topic, "phx_join", {}]))
        try:
            for number, frame in enumerate(said):
                if isinstance(frame, tuple):
                    join_ref, topic, event, payload = frame
                    where, what = json.dumps(topic.replace(ATTACKED, siege.topic)), json.dumps(event)
                    await socket.send(f'[{join_ref},"f{number}",{where},{what},{payload}]')
                else:
                    await socket.send(frame, text=True)
            await socket.send('[null,"last","phoenix","heartbeat",{}]')
        except ConnectionClosed:
            pass
        if not polite:
            socket.transport.abort()
            return
        replies = await hear(socket, {"join", "last"} | awaited(said))
        assert all(len(answers) == 1 for answers in replies.values()), "a frame is answered once"


@pytest.mark.timeout(SECONDS)
def test_no_frame_disturbs_anybody(runner: asyncio.Runner, siege: Siege) -> None:
    rounds = 0

    @settings(max_examples=200 * EFFORT, suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow])
    @given(said=st.lists(frames(), min_size=1, max_size=25), end=st.none() | BROKEN, polite=st.booleans())
    @example(said=[('"1"', "conversations", "phx_join", "{}")] * 50, end=None, polite=True)
    @example(said=[('"1"', ATTACKED, "message", '{"text":"!echo x"}')] * 50, end=None, polite=False)
    @example(said=[], end=b"\xff\xfe", polite=True)
    def attack(said: list[Said], end: Said | None, polite: bool) -> None:
        nonlocal rounds
        rounds += 1
        runner.run(storm(siege, said if end is None else [*said, end], polite=polite))
        if rounds % 10 == 0:
            runner.run(siege.unharmed())

    attack()


# --- joining, again and again -------------------------------------------------------------------------------------


def test_a_thousand_joins(runner: asyncio.Runner, siege: Siege, logged: list[MutableMapping[str, Any]]) -> None:
    """Of one conversation, of a thousand that do not exist, and of topics that nobody serves: each is answered once."""

    async def join() -> None:
        async with attacker(siege) as socket:
            for number in range(1000):
                for name, topic in (
                    ("a", siege.topic),
                    ("b", f"conversation:{number:026}"),
                    ("c", f"nothing:{number}"),
                ):
                    await socket.send(json.dumps([f"{name}{number}", f"{name}{number}", topic, "phx_join", {}]))
            replies = await hear(socket, {f"{name}{number}" for name in "abc" for number in range(1000)})
            outcomes = {name: {replies[f"{name}{number}"][0]["status"] for number in range(1000)} for name in "abc"}
            assert outcomes == {"a": {"ok"}, "b": {"error"}, "c": {"error"}}
            assert all(len(answers) == 1 for answers in replies.values())
            assert siege.workspace.phoenix.members(siege.topic) == 1

    runner.run(join())
    assert sum(line["log_level"] == "warning" for line in logged) < 15, "a client that tries much must not fill the log"


STEPS = st.lists(st.sampled_from(["phx_join", "phx_join", "phx_leave", "history", "gone"]), min_size=1, max_size=30)


@pytest.mark.timeout(SECONDS)
def test_joining_and_leaving_in_any_order(runner: asyncio.Runner, siege: Siege) -> None:
    """Every join is answered ok and every leave too; the last of them decides who is there."""

    async def play(steps: list[str]) -> None:
        async with attacker(siege) as socket:
            join_ref, refs = "0", []
            for number, step in enumerate(steps):
                if step == "gone":
                    socket.transport.abort()
                    return
                join_ref = f"r{number}" if step == "phx_join" else join_ref
                refs += [] if step == "history" else [f"r{number}"]
                payload = {"before": 5} if step == "history" else {}
                await socket.send(json.dumps([join_ref, f"r{number}", siege.topic, step, payload]))
            replies = await hear(socket, set(refs))
            assert [replies[ref][0]["status"] for ref in refs] == ["ok"] * len(refs)
            decisive = next((step for step in reversed(steps) if step != "history"), "phx_leave")
            assert siege.workspace.phoenix.members(siege.topic) == (decisive == "phx_join")

    async def gone() -> None:
        async with asyncio.timeout(LONGEST):
            while siege.workspace.phoenix.members(siege.topic):
                await asyncio.sleep(0.001)

    @settings(max_examples=100 * EFFORT)
    @given(steps=STEPS)
    def race(steps: list[str]) -> None:
        runner.run(play(steps))
        runner.run(gone())

    race()


# --- what is no frame of a WebSocket ------------------------------------------------------------------------------


def masked(payload: bytes) -> bytes:
    """A text frame with a mask of zeros."""
    return bytes((0x81, 0x80 | len(payload))) + bytes(4) + payload


@pytest.mark.timeout(SECONDS)
def test_bytes_that_are_no_frames(runner: asyncio.Runner, siege: Siege) -> None:
    """Behind the handshake, whatever comes ends with a documented close, or waits for the rest of a frame."""
    host, port = siege.workspace.url.removeprefix("http://").split(":")
    upgrade = (
        "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    async def throw(data: bytes) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(upgrade.encode())
            await reader.readuntil(b"\r\n\r\n")
            writer.write(data + b"\x88\x80" + bytes(4))
            writer.write_eof()
            async with asyncio.timeout(LONGEST):
                heard = await reader.read()
            if (at := heard.rfind(b"\x88\x02")) >= 0:
                assert int.from_bytes(heard[at + 2 : at + 4], "big") in CLOSINGS | {1000}
        finally:
            writer.transport.abort()

    @settings(max_examples=200 * EFFORT)
    @given(data=st.binary(max_size=40) | st.binary(max_size=40).map(masked))
    @example(data=b"\x81\xff" + b"\xff" * 12)
    @example(data=(b"\x01\x80" + bytes(4)) * 2000)
    def attack(data: bytes) -> None:
        runner.run(throw(data))

    attack()
