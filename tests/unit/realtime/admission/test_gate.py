"""How many may connect: the bucket by a clock that is moved by hand, and both limits over real connections."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from antiphon.realtime.admission.connect import Refused
from antiphon.realtime.admission.gate import ConnectGate, Entrance
from antiphon.realtime.instruments import Instruments
from antiphon.realtime.limits import LimitLog
from antiphon.runtime.clock import ManualClock
from antiphon.telemetry.metrics import Metrics
from tests.phoenix import configured


async def test_a_burst_passes_and_then_the_rate() -> None:
    clock = ManualClock()
    gate = ConnectGate(10, 5, clock)
    assert [gate.enter() for _ in range(5)] == [0.0] * 5
    assert gate.enter() > 0
    await clock.advance(0.1)
    assert gate.enter() == 0.0
    assert gate.enter() > 0
    await clock.advance(60)
    assert [gate.enter() for _ in range(5)] == [0.0] * 5
    assert gate.enter() > 0


def test_those_who_are_turned_away_together_do_not_come_back_together() -> None:
    gate = ConnectGate(100, 1, ManualClock())
    gate.enter()
    waits = [gate.enter() for _ in range(1000)]
    assert waits == sorted(waits)
    assert (waits[0], waits[99], waits[999]) == (0.01, 1.0, 10.0)
    assert [gate.enter() for _ in range(10_000)][-1] == 30.0


async def test_what_was_turned_away_is_forgotten_with_time() -> None:
    clock = ManualClock()
    gate = ConnectGate(100, 1, clock)
    waits = [gate.enter() for _ in range(501)]
    assert waits[-1] == 5.0
    await clock.advance(5.0)
    assert gate.enter() == 0.0
    assert gate.enter() == pytest.approx(0.01)


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 20)), max_size=30))
async def test_never_more_than_the_burst_and_the_rate(steps: list[tuple[float, int]]) -> None:
    clock = ManualClock()
    gate = ConnectGate(7, 3, clock)
    passed = 0
    for seconds, asking in steps:
        await clock.advance(seconds)
        passed += sum(gate.enter() == 0.0 for _ in range(asking))
        assert passed <= 3 + 7 * clock.monotonic() + 1e-6


def entrance(clock: ManualClock, connections: Callable[[], int], **settings: Any) -> tuple[Entrance, Metrics]:
    metrics = Metrics()
    instruments = Instruments(metrics)
    return Entrance(configured(**settings), instruments, LimitLog(instruments, clock), connections, clock), metrics


async def test_a_storm_is_one_line_a_second(logged: list[Any]) -> None:
    clock = ManualClock()
    door, metrics = entrance(clock, lambda: 1, max_connects_per_second=10)
    for _ in range(10):
        door.enter()
    for _ in range(1000):
        with pytest.raises(Refused) as caught:
            door.enter()
        assert caught.value.status == 503
    assert caught.value.headers == {"retry-after": "30"}
    await clock.advance(1)
    for _ in range(11):
        with suppress(Refused):
            door.enter()
    lines = [line for line in logged if line["event"] == "realtime.connections_turned_away"]
    assert [(line["limit"], line["count"]) for line in lines] == [("rate", 1), ("rate", 1000)]
    assert b'antiphon_ws_turned_away_total{limit="rate"} 1001.0' in metrics.render()


def test_the_limit_counts_the_one_that_asks() -> None:
    open_now = 2
    door, metrics = entrance(ManualClock(), lambda: open_now, max_connections=2)
    door.enter()
    open_now = 3
    with pytest.raises(Refused) as caught:
        door.enter()
    assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "5"})
    assert b'antiphon_ws_turned_away_total{limit="connections"} 1.0' in metrics.render()


async def turned_away(live: Any) -> str:
    with pytest.raises(InvalidStatus) as caught:
        await live.wire()
    assert caught.value.response.status_code == 503
    return str(caught.value.response.headers["retry-after"])


async def test_one_connection_too_many_is_refused_until_another_ends(serve: Any) -> None:
    live = await serve(max_connections=2)
    first, second = await live.wire(), await live.wire()
    assert await turned_away(live) == "5"
    await first.connection.close()
    async with asyncio.timeout(5):
        while len(live.app.sockets) > 1:
            await asyncio.sleep(0.001)
    await (await live.wire()).nothing_more()
    await second.nothing_more()
    assert b'antiphon_ws_turned_away_total{limit="connections"} 1.0' in live.metrics.render()


async def test_too_many_new_connections_are_refused_before_anything_is_done_for_them(serve: Any) -> None:
    live = await serve(max_connects_per_second=0.001)
    await (await live.wire()).nothing_more()
    with pytest.raises(InvalidStatus) as caught:
        await live.wire("vsn=9&a=%zz", origin="https://evil.com")
    assert (caught.value.response.status_code, caught.value.response.headers["retry-after"]) == (503, "30")
    assert b'antiphon_ws_turned_away_total{limit="rate"} 1.0' in live.metrics.render()
