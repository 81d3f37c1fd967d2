"""What is counted and said when a limit is met, however often that is."""

from typing import Any

import pytest

from antiphon.realtime import limits as module
from antiphon.realtime.instruments import Instruments
from antiphon.realtime.limits import LimitLog, SparseLog
from antiphon.runtime.clock import ManualClock
from antiphon.telemetry.metrics import Metrics


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    said: list[tuple[str, dict[str, Any]]] = []

    class Log:
        def warning(self, event: str, **fields: Any) -> None:
            said.append((event, fields))

        error = warning

    monkeypatch.setattr(module, "log", Log())
    return said


async def test_a_thousand_times_is_one_line_a_second_and_a_thousand_in_the_metric(lines: list[Any]) -> None:
    clock, metrics = ManualClock(), Metrics()
    book = LimitLog(Instruments(metrics), clock)
    for _ in range(500):
        book.met("max_channels", "realtime.too_many_channels", limit=3)
    await clock.advance(1.0)
    for _ in range(500):
        book.met("max_channels", "realtime.too_many_channels", limit=3)
    event = "realtime.too_many_channels"
    assert lines == [(event, {"limit": 3}), (event, {"limit": 3, "times": 500})]
    assert 'antiphon_ws_limits_met_total{limit="max_channels"} 1000.0' in metrics.render().decode()


async def test_lines_of_different_events_do_not_hide_each_other(lines: list[Any]) -> None:
    book = LimitLog(Instruments(Metrics()), ManualClock())
    book.say("realtime.bad_frame")
    book.say("realtime.broken_frame")
    book.say("realtime.bad_frame")
    assert [event for event, _ in lines] == ["realtime.bad_frame", "realtime.broken_frame"]


async def test_four_fifths_are_worth_a_warning_a_minute(lines: list[Any]) -> None:
    clock = ManualClock()
    book = LimitLog(Instruments(Metrics()), clock)
    for used in range(1, 11):
        book.watch("max_connections", used, 10)
    assert lines == [("realtime.limit_near", {"limit": "max_connections", "used": 8, "most": 10})]
    await clock.advance(59)
    book.watch("max_connections", 9, 10)
    assert len(lines) == 1
    book.watch("max_channels", 80, 100)
    assert lines[-1][1]["limit"] == "max_channels"
    await clock.advance(1)
    book.watch("max_connections", 9, 10)
    assert lines[-1] == ("realtime.limit_near", {"limit": "max_connections", "used": 9, "most": 10, "times": 4})


async def test_a_socket_that_fills_up_is_told_of(serve: Any, lines: list[Any]) -> None:
    live = await serve(max_channels=5)
    wire = await live.wire("vsn=2.0.0")
    for number in range(6):
        await wire.join(f"room:{number}")
    assert ("realtime.limit_near", {"limit": "max_channels", "used": 4, "most": 5}) in lines
    assert lines[-1] == ("realtime.too_many_channels", {"limit": 5})
    assert 'antiphon_ws_limits_met_total{limit="max_channels"} 1.0' in live.metrics.render().decode()


async def test_what_fails_in_one_place_does_not_hide_what_fails_in_another(lines: list[Any]) -> None:
    clock, error = ManualClock(), RuntimeError("no")
    book = SparseLog(clock)
    for pattern in ("room:*", "other:*") * 3:
        book.failed("realtime.channel_crashed", pattern, topic=pattern, exc_info=error)
    await clock.advance(1.0)
    book.failed("realtime.channel_crashed", "room:*", topic="room:1", exc_info=error)
    assert [(fields["topic"], fields.get("times")) for _, fields in lines] == [
        ("room:*", None), ("other:*", None), ("room:1", 3)
    ]  # fmt: skip
    assert {fields["exc_info"] for _, fields in lines} == {error}


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        ("realtime.join_crashed", ["9", "9", "room:9", "phx_join", {"crash": True}]),
        ("realtime.access_token_failed", [None, "9", "phoenix", "access_token", {"access_token": "any"}]),
    ],
)
async def test_a_client_that_finds_what_fails_does_not_fill_the_log(
    live: Any, lines: list[Any], event: str, frame: list[Any]
) -> None:
    async def fails(_token: str, _socket: Any) -> Any:
        raise RuntimeError("the secret of the check")

    live.app.on_access_token(fails)
    wire = await live.wire()
    for _ in range(20):
        await wire.send(frame)
        await wire.receive()
    assert 1 <= len([said for said, _ in lines if said == event]) < 10


async def test_a_handler_that_crashes_again_and_again_is_one_line_with_its_stack(live: Any, lines: list[Any]) -> None:
    wire = await live.wire()
    for _ in range(20):
        await wire.join("room:1")
        await wire.send(["1", "2", "room:1", "crash", {}])
        assert [(await wire.receive())[3] for _ in range(2)] == ["before", "phx_error"]
    crashes = [fields for event, fields in lines if event == "realtime.channel_crashed"]
    assert 1 <= len(crashes) < 10
    assert crashes[0]["topic"] == "room:1"
    assert crashes[0]["exc_info"].__traceback__ is not None
    assert b"antiphon_ws_channel_crashes_total 20.0" in live.metrics.render()
