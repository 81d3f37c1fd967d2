"""The broker of one process: what does not fit is dropped, counted and told."""

import asyncio
import threading

from antiphon.realtime.brokers.memory import MemoryBroker, MemoryHub
from antiphon.telemetry.metrics import Metrics
from tests.nodes import Nodes, until


async def test_what_does_not_fit_is_dropped_and_told_as_a_gap() -> None:
    hub, metrics = MemoryHub(), Metrics()
    async with Nodes(lambda: MemoryBroker(hub, unsent_bytes=1000, metrics=metrics)) as nodes:
        one, two = await nodes("one"), await nodes("two")
        for number in range(20):
            one.broker.publish(b"%02d" % number * 50)
        await until(lambda: two.told == ["up", "gap"])
        assert two.got == [b"%02d" % number * 50 for number in range(10)]
        assert b'antiphon_broker_dropped_total{broker="memory",reason="full"} 10.0' in metrics.render()
        one.broker.publish(b"again")
        await until(lambda: two.got[-1] == b"again")


async def test_what_is_published_while_something_arrives_comes_behind_it() -> None:
    hub = MemoryHub()
    one, two = MemoryBroker(hub, metrics=Metrics()), MemoryBroker(hub, metrics=Metrics())
    got: list[bytes] = []

    def answer(body: bytes) -> None:
        got.append(body)
        if len(got) < 5:
            two.publish(body + b"!")

    await one.start("one", one.publish, lambda _: None)
    await two.start("two", answer, lambda _: None)
    one.publish(b"?")
    await until(lambda: len(got) == 5)
    assert got == [b"?" + b"!" * number for number in range(5)]
    await one.stop()
    await two.stop()


async def test_one_that_stops_while_it_is_given_something_is_given_no_more() -> None:
    hub = MemoryHub()
    one, two = MemoryBroker(hub, metrics=Metrics()), MemoryBroker(hub, metrics=Metrics())
    got: list[bytes] = []

    def stop(body: bytes) -> None:
        got.append(body)
        stopping.append(asyncio.ensure_future(two.stop()))

    stopping: list[asyncio.Future[None]] = []
    await one.start("one", got.append, lambda _: None)
    await two.start("two", stop, lambda _: None)
    one.publish(b"1")
    await asyncio.sleep(0)
    one.publish(b"2")
    await asyncio.sleep(0)
    await asyncio.gather(*stopping)
    one.publish(b"3")
    await asyncio.sleep(0.01)
    assert got == [b"1"]
    await one.stop()


async def test_nodes_in_several_loops_hear_each_other() -> None:
    hub = MemoryHub()
    one, two = MemoryBroker(hub, metrics=Metrics()), MemoryBroker(hub, metrics=Metrics())
    got: list[bytes] = []
    await one.start("one", got.append, lambda _: None)

    async def elsewhere() -> None:
        heard: list[bytes] = []
        await two.start("two", heard.append, lambda _: None)
        two.publish(b"from another thread")
        await until(lambda: heard == [b"hello"])
        await two.stop()

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    await until(lambda: got == [b"from another thread"])
    one.publish(b"hello")
    await until(lambda: not thread.is_alive())
    one.publish(b"nobody hears this")
    await one.stop()
