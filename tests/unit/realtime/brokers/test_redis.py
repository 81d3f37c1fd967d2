"""What only Redis does: rights, sockets of the machine, Sentinel, and words that are no Redis."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.realtime.brokers.redis import _Publisher, _Subscriber
from antiphon.telemetry.metrics import Metrics
from tests.hostile_server import HostileServer
from tests.nodes import LONGEST, Nodes, broker_at, refusal, talk, until
from tests.proxy import Proxy
from tests.redis_server import RedisServer
from tests.sentinel import SentinelServer

Logged = list[MutableMapping[str, Any]]

SUBSCRIBED = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    async with Nodes() as made:
        yield made


# --- ways in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rights", "said"),
    [
        (("+publish", "&*"), "Redis refuses SUBSCRIBE: NOPERM"),
        (("+subscribe", "&*"), "Redis refuses PUBLISH: NOPERM"),
        (("+subscribe", "+publish"), "Redis refuses SUBSCRIBE: NOPERM"),
    ],
)
async def test_missing_rights_are_told(
    nodes: Nodes, rights: tuple[str, ...], said: str, redis: RedisServer, logged: Logged
) -> None:
    redis.ask("ACL", "SETUSER", "ann", "on", ">hunter2", "resetchannels", *rights)
    await nodes("one", broker_at(f"redis://ann:hunter2@127.0.0.1:{redis.port}"))
    assert refusal(logged).startswith(said)


async def test_the_least_rights_it_needs(nodes: Nodes, redis: RedisServer) -> None:
    redis.ask(
        "ACL", "SETUSER", "ann", "on", ">hunter2", "resetchannels", "&antiphon:*", "+publish", "+subscribe", "+ping"
    )
    await talk(nodes, f"redis://ann:hunter2@127.0.0.1:{redis.port}")


async def test_a_right_that_is_taken_away_later_is_counted_and_named_until_it_is_given_back(
    nodes: Nodes, redis: RedisServer, logged: Logged
) -> None:
    metrics = Metrics()
    redis.ask("ACL", "SETUSER", "ann", "on", ">hunter2", "&*", "+@all")
    one = await nodes("one", broker_at(f"redis://ann:hunter2@127.0.0.1:{redis.port}", metrics=metrics))
    redis.ask("ACL", "SETUSER", "ann", "-publish")
    one.broker.publish(b"1")
    await until(lambda: [line for line in logged if line["event"] == "broker.unreachable"])
    assert b'antiphon_broker_dropped_total{broker="redis",reason="refused"} 1.0' in metrics.render()
    (line,) = [line for line in logged if line["event"] == "broker.dropping"]
    assert "NOPERM" in line["error"]
    assert refusal(logged).startswith("Redis refuses PUBLISH: NOPERM")
    assert one.told == ["up", "down"]
    redis.ask("ACL", "SETUSER", "ann", "+publish")
    await until(lambda: one.told == ["up", "down", "gap"])


async def test_a_server_that_is_busy_with_a_script_loses_nothing_unseen(nodes: Nodes, redis: RedisServer) -> None:
    """It refuses then what is published, after `busy-reply-threshold`."""
    one, two = await nodes("one", broker_at(redis.url, timeout=5)), await nodes("two", broker_at(redis.url, timeout=5))
    redis.ask("CONFIG", "SET", "busy-reply-threshold", "10")
    busy = asyncio.create_task(asyncio.to_thread(redis.ask, "EVAL", "while true do end", "0"))
    sent = 0
    async with asyncio.timeout(LONGEST):
        while "down" not in one.told:
            one.broker.publish(b"%d" % sent)
            sent += 1
            await asyncio.sleep(0.01)
    redis.ask("SCRIPT", "KILL")
    await busy
    await until(lambda: one.told == ["up", "down", "gap"])
    one.broker.publish(b"behind")
    await until(lambda: b"behind" in two.got)


async def test_a_socket_of_the_machine(nodes: Nodes, tmp_path: Path) -> None:
    with RedisServer("--unixsocket", str(tmp_path / "r"), "--requirepass", "hunter2", "--protected-mode", "no"):
        await talk(nodes, f"unix://:hunter2@{tmp_path}/r")


async def test_one_of_the_two_connections_is_enough_to_lose(nodes: Nodes, redis: RedisServer) -> None:
    one = await nodes("one", broker_at(redis.url))
    for number, kind in enumerate(["pubsub", "normal"], 1):
        assert redis.ask("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes") == ":1\r\n"
        await until(lambda: len(one.told) == 1 + 2 * number)  # noqa: B023 - waited for at once
    assert one.told == ["up", "down", "gap", "down", "gap"]


# --- Sentinel -----------------------------------------------------------------------------------------------------


async def test_it_follows_sentinel_to_the_new_master(nodes: Nodes, sentinels: SentinelServer) -> None:
    one, two = await nodes("one", broker_at(sentinels.url)), await nodes("two", broker_at(sentinels.url))
    one.broker.publish(b"before")
    await two.has(b"before")
    sentinels.master.kill()
    for node in (one, two):
        await until(lambda: node.told == ["up", "down", "gap"])  # noqa: B023 - waited for at once
    one.broker.publish(b"behind")
    await two.has(b"before", b"behind")
    assert sentinels.replica.ask("PUBSUB", "NUMSUB", "antiphon:all").endswith(":2\r\n")


async def test_a_master_that_becomes_a_replica_is_left(nodes: Nodes, sentinels: SentinelServer) -> None:
    """One that nobody told: it keeps its connections, and what is published there reaches no other."""
    one = await nodes("one", broker_at(sentinels.url))
    assert sentinels.master.ask("REPLICAOF", "127.0.0.1", str(sentinels.replica.port)) == "+OK\r\n"
    await until(lambda: "down" in one.told)


async def test_of_several_sentinels_one_is_enough(nodes: Nodes, sentinels: SentinelServer, free_port: int) -> None:
    async with HostileServer([b"*-1\r\n"]) as ignorant, HostileServer() as silent:
        hosts = ",".join(f"127.0.0.1:{port}" for port in (free_port, ignorant.port, silent.port, sentinels.port))
        await talk(nodes, f"redis+sentinel://{hosts}/house/0", timeout=3.0)


@pytest.mark.parametrize(
    "found", [b"*-1\r\n", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b":1\r\n", b"-ERR\r\n", b"*2\r\n:1\r\n:2\r\n"]
)
async def test_sentinels_that_know_no_master_are_told(nodes: Nodes, found: bytes, logged: Logged) -> None:
    async with HostileServer([found]) as server:
        await nodes("one", broker_at(f"redis+sentinel://127.0.0.1:{server.port}/house"))
        assert refusal(logged) == f"No Sentinel at 127.0.0.1:{server.port} names a master of house"
        assert server.heard.startswith(b"*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-name\r\n$5\r\nhouse\r\n")


async def test_a_replica_that_sentinel_still_takes_for_the_master_is_not_used(
    nodes: Nodes, sentinels: SentinelServer, logged: Logged
) -> None:
    port = str(sentinels.replica.port).encode()
    async with HostileServer([b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%b\r\n" % (len(port), port)]) as server:
        await nodes("one", broker_at(f"redis+sentinel://127.0.0.1:{server.port}/house"))
        assert refusal(logged) == "What Sentinel named is no master, or not any more"


# --- words that are no Redis --------------------------------------------------------------------------------------

NONSENSE = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\0" * 100,
    b"$99999999999999999999\r\n",
    b"*100000\r\n",
    b"*-5\r\n",
    b"*1\r\n" * 50,
    b"-NO\r\n",
    b":1\r\n:1\r\n",
    b"*3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n",
    b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\nabc\r\n",
    b"_\r\n#f\r\n#t\r\n,inf\r\n",
    b"%1\r\n+a\r\n+b\r\n",
]


@pytest.mark.parametrize("words", NONSENSE)
@pytest.mark.parametrize("place", [0, 2])
async def test_a_server_that_speaks_nonsense_harms_nobody(nodes: Nodes, words: bytes, place: int) -> None:
    """At once, or when the connection stands."""
    async with HostileServer([SUBSCRIBED] * place + [words]) as server:
        one = await nodes("one", broker_at(f"redis://127.0.0.1:{server.port}", timeout=0.2))
        await until(lambda: server.accepted > 1)
        one.broker.publish(b"into the void")
        assert one.got == []
        assert "gap" not in one.told


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(pieces=st.lists(st.one_of(st.binary(max_size=50), st.sampled_from([*NONSENSE, SUBSCRIBED])), max_size=6))
async def test_any_bytes_may_arrive(pieces: list[bytes]) -> None:
    got: list[bytes] = []
    links = [
        _Subscriber(b"12345678", got.append, timeout=1, limit=1000),
        _Publisher(b"PING", lambda _: None, lambda: None, timeout=1, limit=1000),
    ]
    for link in links:
        for piece in pieces:
            if not link.over:
                link.data_received(piece)
    assert all(isinstance(body, bytes) for body in got)


async def test_an_answer_without_an_end_is_cut_off(redis: RedisServer) -> None:
    link = _Subscriber(b"12345678", lambda _: None, timeout=1, limit=1000)
    link.data_received(b"*2\r\n$60000000\r\n")
    for _ in range(33):
        link.data_received(bytes(1_000_000))
    assert not link.over
    link.data_received(bytes(1_000_000))
    assert link.lost.result() == "it says more than 33554432 bytes at once"


async def test_all_of_a_round_leaves_in_one_piece(nodes: Nodes, redis: RedisServer) -> None:
    async with Proxy("127.0.0.1", redis.port) as proxy:
        one = await nodes("one", broker_at(f"redis://127.0.0.1:{proxy.port}"))
        link = one.broker._out  # type: ignore[attr-defined]
        written: list[bytes] = []
        link._transport, carrier = Recorder(written), link._transport
        for number in range(100):
            one.broker.publish(b"%d" % number)
        assert written == []
        await asyncio.sleep(0)
        link._transport = carrier
        assert len(written) == 1
        assert written[0].count(b"PUBLISH") == 100


class Recorder:
    def __init__(self, written: list[bytes]) -> None:
        self.write = written.append

    def get_write_buffer_size(self) -> int:
        return 0
