"""What only NATS does: rights, several servers, parts of messages, and words that are no NATS."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.realtime.brokers._parts import _COST, _WAITING, Parts, cut
from antiphon.realtime.brokers.nats import _NatsLink
from antiphon.telemetry.metrics import Metrics
from tests.hostile_server import HostileServer
from tests.nats_server import NatsServer
from tests.nodes import LONGEST, Nodes, broker_at, refusal, talk, until

Logged = list[MutableMapping[str, Any]]

INFO = b'INFO {"max_payload":1048576,"proto":1}\r\n'


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    async with Nodes() as made:
        yield made


# --- ways in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", ["publish", "subscribe"])
async def test_missing_rights_are_told(nodes: Nodes, right: str, logged: Logged) -> None:
    rules = f'permissions: {{ {right}: "elsewhere.>" }}'
    with NatsServer(f'authorization {{ users: [ {{ user: "ann", password: "hunter2", {rules} }} ] }}') as server:
        await nodes("one", broker_at(server.url.replace("://", "://ann:hunter2@")))
        assert "Permissions Violation" in refusal(logged)


async def test_the_least_rights_it_needs(nodes: Nodes) -> None:
    rules = 'permissions: { publish: "antiphon.>", subscribe: "antiphon.>" }'
    with NatsServer(f'authorization {{ users: [ {{ user: "ann", password: "hunter2", {rules} }} ] }}') as server:
        await talk(nodes, server.url.replace("://", "://ann:hunter2@"))


@pytest.mark.parametrize("what", ["all", "to.>"])
async def test_a_right_to_publish_that_is_taken_away_is_told_until_it_is_given_back(
    nodes: Nodes, logged: Logged, what: str
) -> None:
    def ann(rights: str = "") -> str:
        return f'authorization {{ users: [ {{ user: "ann", password: "hunter2", permissions: {{ {rights} }} }} ] }}'

    with NatsServer(ann()) as server:
        url, metrics = server.url.replace("://", "://ann:hunter2@"), Metrics()
        one = await nodes("one", broker_at(url, metrics=metrics))
        server.reload(ann(f'publish: {{ deny: "antiphon.{what}" }}'))
        async with asyncio.timeout(LONGEST):
            while one.told == ["up"]:
                one.broker.publish(b"1")
                one.broker.send("two", b"2")
                await asyncio.sleep(0.01)
        await until(lambda: [line for line in logged if line["event"] == "broker.unreachable"])
        assert "Permissions Violation" in refusal(logged)
        assert one.told == ["up", "down"]
        server.reload(ann())
        await until(lambda: one.told == ["up", "down", "gap"])


async def test_what_is_refused_is_counted_and_named_and_ends_the_connection(nodes: Nodes, logged: Logged) -> None:
    metrics = Metrics()
    async with HostileServer([b"PONG\r\n", b"-ERR 'Permissions Violation for Publish'\r\n"], greeting=INFO) as server:
        one = await nodes("one", broker_at(f"nats://127.0.0.1:{server.port}", metrics=metrics))
        one.broker.publish(b"1")
        await until(lambda: one.told[:3] == ["up", "down", "gap"])
        assert b'antiphon_broker_dropped_total{broker="nats",reason="refused"} 1.0' in metrics.render()
        (line,) = [line for line in logged if line["event"] == "broker.dropping"]
        assert line["error"] == "Permissions Violation for Publish"


async def test_a_password_that_is_changed_while_it_runs_ends_the_connection_until_it_is_right(
    nodes: Nodes, logged: Logged
) -> None:
    right, wrong = [f'authorization {{ user: "ann", password: "{each}" }}' for each in ("hunter2", "other")]
    with NatsServer(right) as server:
        one = await nodes("one", broker_at(server.url.replace("://", "://ann:hunter2@")))
        server.reload(wrong)
        await until(lambda: [line for line in logged if line["event"] == "broker.unreachable"])
        assert refusal(logged) == "NATS cannot be used: it says 'Authorization Violation'"
        assert one.told == ["up", "down"]
        server.reload(right)
        await until(lambda: one.told == ["up", "down", "gap"])


async def test_a_password_is_never_told_to_a_server_without_the_tls_that_was_asked_for(
    nodes: Nodes, logged: Logged
) -> None:
    async with HostileServer([b""], greeting=INFO) as server:
        await nodes("one", broker_at(f"tls://ann:hunter2@127.0.0.1:{server.port}"))
        assert refusal(logged) == "NATS at this address offers no TLS"
        assert server.heard == b""


async def test_a_server_that_would_send_messages_back_is_not_used(nodes: Nodes, logged: Logged) -> None:
    async with HostileServer([b""], greeting=b"INFO {}\r\n") as server:
        await nodes("one", broker_at(f"nats://127.0.0.1:{server.port}"))
        assert "older than 1.2" in refusal(logged)


async def test_of_several_servers_one_is_enough_and_a_lost_one_is_replaced(nodes: Nodes, free_port: int) -> None:
    with NatsServer() as first, NatsServer() as second:
        hosts = f"127.0.0.1:{free_port},{first.url},{second.url}"
        one = await nodes("one", broker_at(f"nats://{hosts}", timeout=2.0))
        assert one.told == ["up"]
        first.kill()
        first.start()
        second.kill()
        await until(lambda: one.told[-2:] == ["down", "gap"])
        two = await nodes("two", broker_at(first.url))
        two.broker.publish(b"here")
        await one.has(b"here")


# --- parts --------------------------------------------------------------------------------------------------------


async def test_a_server_that_takes_little_is_given_little_at_a_time(nodes: Nodes) -> None:
    with NatsServer("max_payload: 1024") as server:
        one, two, three = [await nodes(name, broker_at(server.url)) for name in ("one", "two", "three")]
        sent = [b"a" * 1024, b"b" * 1025, b"c", b"d" * 100_000]
        for body in sent:
            one.broker.publish(body)
            three.broker.publish(body)
        one.broker.send("two", b"e" * 5000)
        await until(lambda: len(two.got) == 9)
        assert sorted(two.got) == sorted([*sent, *sent, b"e" * 5000])
        await three.has(*sent)


async def test_a_server_that_takes_less_from_now_on_gets_all_or_there_is_a_gap(nodes: Nodes) -> None:
    with NatsServer() as server:
        one, two = await nodes("one", broker_at(server.url)), await nodes("two", broker_at(server.url))
        server.reload("max_payload: 1024")
        sent = 0
        async with asyncio.timeout(LONGEST):
            while sent < 200 or not (len(two.got) == sent or "gap" in one.told):
                if sent < 200:
                    one.broker.publish(b"%03d" % sent * 2000)
                    sent += 1
                await asyncio.sleep(0.002)
        await until(lambda: one.told[-1] != "down")
        one.broker.publish(b"behind" * 1000)
        await until(lambda: b"behind" * 1000 in two.got)


async def test_parts_that_are_missing_are_a_gap_and_what_others_write_is_none(nodes: Nodes) -> None:
    with NatsServer() as server:
        metrics = Metrics()
        one, two = await nodes("one", broker_at(server.url, metrics=metrics)), await nodes("two", broker_at(server.url))
        two.broker._out.write(b"PUB antiphon.all _INBOX.a.reply 4\r\nhelp\r\n")  # type: ignore[attr-defined]
        two.broker.publish(b"behind")
        await one.has(b"behind")
        assert one.told == ["up"]
        two.broker._out.write(b"PUB antiphon.all somebody.1.3 4\r\npart\r\n")  # type: ignore[attr-defined]
        await until(lambda: one.told == ["up", "gap"])
        assert b'antiphon_broker_dropped_total{broker="nats",reason="damaged"} 2.0' in metrics.render()


async def test_a_large_message_of_somebody_else_ends_nothing(nodes: Nodes) -> None:
    with NatsServer("max_payload: 8MB") as server:
        one, two = await nodes("one", broker_at(server.url)), await nodes("two", broker_at(server.url))
        body = bytes(5_000_000)
        two.broker._out.write(b"PUB antiphon.all 5000000\r\n", body, b"\r\n")  # type: ignore[attr-defined]
        await one.has(body)
        assert one.told == ["up"]


@given(st.binary(min_size=1, max_size=200), st.integers(1, 50))
def test_parts_make_the_whole(body: bytes, size: int) -> None:
    here, there, pieces = Parts(), Parts(), cut(body, size)
    assert all(len(piece) <= size for piece in pieces)
    made = [there.add(here.mark(place, len(pieces)).encode(), piece) for place, piece in enumerate(pieces)]
    assert made == [None] * (len(pieces) - 1) + [body]
    assert there._size == 0


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), max_size=12))
def test_of_what_is_incomplete_nothing_is_made(arrivals: list[tuple[int, int]]) -> None:
    """Two senders of messages of four parts, each part missing, doubled or late by chance."""
    senders, there = [Parts(), Parts()], Parts()
    begun: dict[int, int] = {}
    for sender, place in arrivals:
        expected = place == 0 or begun.get(sender) == place
        try:
            whole = there.add(senders[sender].mark(place, 4).encode(), b"%d" % place)
        except LookupError:
            assert not expected
            begun.pop(sender, None)
        else:
            assert expected
            begun[sender] = place + 1
            assert whole == (b"0123" if place == 3 else None)
            if whole:
                del begun[sender]
    assert there._size == sum(begun.values()) * (1 + _COST)


@pytest.mark.parametrize("mark", [b"", b"a", b"a.b.c", b"a.0", b"a.0.1.2", b"a.-1.3", b"a.3.3", b"a.0.0"])
def test_marks_of_somebody_else_are_refused(mark: bytes) -> None:
    with pytest.raises(ValueError):
        Parts().add(mark, b"part")


@pytest.mark.parametrize(("size", "kept"), [(1_000_000, 67), (0, _WAITING // _COST)])
def test_of_unfinished_messages_the_oldest_make_room(size: int, kept: int) -> None:
    """Who was killed in the middle of a message never ends it, and must not keep others from sending theirs."""
    there, part = Parts(), bytes(size)
    for number in range(kept + 10):
        there.add(b"%d.0.2" % number, part)
    assert there._size == kept * (size + _COST) <= _WAITING
    assert there.add(b"%d.1.2" % (kept + 9), b"end") == part + b"end"
    with pytest.raises(LookupError):
        there.add(b"9.1.2", b"end")
    assert there.add(b"10.1.2", b"end") == part + b"end"


# --- words that are no NATS ---------------------------------------------------------------------------------------

NONSENSE = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\r\n",
    b"MSG\r\n",
    b"MSG \r\n",
    b"MSG a 1 -1\r\n\r\n",
    b"MSG a 1 99999999\r\n",
    b"MSG a 1 16777217\r\n",
    b"MSG a 1 x\r\n",
    b"INFO {\r\n",
    b"INFO []\r\n",
    b'INFO {"max_payload":-5}\r\n',
    b"-ERR 'Slow Consumer'\r\n",
    b"x" * 70_000,
]


@pytest.mark.parametrize("words", NONSENSE)
@pytest.mark.parametrize("place", ["greeting", "answer", "later"])
async def test_a_server_that_speaks_nonsense_harms_nobody(nodes: Nodes, words: bytes, place: str) -> None:
    greeting = words if place == "greeting" else INFO
    answers = [words] if place == "answer" else [b"PONG\r\n" + words]
    async with HostileServer(answers, greeting=greeting) as server:
        one = await nodes("one", broker_at(f"nats://127.0.0.1:{server.port}", timeout=0.2))
        await until(lambda: server.accepted > 1)
        one.broker.publish(b"into the void")
        assert one.got == []


def link(got: list[bytes]) -> _NatsLink:
    return _NatsLink("a", got.append, lambda _: None, lambda *_: None, lambda: None, timeout=1, limit=1000)


@settings(max_examples=300)
@given(pieces=st.lists(st.one_of(st.binary(max_size=50), st.sampled_from([*NONSENSE, INFO])), max_size=6))
async def test_any_bytes_may_arrive(pieces: list[bytes]) -> None:
    got: list[bytes] = []
    heard = link(got)
    for piece in pieces:
        if not heard.over:
            heard.data_received(piece)
    assert all(isinstance(body, bytes) for body in got)


@given(bodies=st.lists(st.binary(min_size=1, max_size=80), max_size=8), cuts=st.lists(st.integers(1, 30)))
async def test_messages_may_arrive_in_any_pieces(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(b"MSG a.b 1 %d\r\n%b\r\nPING\r\n" % (len(body), body) for body in bodies)
    got: list[bytes] = []
    heard = link(got)
    for size in cuts:
        piece, stream = stream[:size], stream[size:]
        heard.data_received(piece)
    heard.data_received(stream)
    assert got == bodies
    assert not heard.over


async def test_the_server_is_answered_and_asked(nodes: Nodes) -> None:
    async with HostileServer([b"PONG\r\n+OK\r\nPING\r\n"] + [b"PONG\r\n"] * 50, greeting=INFO) as server:
        one = await nodes("one", broker_at(f"nats://127.0.0.1:{server.port}", timeout=0.3))
        await until(lambda: b"PONG\r\n" in server.heard and server.heard.count(b"PING\r\n") > 3)
        await asyncio.sleep(0)
        assert one.told == ["up"]
