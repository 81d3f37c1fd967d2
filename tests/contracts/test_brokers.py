"""What every broker holds to, in memory and on real servers of Redis, alone and behind Sentinel, and of NATS."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from antiphon.domain import new_id
from antiphon.errors import ConfigError, ModuleError
from antiphon.realtime.brokers.base import LARGEST, Broker, broker_registry, open_broker
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.realtime.brokers.memory import MemoryBroker, MemoryHub
from antiphon.runtime.registry import Registry
from antiphon.telemetry.metrics import Metrics
from tests.nodes import Nodes, until

KINDS = ["memory", "redis", "redis-sentinel", "nats"]
MIB = 1024 * 1024
MANY = 200_000

Make = Callable[..., Broker]


def maker(kind: str, request: pytest.FixtureRequest, metrics: Metrics) -> Make:
    """Makes brokers that can hear each other, as far as they have the same prefix."""
    if kind == "memory":
        hubs: dict[str, MemoryHub] = {}
        return lambda prefix="one": MemoryBroker(hubs.setdefault(prefix, MemoryHub()), metrics=metrics)
    url = request.getfixturevalue({"redis": "redis_url", "redis-sentinel": "sentinel_url", "nats": "nats_url"}[kind])
    own = f"test-{new_id()}"
    return lambda prefix="one": open_broker(ClusterSettings(url=url, prefix=f"{own}-{prefix}"), metrics=metrics)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, metrics: Metrics) -> Make:
    return maker(request.param, request, metrics)


@pytest.fixture
async def nodes(make: Make) -> AsyncIterator[Nodes]:
    async with Nodes(make) as made:
        yield made


def dropped(metrics: Metrics) -> list[str]:
    lines = metrics.render().decode().splitlines()
    return [line for line in lines if line.startswith("antiphon_broker_dropped_total{")]


async def test_what_one_publishes_reaches_all_others_and_not_itself(nodes: Nodes) -> None:
    one, two, three = [await nodes(name) for name in ("one", "two", "three")]
    one.broker.publish(b"hello")
    await two.has(b"hello")
    await three.has(b"hello")
    two.broker.publish(b"answer")
    await one.has(b"answer")
    await three.has(b"hello", b"answer")
    assert two.got == [b"hello"]
    assert one.told == two.told == three.told == ["up"]


async def test_what_is_sent_to_one_node_reaches_it_alone(nodes: Nodes) -> None:
    one, two, three = [await nodes(name) for name in ("one", "two", "three")]
    one.broker.send("two", b"for two")
    one.broker.send("nobody", b"for nobody")
    one.broker.publish(b"for all")
    await two.has(b"for two", b"for all")
    await three.has(b"for all")
    assert one.got == []


@pytest.mark.parametrize("name", ["host:4000~ab", "a b", "a.b", "*", ">", "ключ", "%2E", "\ud800", "x" * 1000, ""])
async def test_a_node_may_be_called_anything(nodes: Nodes, name: str) -> None:
    one, odd, other = await nodes("one"), await nodes(name), await nodes(f"{name}x")
    one.broker.send(name, b"1")
    one.broker.send(f"{name}x", b"2")
    await odd.has(b"1")
    await other.has(b"2")


async def test_the_messages_of_each_publisher_keep_their_order(nodes: Nodes) -> None:
    names = ["a", "b", "c"]
    publishers = [await nodes(name) for name in names]
    listener = await nodes("listener")
    for number in range(300):
        for node in publishers:
            body = f"{node.name} {number}".encode() + b" " * (number % 7 * 50_000 if number % 50 == 0 else 0)
            if number % 3:
                node.broker.publish(body)
            else:
                node.broker.send("listener", body)
        await asyncio.sleep(0)
    await until(lambda: len(listener.got) == 900)
    for name in names:
        mine = [body.rstrip() for body in listener.got if body.startswith(name.encode())]
        assert mine == [f"{name} {number}".encode() for number in range(300)]


@pytest.mark.parametrize(
    "body", [b"x", b"\0", b"\r\n", b"PING\r\n", b"MSG a 1 5\r\nhello\r\n", b"$-1\r\n*1\r\n", bytes(range(256)) * 20]
)
async def test_bytes_arrive_as_they_were(nodes: Nodes, body: bytes) -> None:
    one, two = await nodes("one"), await nodes("two")
    one.broker.publish(body)
    one.broker.send("two", body)
    await two.has(body, body)


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 5 * MIB + 3, LARGEST - 1])
async def test_large_messages_arrive_between_small_ones(nodes: Nodes, size: int) -> None:
    one, two = await nodes("one"), await nodes("two")
    body = bytes(size - 1) + b"!"
    one.broker.publish(b"before")
    one.broker.publish(body)
    await until(lambda: len(two.got) == 2)  # the server passes on so much at a time
    one.broker.publish(b"behind")
    one.broker.send("two", b"own")
    await two.has(b"before", body, b"behind", b"own")


async def test_what_is_too_large_is_refused_counted_and_named_once(
    nodes: Nodes, metrics: Metrics, logged: list[dict[str, Any]]
) -> None:
    one, two = await nodes("one"), await nodes("two")
    one.broker.publish(bytes(LARGEST + 1))
    one.broker.send("two", bytes(LARGEST + 1))
    one.broker.publish(b"small")
    await two.has(b"small")
    assert [line.rsplit(" ", 1)[1] for line in dropped(metrics) if 'reason="large"' in line] == ["2.0"]
    assert [line["reason"] for line in logged if line["event"] == "broker.dropping"] == ["large"]


async def test_hundreds_of_thousands_arrive_while_it_is_up(nodes: Nodes, metrics: Metrics) -> None:
    """Whoever publishes leaves the loop alone now and then, as a server does that has to read what it broadcasts."""
    one, two = await nodes("one"), await nodes("two")
    for number in range(MANY):
        one.broker.publish(b"%d" % number)
        if number % 1000 == 999:
            await until(lambda: len(two.got) > number - 20_000)  # noqa: B023 - waited for at once
    await until(lambda: len(two.got) == MANY)
    assert two.got == [b"%d" % number for number in range(MANY)]
    assert dropped(metrics) == []
    assert two.told == ["up"]


async def test_two_houses_on_one_server_do_not_hear_each_other(nodes: Nodes, make: Make) -> None:
    mine, ours, theirs = await nodes("one"), await nodes("two"), await nodes("two", make(prefix="other"))
    mine.broker.publish(b"all of us")
    mine.broker.send("two", b"you")
    await ours.has(b"all of us", b"you")
    theirs.broker.publish(b"all of them")
    mine.broker.publish(b"again")
    await ours.has(b"all of us", b"you", b"again")
    assert (theirs.got, mine.got) == ([], [])


async def test_who_has_stopped_hears_nothing_and_sends_nothing(nodes: Nodes, metrics: Metrics) -> None:
    one, two, three = [await nodes(name) for name in ("one", "two", "three")]
    await two.broker.stop()
    await two.broker.stop()
    two.broker.publish(b"too late")
    two.broker.send("one", b"too late")
    one.broker.publish(b"who is there")
    await three.has(b"who is there")
    assert (one.got, two.got) == ([], [])
    assert [line.rsplit(" ", 1)[1] for line in dropped(metrics) if 'reason="down"' in line] == ["2.0"]


async def test_what_was_published_before_a_stop_is_sent(nodes: Nodes) -> None:
    one, two = await nodes("one"), await nodes("two")
    one.broker.publish(b"goodbye")
    if not isinstance(one.broker, MemoryBroker):
        await one.broker.stop()
    await two.has(b"goodbye")


async def test_a_stopped_one_may_be_started_again(nodes: Nodes) -> None:
    one, two = await nodes("one"), await nodes("two")
    await two.broker.stop()
    await two.start()
    one.broker.publish(b"welcome back")
    await two.has(b"welcome back")
    two.broker.publish(b"thanks")
    await one.has(b"thanks")


# --- which broker a URL means -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (None, "memory"),
        ("memory://", "memory"),
        ("redis://127.0.0.1", "redis"),
        ("redis://user:hunter2@[::1]:1/5?ssl_cert_reqs=none", "redis"),
        ("rediss://127.0.0.1:1", "redis"),
        ("unix:///run/redis.sock", "redis"),
        ("redis+sentinel://127.0.0.1:1,127.0.0.1/house/3", "redis"),
        ("rediss+sentinel://127.0.0.1/house", "redis"),
        ("nats://token@127.0.0.1", "nats"),
        ("nats://127.0.0.1:1,nats://127.0.0.1:2", "nats"),
        ("tls://127.0.0.1", "nats"),
    ],
)
def test_a_url_names_its_broker(url: str | None, kind: str) -> None:
    assert open_broker(ClusterSettings(url=url), metrics=Metrics()).name == kind


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hunter2",
        "kafka://hunter2@127.0.0.1",
        "redis:hunter2",
        "redis://",
        "redis://127.0.0.1:hunter2",
        "redis://[hunter2",
        "redis+sentinel://127.0.0.1",
        "redis+sentinel:///hunter2",
        "unix://hunter2",
        "nats://",
        "nats://127.0.0.1:99999",
        "rediss://127.0.0.1?ssl_ca_certs=/nowhere",
    ],
)
def test_what_is_no_url_of_a_broker_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ConfigError, match="URL") as refused:
        open_broker(ClusterSettings(url=url), metrics=Metrics())
    assert "hunter2" not in str(refused.value)


def test_without_the_parser_of_redis_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: object, name: str) -> None:
        try:
            raise ModuleNotFoundError("No module named 'hiredis'", name="hiredis")
        except ModuleNotFoundError as error:
            raise ModuleError("The broker needs it.") from error

    monkeypatch.setattr(Registry, "get", gone)
    with pytest.raises(ModuleError, match=r"^Redis as a broker needs hiredis: pip install 'antiphon\[redis\]'\.$"):
        open_broker(ClusterSettings(url="redis://127.0.0.1"))


def test_the_folder_holds_these_and_packages_may_bring_others() -> None:
    registry = broker_registry()
    assert {"memory", "nats", "redis"} <= set(registry.names())
    assert not {"base", "config"} & set(registry.names())
