"""What holds the loop up is named: the class of the channel, the pattern of its topic, the event."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from antiphon.realtime import stalls
from antiphon.realtime.channel import Channel
from antiphon.realtime.members.middleware import LoggingMiddleware
from tests.nodes import until

Serve = Callable[..., Awaitable[Any]]

BLOCK_SECONDS = 0.2
WATCH_SECONDS = 0.05


class Kitchen(Channel):
    """Everybody waits while the soup is cooked."""

    async def on_join(self, payload: Any, socket: Any) -> Any:
        if payload.get("cook"):
            time.sleep(BLOCK_SECONDS)

    @Channel.on("cook")
    async def cook(self, payload: Any, socket: Any) -> Any:
        time.sleep(BLOCK_SECONDS)
        return {}

    @Channel.on("wait")
    async def wait_and_cook(self, payload: Any, socket: Any) -> Any:
        await asyncio.sleep(0)
        time.sleep(BLOCK_SECONDS)
        return {}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places that were named in the log."""
    places: list[str] = []

    class Log:
        def warning(self, event: str, *, place: str, limit_s: float) -> None:
            assert (event, limit_s) == ("loop.stalled", WATCH_SECONDS)
            places.append(place)

    monkeypatch.setattr(stalls, "log", Log())
    return places


@pytest.fixture
async def kitchen(serve: Serve) -> Any:
    live = await serve(stall_seconds=WATCH_SECONDS)
    live.app.channel("kitchen:*")(Kitchen)
    return live


def figure(live: Any, metric: str) -> float:
    (line,) = [line for line in live.metrics.render().decode().splitlines() if line.startswith(f"{metric} ")]
    return float(line.split()[1])


@pytest.mark.parametrize("event", ["cook", "wait"])
@pytest.mark.parametrize("middleware", [False, True])
async def test_a_handler_that_does_not_wait_is_named(
    kitchen: Any, said: list[str], event: str, middleware: bool
) -> None:
    if middleware:
        kitchen.app.use_middleware(LoggingMiddleware())
    wire = await kitchen.wire("vsn=2.0.0")
    await wire.join("kitchen:1")
    await wire.send(["1", "2", "kitchen:1", event, {}])
    await wire.receive()
    assert said[-1].endswith(f", handler of Kitchen, topic kitchen:*, event {event}")
    assert "test_stalls:" in said[-1]
    assert "kitchen:1" not in said[-1], "no name that a client made up"


async def test_so_is_a_join(kitchen: Any, said: list[str]) -> None:
    wire = await kitchen.wire("vsn=2.0.0")
    await wire.join("kitchen:1", {"cook": True})
    assert said[-1].endswith(", handler of Kitchen, topic kitchen:*, event phx_join")


async def test_the_same_place_is_said_once_a_minute_and_counted_each_time(kitchen: Any, said: list[str]) -> None:
    wire = await kitchen.wire("vsn=2.0.0")
    await wire.join("kitchen:1")
    for number in range(3):
        await wire.send(["1", str(number), "kitchen:1", "cook", {}])
        await wire.receive()
    assert len([place for place in said if "Kitchen" in place]) == 1
    stalled = [
        line for line in kitchen.metrics.render().decode().splitlines() if line.startswith("antiphon_loop_stalls_total")
    ]
    assert float(stalled[0].split()[1]) >= 3


async def test_the_lag_is_measured(kitchen: Any, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "SAMPLE_SECONDS", 0.02)
    kitchen.app._stalls._sample()
    time.sleep(BLOCK_SECONDS)

    await until(lambda: figure(kitchen, "antiphon_loop_lag_seconds") >= BLOCK_SECONDS - 2 * WATCH_SECONDS)
    assert "test_the_lag_is_measured" in said[-1]


async def test_nothing_is_watched_where_the_settings_say_so(serve: Serve, said: list[str]) -> None:
    live = await serve(stall_seconds=None)
    live.app.channel("kitchen:*")(Kitchen)
    wire = await live.wire("vsn=2.0.0")
    await wire.join("kitchen:1", {"cook": True})
    assert said == []
