"""Brokers whose server is killed, frozen, cut off, slow, or behind a network that fails."""

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any

import pytest

from antiphon.realtime.brokers.base import Broker
from antiphon.telemetry.metrics import Metrics
from tests.nats_server import NatsServer
from tests.nodes import Node, Nodes, broker_at, until
from tests.proxy import Proxy
from tests.redis_server import RedisServer

Server = RedisServer | NatsServer
Logged = list[MutableMapping[str, Any]]

pytestmark = pytest.mark.parametrize("anyio_backend", ["uvloop"], indirect=True)
"""The loop that servers run on; the contract is held on asyncio's."""

TIMEOUT = 0.5
LIMIT = 65_536


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture(params=["redis", "nats"])
def server(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy("127.0.0.1", server.port) as made:
        yield made


@pytest.fixture
def make(server: Server, metrics: Metrics) -> Callable[..., Broker]:
    """Makes brokers that are quick to notice."""

    def open_(port: int = server.port, **more: Any) -> Broker:
        url = server.url.replace(str(server.port), str(port))
        return broker_at(url, **{"timeout": TIMEOUT, "metrics": metrics, **more})

    return open_


@pytest.fixture
async def nodes(make: Callable[[], Broker]) -> AsyncIterator[Nodes]:
    async with Nodes(make) as made:
        yield made


def lost(metrics: Metrics, reason: str) -> float:
    lines = metrics.render().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if f'reason="{reason}"' in line and "_total{" in line)


def events(logged: Logged) -> list[str]:
    return [line["event"] for line in logged if line["event"].startswith("broker.")]


async def becomes(node: Node, *told: str) -> None:
    await until(lambda: len(node.told) >= len(told))
    assert node.told == list(told)


async def test_a_server_that_is_killed_and_started_again_is_found_again(
    server: Server, nodes: Nodes, metrics: Metrics, logged: Logged
) -> None:
    one, two = await nodes("one"), await nodes("two")
    server.kill()
    await becomes(one, "up", "down")
    await becomes(two, "up", "down")
    for _ in range(3):
        one.broker.publish(b"lost")
        one.broker.send("two", b"lost")
    server.start()
    await becomes(one, "up", "down", "gap")
    await becomes(two, "up", "down", "gap")
    one.broker.publish(b"heard")
    one.broker.send("two", b"heard too")
    await two.has(b"heard", b"heard too")
    assert lost(metrics, "down") == 6
    told = events(logged)
    assert [told.count(f"broker.{name}") for name in ("lost", "dropping", "connected")] == [2, 1, 4]
    assert told.count("broker.unreachable") <= 2


async def test_a_server_that_is_not_there_yet_is_waited_for(server: Server, nodes: Nodes, metrics: Metrics) -> None:
    server.kill()
    one, two = await nodes("one"), await nodes("two")
    assert (one.told, two.told) == ([], [])
    one.broker.publish(b"lost")
    server.start()
    await becomes(one, "gap")
    await becomes(two, "gap")
    assert lost(metrics, "down") == 1, "which is what the gap is"
    one.broker.publish(b"hello")
    await two.has(b"hello")


async def test_a_frozen_server_is_given_up_and_found_again(server: Server, nodes: Nodes, logged: Logged) -> None:
    one = await nodes("one")
    server.pause()
    await becomes(one, "up", "down")
    server.resume()
    await becomes(one, "up", "down", "gap")
    (line,) = [line for line in logged if line["event"] == "broker.lost"]
    assert line["reason"] == f"it said nothing for {TIMEOUT:g} s"


async def test_a_loop_that_was_busy_itself_gives_nobody_up(nodes: Nodes) -> None:
    one, two = await nodes("one"), await nodes("two")
    busy_until = asyncio.get_running_loop().time() + 3 * TIMEOUT
    while asyncio.get_running_loop().time() < busy_until:
        pass
    one.broker.publish(b"hello")
    await two.has(b"hello")
    assert (one.told, two.told) == (["up"], ["up"])


async def test_one_that_is_quiet_stays_connected(nodes: Nodes, proxy: Proxy, make: Callable[..., Broker]) -> None:
    one = await nodes("one", make(proxy.port))
    await asyncio.sleep(4 * TIMEOUT)  # the time in which nothing must happen
    assert one.told == ["up"]


async def test_a_black_hole_is_noticed(nodes: Nodes, proxy: Proxy, make: Callable[..., Broker]) -> None:
    one, two = await nodes("one", make(proxy.port)), await nodes("two")
    proxy.pause()
    await becomes(one, "up", "down")
    proxy.cut()
    proxy.resume()
    await becomes(one, "up", "down", "gap")
    one.broker.publish(b"back")
    two.broker.publish(b"welcome")
    await two.has(b"back")
    await one.has(b"welcome")
    assert two.told == ["up"]


async def test_one_that_was_cut_off_in_the_middle_of_a_message_delivers_no_half_of_it(
    nodes: Nodes, proxy: Proxy, make: Callable[..., Broker]
) -> None:
    one, two = await nodes("one"), await nodes("two", make(proxy.port))
    proxy.delay = 0.02
    body = bytes(5_000_000)
    one.broker.publish(body)
    await asyncio.sleep(0.1)
    proxy.cut()
    proxy.delay = 0.0
    await becomes(two, "up", "down", "gap")
    one.broker.publish(b"whole")
    await until(lambda: b"whole" in two.got)
    assert set(two.got) <= {b"whole", body}


async def test_a_publisher_that_is_cut_off_in_the_middle_of_a_message_sends_no_half_of_it(
    nodes: Nodes, proxy: Proxy, make: Callable[..., Broker]
) -> None:
    one, two = await nodes("one", make(proxy.port)), await nodes("two")
    proxy.delay = 0.02
    body = bytes(5_000_000)
    one.broker.publish(body)
    await asyncio.sleep(0.1)
    proxy.cut()
    proxy.delay = 0.0
    await becomes(one, "up", "down", "gap")
    one.broker.publish(bytes(3_000_000) + b"!")
    await until(lambda: bytes(3_000_000) + b"!" in two.got)
    assert set(two.got) <= {bytes(3_000_000) + b"!", body}


async def test_a_server_that_is_killed_in_the_middle_of_messages_passes_on_no_half_of_one(
    server: Server, nodes: Nodes
) -> None:
    one, two = await nodes("one"), await nodes("two")
    sent = [bytes([number]) * 3_000_000 for number in range(8)]
    for body in sent:
        one.broker.publish(body)
        await asyncio.sleep(0)
    await until(lambda: two.got)
    server.kill()
    await becomes(two, "up", "down")
    assert two.got == sent[: len(two.got)]
    server.start()
    await becomes(one, "up", "down", "gap")
    await becomes(two, "up", "down", "gap")
    one.broker.publish(b"whole")
    await until(lambda: b"whole" in two.got)
    assert set(two.got) <= {*sent, b"whole"}


async def test_a_server_that_halts_for_less_than_the_timeout_loses_nothing(
    server: Server, nodes: Nodes, make: Callable[..., Broker]
) -> None:
    one, two = await nodes("one", make(timeout=10)), await nodes("two", make(timeout=10))
    server.pause()
    sent = [b"%d" % number * 1000 for number in range(500)]
    for body in sent:
        one.broker.publish(body)
        await asyncio.sleep(0.004)  # two seconds in all
    assert len(two.got) < 100, "it halts a moment after it is told to"
    server.resume()
    await two.has(*sent)
    assert (one.told, two.told) == (["up"], ["up"])


async def test_what_waits_at_a_stop_is_sent_also_when_the_network_is_slow(
    nodes: Nodes, proxy: Proxy, make: Callable[..., Broker]
) -> None:
    one, two = await nodes("one", make(proxy.port)), await nodes("two")
    proxy.delay = 0.0005
    sent = [b"%d" % number * 50_000 for number in range(100)]
    for body in sent:  # the transport wants no more long before the end
        one.broker.publish(body)
        await asyncio.sleep(0)
    await one.broker.stop()
    await two.has(*sent)


async def test_what_was_published_before_a_stop_is_sent_although_others_talk(server: Server, nodes: Nodes) -> None:
    """Who closes a socket in which something was not read takes back what it has written last."""
    one, two = await nodes("one"), await nodes("two")
    server.pause()
    sent = [b"%d" % number * 10_000 for number in range(300)]
    two.broker.publish(b"a" * 1_000_000)
    for body in sent:
        one.broker.publish(body)
    stopping = asyncio.create_task(one.broker.stop())
    await asyncio.sleep(0.1)  # meanwhile the kernel has taken what it takes
    heard = list(one.got)  # it halts a moment after it is told to
    server.resume()
    await stopping
    await two.has(*sent)
    assert one.got == heard, "who stops hears nothing any more"


FLOOD = 96 * 1024 * 1024
"""Bytes: more than a server keeps for a connection that does not read, by itself."""


@pytest.mark.parametrize(("size", "at_once"), [(1000, FLOOD), (60_000, 1), (3_000_000, 1)])
async def test_of_a_flood_everything_arrives_or_is_counted_and_a_gap(
    server: Server, nodes: Nodes, make: Callable[..., Broker], metrics: Metrics, size: int, at_once: int
) -> None:
    """Published without a pause, and from one loop: nobody reads meanwhile, or hardly."""
    one, two = await nodes("one", make(timeout=10)), await nodes("two", make(timeout=10))
    bodies, pad = FLOOD // size, bytes(size - 8)
    for number in range(bodies):
        one.broker.publish(b"%08d" % number + pad)
        if number % at_once == 0:
            await asyncio.sleep(0)
    await until(lambda: lost(metrics, "full") == 0 or one.told == ["up", "gap"])
    one.broker.publish(b"99999999")
    await until(lambda: two.got[-1:] == [b"99999999"])
    numbers = [int(body[:8]) for body in two.got]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + lost(metrics, "full") == bodies + 1
    # On a slow machine one that hardly reads what it hears of itself may be cut off for that afterwards.
    told = one.told[: one.told.index("down")] if "down" in one.told else one.told
    assert told == (["up", "gap"] if lost(metrics, "full") else ["up"])
    assert two.told == ["up"]


async def test_who_does_not_read_is_cut_off_by_the_server_and_told(
    server: Server, nodes: Nodes, make: Callable[..., Broker], proxy: Proxy
) -> None:
    """A loop that is stuck: Redis keeps 32 MiB for it, NATS 64 MiB or what it writes in its time, and lets it go."""
    if isinstance(server, NatsServer):
        server.words = ('write_deadline: "1s"',)
        server.restart()
    one, two = await nodes("one", make(timeout=30)), await nodes("two", make(proxy.port, timeout=30))
    three = await nodes("three", make(timeout=30))
    proxy.pause()
    count = FLOOD // 60_000
    for number in range(count):
        one.broker.publish(b"%08d" % number + bytes(59_992))
        await until(lambda: len(three.got) > number - 100)  # noqa: B023 - waited for at once
    await until(lambda: len(three.got) == count)
    proxy.resume()
    await becomes(two, "up", "down", "gap")
    assert (one.told, three.told) == (["up"], ["up"])
    got = [int(body[:8]) for body in two.got]
    assert got == list(range(len(got)))
    assert len(got) < count
    one.broker.publish(b"behind")
    await until(lambda: two.got[-1] == b"behind")


async def test_a_slow_network_delays_and_loses_nothing(
    nodes: Nodes, proxy: Proxy, make: Callable[..., Broker], metrics: Metrics
) -> None:
    one, two = await nodes("one", make(proxy.port)), await nodes("two", make(proxy.port))
    proxy.delay = 0.05
    sent = [b"%d" % number * 1000 for number in range(200)]
    for body in sent:
        one.broker.publish(body)
        await asyncio.sleep(0)
    await two.has(*sent)
    assert (one.told, two.told) == (["up"], ["up"])


async def test_what_waits_to_be_sent_is_bounded_and_what_does_not_fit_is_a_gap(
    server: Server, nodes: Nodes, make: Callable[..., Broker], metrics: Metrics, proxy: Proxy
) -> None:
    one, two = await nodes("one", make(proxy.port, unsent_bytes=LIMIT)), await nodes("two")
    for _ in range(300):
        one.broker.publish(bytes(1000))
    assert 300 - LIMIT / 1000 <= lost(metrics, "full") < 300
    await becomes(one, "up", "gap")
    one.broker.publish(b"behind")
    await until(lambda: b"behind" in two.got)
    assert len(two.got) == 301 - lost(metrics, "full")


async def test_memory_stays_bounded_while_it_is_down(server: Server, nodes: Nodes, metrics: Metrics) -> None:
    one = await nodes("one")
    server.kill()
    await becomes(one, "up", "down")
    for _ in range(50_000):
        one.broker.publish(bytes(10_000))
    assert lost(metrics, "down") == 50_000
    server.start()
    await becomes(one, "up", "down", "gap")


async def test_memory_stays_bounded_while_nobody_reads(
    server: Server, nodes: Nodes, make: Callable[..., Broker], proxy: Proxy, metrics: Metrics
) -> None:
    one = await nodes("one", make(proxy.port, unsent_bytes=LIMIT))
    proxy.pause()
    sent = 0
    while one.told == ["up"]:  # until the silence is noticed
        one.broker.publish(bytes(60_000))
        sent += 1
        await asyncio.sleep(0)
    assert lost(metrics, "full") + lost(metrics, "down") > sent - 200  # the kernel has taken some megabytes
    proxy.cut()
    proxy.resume()


async def test_stopping_while_the_server_is_gone_or_frozen_takes_no_time(server: Server, nodes: Nodes) -> None:
    one, two = await nodes("one"), await nodes("two")
    server.pause()
    async with asyncio.timeout(3):
        await one.broker.stop()
    server.resume()
    server.kill()
    await becomes(two, "up", "down")
    async with asyncio.timeout(3):
        await two.broker.stop()


async def test_a_start_that_is_given_up_leaves_nothing(server: Server, nodes: Nodes) -> None:
    server.pause()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await nodes("one")
    server.resume()
