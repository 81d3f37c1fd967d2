"""Publishing and subscribing inside one process."""

import asyncio
import threading
from typing import Any

import pytest

from antiphon.realtime.pubsub import PubSub, adopt, get_pubsub, release
from antiphon.telemetry.metrics import Metrics
from tests.rules import rule


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def pubsub(metrics: Metrics) -> PubSub:
    return PubSub(backlog=3, metrics=metrics)


async def test_ps_1_topics_and_patterns(pubsub: PubSub) -> None:
    seen: list[Any] = []

    async def handler(topic: str, message: Any) -> None:
        seen.append((topic, message))

    await pubsub.subscribe("room:*", handler)
    await pubsub.subscribe("room:lobby", lambda topic, message: seen.append("plain"))
    assert await pubsub.publish("room:lobby", {"n": 1}) == 2
    assert await pubsub.publish("room:x", {"n": 2}) == 1
    assert await pubsub.publish("game:x", {"n": 3}) == 0
    assert seen == [("room:lobby", {"n": 1}), "plain", ("room:x", {"n": 2})]


@rule("BC-7")
async def test_bc_7_twice_subscribed_is_told_twice_and_one_unsubscribe_removes_both(pubsub: PubSub) -> None:
    seen: list[Any] = []

    def handler(topic: str, message: Any) -> None:
        seen.append(message)

    await pubsub.subscribe("t", handler)
    await pubsub.subscribe("t", handler)
    await pubsub.publish("t", 1)
    await pubsub.unsubscribe("t", handler)
    await pubsub.unsubscribe("t", handler)
    await pubsub.publish("t", 2)
    assert seen == [1, 1]


async def test_ps_5_one_at_a_time_in_order_and_a_slow_one_delays_nobody(pubsub: PubSub) -> None:
    gate, slow, fast = asyncio.Event(), [], []

    async def waits(topic: str, message: Any) -> None:
        await gate.wait()
        slow.append(message)

    await pubsub.subscribe("t", waits)
    await pubsub.subscribe("t", lambda topic, message: fast.append(message))
    for n in range(3):
        await pubsub.publish("t", n)
    assert fast == [0, 1, 2]
    assert slow == []
    gate.set()
    async with asyncio.timeout(5):
        while len(slow) < 3:
            await asyncio.sleep(0)
    assert slow == [0, 1, 2]


async def test_a_full_backlog_drops_the_oldest_and_counts_them(pubsub: PubSub, metrics: Metrics) -> None:
    gate, seen = asyncio.Event(), []

    async def waits(topic: str, message: Any) -> None:
        await gate.wait()
        seen.append(message)

    await pubsub.subscribe("t", waits)
    for n in range(10):
        await pubsub.publish("t", n)
    gate.set()
    async with asyncio.timeout(5):
        while len(seen) < 4:
            await asyncio.sleep(0)
    assert seen == [0, 7, 8, 9]
    assert b"antiphon_pubsub_dropped_total 6.0" in metrics.render()


async def test_a_failing_subscriber_is_counted_and_harms_nobody(pubsub: PubSub, metrics: Metrics) -> None:
    seen: list[Any] = []

    async def fails(topic: str, message: Any) -> None:
        raise RuntimeError("boom")

    await pubsub.subscribe("t", fails)
    await pubsub.subscribe("t", lambda topic, message: seen.append(message))
    await pubsub.publish("t", 1)
    await pubsub.publish("t", 2)
    assert seen == [1, 2]
    assert b"antiphon_pubsub_failed_total 2.0" in metrics.render()


async def test_a_subscriber_may_publish_to_itself(pubsub: PubSub) -> None:
    seen: list[int] = []

    async def handler(topic: str, message: int) -> None:
        seen.append(message)
        if message < 3:
            await pubsub.publish("t", message + 1)

    await pubsub.subscribe("t", handler)
    await pubsub.publish("t", 0)
    async with asyncio.timeout(5):
        while len(seen) < 4:
            await asyncio.sleep(0)
    assert seen == [0, 1, 2, 3]


async def test_another_thread_may_publish(pubsub: PubSub) -> None:
    loop_thread, seen = threading.get_ident(), asyncio.Queue[Any]()
    await pubsub.subscribe("t", lambda topic, message: seen.put_nowait((threading.get_ident(), message)))
    thread = threading.Thread(target=pubsub.publish_now, args=("t", 1))
    thread.start()
    async with asyncio.timeout(5):
        assert await seen.get() == (loop_thread, 1)
    thread.join()


async def test_after_unsubscribing_nothing_comes_of_what_waited(pubsub: PubSub) -> None:
    gate, seen = asyncio.Event(), []

    async def waits(topic: str, message: Any) -> None:
        seen.append(message)
        await gate.wait()

    await pubsub.subscribe("t", waits)
    for number in range(3):
        await pubsub.publish("t", number)
    await pubsub.unsubscribe("t", waits)
    gate.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert seen == [0]


async def test_stop_cancels_what_still_runs_and_forgets_what_waits(pubsub: PubSub) -> None:
    seen = []

    async def waits(topic: str, message: Any) -> None:
        seen.append(message)
        await asyncio.Event().wait()

    await pubsub.subscribe("t", waits)
    await pubsub.publish("t", 1)
    await pubsub.publish("t", 2)
    await pubsub.stop()
    assert await pubsub.publish("t", 3) == 0
    for _ in range(10):
        await asyncio.sleep(0)
    assert seen == [1]


def test_the_getter_gives_what_the_running_application_uses() -> None:
    default = get_pubsub()
    assert adopt(default) is default
    own = PubSub()
    try:
        assert adopt(own) is own
        assert get_pubsub() is default
    finally:
        release(default)
