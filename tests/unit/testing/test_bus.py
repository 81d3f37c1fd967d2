"""The bus that goes wrong: each fault by itself, the same again for the same seed, and none by default."""

import asyncio
from collections import Counter

import pytest

from antiphon.realtime.channel import Channel
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.realtime.phoenix import Phoenix
from antiphon.runtime.clock import ManualClock
from antiphon.telemetry.metrics import Metrics
from antiphon.testing.bus import Faults, FaultyBroker, FaultyBus
from antiphon.testing.sockets import connect


class Node:
    """What one node heard, and was told of the broker."""

    def __init__(self, bus: FaultyBus, name: str) -> None:
        self.name = name
        self.broker: FaultyBroker = bus.broker()
        self.heard: list[bytes] = []
        self.told: list[str] = []

    async def start(self) -> "Node":
        await self.broker.start(self.name, self.heard.append, self.told.append)
        return self


async def nodes(bus: FaultyBus, count: int = 3) -> list[Node]:
    return [await Node(bus, f"node{number}").start() for number in range(count)]


async def settle(bus: FaultyBus, seconds: float = 0.0) -> None:
    """Lets everything under way arrive."""
    assert isinstance(bus.clock, ManualClock)
    for _ in range(3):
        await asyncio.sleep(0)
    await bus.clock.advance(seconds)
    for _ in range(3):
        await asyncio.sleep(0)


def numbered(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


async def sent(faults: Faults, *, seed: int = 7, count: int = 200, seconds: float = 100.0) -> list[bytes]:
    """What one node hears of so many messages of another."""
    bus = FaultyBus(seed=seed, faults=faults, clock=ManualClock())
    one, other = await nodes(bus, 2)
    for body in numbered(count):
        one.broker.publish(body)
    await settle(bus, seconds)
    for node in (one, other):
        await node.broker.stop()
    return other.heard


async def test_without_faults_all_others_hear_all_in_order() -> None:
    bus = FaultyBus(clock=ManualClock())
    one, two, three = await nodes(bus)
    for body in numbered(50):
        one.broker.publish(body)
    one.broker.send("node2", b"for three")
    one.broker.send("nobody", b"for nobody")
    await settle(bus)
    assert two.heard == numbered(50)
    assert three.heard == [*numbered(50), b"for three"]
    assert one.heard == []
    assert (bus.carried, bus.lost) == (101, 0)


async def test_some_messages_are_lost_and_the_same_again() -> None:
    heard = await sent(Faults(loss=0.3))
    assert 100 < len(heard) < 180
    assert heard == sorted(heard, key=int)
    assert await sent(Faults(loss=0.3)) == heard
    assert await sent(Faults(loss=0.3), seed=8) != heard


async def test_some_messages_come_twice() -> None:
    counted = Counter(await sent(Faults(duplication=0.3)))
    assert set(counted.values()) == {1, 2}
    assert len(counted) == 200


async def test_a_delay_keeps_the_order() -> None:
    bus = FaultyBus(seed=1, faults=Faults(delay=(0.5, 2.0)), clock=ManualClock())
    one, other = await nodes(bus, 2)
    for body in numbered(20):
        one.broker.publish(body)
    await settle(bus, 0.4)
    assert other.heard == []
    await settle(bus, 2.0)
    assert other.heard == numbered(20)


async def test_with_reordering_messages_overtake_each_other() -> None:
    heard = await sent(Faults(delay=(0.0, 1.0), reorder=True))
    assert sorted(heard, key=int) == numbered(200)
    assert heard != numbered(200)


async def test_a_partition_is_silent_and_heals() -> None:
    bus = FaultyBus(clock=ManualClock())
    one, two, three = await nodes(bus)
    bus.partition([one.broker, two.broker], [three.broker])
    one.broker.publish(b"inside")
    three.broker.publish(b"alone")
    await settle(bus)
    assert (one.heard, two.heard, three.heard) == ([], [b"inside"], [])
    assert three.told == ["up"]
    bus.heal()
    one.broker.publish(b"again")
    await settle(bus)
    assert three.heard == [b"again"]


async def test_what_is_under_way_when_it_parts_is_lost() -> None:
    bus = FaultyBus(faults=Faults(delay=(1.0, 1.0)), clock=ManualClock())
    one, other = await nodes(bus, 2)
    one.broker.publish(b"late")
    await settle(bus, 0.5)
    bus.partition([one.broker], [other.broker])
    await settle(bus, 1.0)
    assert (other.heard, bus.lost) == ([], 1)


async def test_who_is_cut_off_knows_it_and_hears_of_a_gap() -> None:
    bus = FaultyBus(clock=ManualClock())
    one, other = await nodes(bus, 2)
    other.broker.cut_off()
    other.broker.cut_off()
    one.broker.publish(b"missed")
    other.broker.publish(b"unheard")
    await settle(bus)
    other.broker.join_again()
    other.broker.join_again()
    one.broker.publish(b"heard")
    await settle(bus)
    assert (other.heard, one.heard) == ([b"heard"], [])
    assert other.told == ["up", "down", "gap"]


async def test_who_has_stopped_hears_nothing() -> None:
    bus = FaultyBus(clock=ManualClock())
    one, other = await nodes(bus, 2)
    await other.broker.stop()
    one.broker.publish(b"x")
    other.broker.publish(b"y")
    other.broker.join_again()
    await settle(bus)
    assert (one.heard, other.heard, other.told) == ([], [], ["up"])


async def test_two_applications_over_it_are_one() -> None:
    bus = FaultyBus()
    apps = [Phoenix(metrics=Metrics(), cluster=Cluster(bus.broker(), name=name, metrics=Metrics())) for name in "ab"]
    for app in apps:
        app.channel("room:*")(Channel)
        await app.open()
    async with await connect(apps[0]) as ann, await connect(apps[1]) as bob:
        await ann.join("room:1")
        room = await bob.join("room:1")
        apps[0].broadcast("room:1", "hello", {"n": 1})
        await room.assert_broadcast("hello", {"n": 1})
        bus.faults = Faults(loss=1.0)
        apps[0].broadcast("room:1", "hello", {"n": 2})
        await room.refute_broadcast("hello")
    for app in apps:
        await app.close()


@pytest.mark.parametrize("seed", range(5))
async def test_a_cluster_over_it_knows_of_its_gaps(seed: int) -> None:
    """The bus is a broker like any other: nodes meet on it, and what they miss is announced."""
    bus = FaultyBus(seed=seed)
    brokers = [bus.broker(), bus.broker()]
    one, other = (Cluster(broker, name=f"node{at}", metrics=Metrics()) for at, broker in enumerate(brokers))
    gaps: list[str] = []
    other.on_gap(lambda: gaps.append("gap"))
    heard: list[str] = []
    other.on_broadcast(lambda topic, event, raw, binary: heard.append(event))
    await one.start()
    await other.start()
    one.broadcast("room:1", "first", b"{}")
    async with asyncio.timeout(5):
        while not heard:
            await asyncio.sleep(0.001)
    brokers[1].cut_off()
    assert other.status == "down"
    one.broadcast("room:1", "missed", b"{}")
    brokers[1].join_again()
    assert (heard, gaps, other.status) == (["first"], ["gap"], "up")
    await one.stop()
    await other.stop()
