import asyncio
import logging

import pytest

from antiphon.errors import ConfigError, ProviderError, ServiceError
from antiphon.runtime.lifecycle import Lifecycle


class Diary:
    """Parts that write down what happens to them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, life: Lifecycle, name: str, *, start: object = None, stop: object = None, **limits: float) -> None:
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
