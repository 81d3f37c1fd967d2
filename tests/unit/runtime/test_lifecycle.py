import asyncio
import logging
from typing import Any

import pytest

from antiphon.errors import ConfigError, ProviderError, ServiceError
from antiphon.runtime.lifecycle import HealthCheck, Lifecycle


class Diary:
    """Parts that write down what happens to them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, life: Lifecycle, name: str, *, start: object = None, stop: object = None, **limits: Any) -> None:
        life.add(name, self._step(f"start {name}", start), self._step(f"stop {name}", stop), **limits)

    def _step(self, line: str, then: object):  # type: ignore[no-untyped-def]
        async def step() -> None:
            self.lines.append(line)
            if isinstance(then, BaseException):
                raise then
            if then == "hang":
                await asyncio.Event().wait()

        return step


async def test_parts_start_in_order_and_stop_in_reverse() -> None:
    diary, life = Diary(), Lifecycle()
    for name in ("store", "socket", "web"):
        diary.add(life, name)
    await life.start()
    assert life.running == ("store", "socket", "web")
    await life.stop()
    assert diary.lines == ["start store", "start socket", "start web", "stop web", "stop socket", "stop store"]
    assert not life.running


async def test_stopping_twice_and_starting_again_are_harmless() -> None:
    diary, life = Diary(), Lifecycle()
    diary.add(life, "store")
    await life.start()
    await life.start()
    await life.stop()
    await life.stop()
    await life.start()
    assert diary.lines == ["start store", "stop store", "start store"]


async def test_a_part_may_have_only_one_of_the_two() -> None:
    life, seen = Lifecycle(), list[str]()

    async def stop() -> None:
        seen.append("stopped")

    life.add("passive")
    life.add("closes", stop=stop)
    await life.start()
    await life.stop()
    assert seen == ["stopped"]


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (OSError("address in use"), ServiceError, "Could not start socket: OSError: address in use"),
        (ConfigError("The port is wrong."), ConfigError, "Could not start socket: The port is wrong."),
        (ProviderError("No answer.", kind="timeout"), ServiceError, "Could not start socket: No answer."),
        (TimeoutError("connect"), ServiceError, "Could not start socket: time-out connect."),
    ],
)
async def test_a_failing_start_stops_what_was_started_and_names_the_part(
    error: Exception, kind: type[Exception], sentence: str
) -> None:
    diary, life = Diary(), Lifecycle()
    diary.add(life, "store")
    diary.add(life, "socket", start=error)
    diary.add(life, "web")
    with pytest.raises(kind) as caught:
        await life.start()
    assert str(caught.value) == sentence
    assert caught.value.__cause__ is error
    assert diary.lines == ["start store", "start socket", "stop store"]
    assert life.running == ()


async def test_a_start_that_hangs_is_given_up_after_its_time() -> None:
    diary, life = Diary(), Lifecycle()
    diary.add(life, "store")
    diary.add(life, "socket", start="hang", start_limit=0.01)
    with pytest.raises(ServiceError, match=r"Could not start socket: it was not ready within 0\.01 seconds"):
        await life.start()
    assert diary.lines[-1] == "stop store"


async def test_a_cancelled_start_stops_what_was_started() -> None:
    diary, life = Diary(), Lifecycle()
    diary.add(life, "store")
    diary.add(life, "socket", start="hang")
    starting = asyncio.create_task(life.start())
    while "start socket" not in diary.lines:
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert diary.lines[-1] == "stop store"


async def test_a_part_that_does_not_stop_does_not_keep_the_others_from_it(caplog: pytest.LogCaptureFixture) -> None:
    diary, life = Diary(), Lifecycle()
    diary.add(life, "store")
    diary.add(life, "socket", stop=RuntimeError("broken"))
    diary.add(life, "web", stop="hang", stop_limit=0.01)
    await life.start()
    with caplog.at_level(logging.ERROR), pytest.raises(ServiceError, match="Not stopped in order: web, socket"):
        await life.stop()
    assert diary.lines[-3:] == ["stop web", "stop socket", "stop store"]
    assert [record.getMessage() for record in caplog.records] == [
        "lifecycle.stop_failed: web",
        "lifecycle.stop_failed: socket",
    ]


class Watch:
    """Who is watched now, and what was said while it stopped."""

    def __init__(self) -> None:
        self.checks: dict[str, tuple[Any, bool]] = {}

    def register(self, name: str, check: Any, critical: bool = True) -> None:
        self.checks[name] = check, critical

    def unregister(self, name: str) -> None:
        del self.checks[name]


async def test_what_runs_is_watched_and_nothing_else() -> None:
    watch, seen = Watch(), list[list[str]]()
    life = Lifecycle(watch=watch)

    async def look() -> None:
        seen.append(list(watch.checks))

    life.add("the store", look, look, check=HealthCheck("store", check := object))
    life.add("a device", look, look, check=HealthCheck("device", object, critical=False))
    await life.start()
    assert watch.checks == {"store": (check, True), "device": (object, False)}
    await life.stop()
    assert seen == [[], ["store"], ["store"], []], "neither before it runs nor while it stops"


async def test_what_could_not_start_is_not_watched() -> None:
    watch = Watch()
    diary, life = Diary(), Lifecycle(watch=watch)
    life.add("the store", check=HealthCheck("store", object))
    diary.add(life, "socket", start=OSError("taken"), check=HealthCheck("socket", object))
    with pytest.raises(ServiceError, match="Could not start socket"):
        await life.start()
    assert watch.checks == {}


async def test_limits_are_those_of_the_whole_unless_a_part_has_its_own() -> None:
    diary, life = Diary(), Lifecycle(start_limit=0.01, stop_limit=0.01)
    diary.add(life, "patient", stop="hang", stop_limit=0.02)
    diary.add(life, "slow", start="hang")
    with pytest.raises(ServiceError, match=r"slow: it was not ready within 0\.01 seconds"):
        await life.start()
    assert diary.lines == ["start patient", "start slow", "stop patient"]
