"""How hooks are asked: what costs nothing, what is kept in time, and who is left alone."""

import asyncio
from time import perf_counter

import pytest

from antiphon.domain import Target, ToolPart, Turn, TurnRecord, now
from antiphon.errors import NotAllowedError
from antiphon.plugins.base import BasePlugin, PluginMetadata
from antiphon.plugins.hooks import HOOKS, Moment, Said
from antiphon.plugins.listeners import HookListeners
from antiphon.telemetry.metrics import Metrics

MOMENT = Moment(
    turn=Turn(
        id="t",
        conversation_id="c",
        message_id="m",
        ticket=1,
        person_id="p",
        text="hello",
        target=Target(adapter="web", place="c"),
        created_at=now(),
    )
)
RECORD = TurnRecord(outcome="answered")


class Listening(BasePlugin):
    """Answers as it is told, and notes what it is told."""

    metadata = PluginMetadata(name="listening", version="1")

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.wait: asyncio.Event | None = None
        self.error: Exception | None = None

    async def answer_ready(self, moment: Moment, answer: str) -> str | None:
        if self.wait is not None:
            await self.wait.wait()
        if self.error is not None:
            raise self.error
        return answer.upper() if answer != "same" else None

    async def reply_stored(self, moment: Moment, record: TurnRecord, reply: str) -> None:
        if self.wait is not None:
            await self.wait.wait()
        self.told.append(reply)
        if reply == "refuse":
            raise NotAllowedError("Too late.")


async def test_where_nobody_listens_nothing_is_asked() -> None:
    nobody = HookListeners(metrics=Metrics())
    assert not nobody.listens(*HOOKS)
    said = Said(text="hello")
    began = perf_counter()
    for _ in range(10_000):
        assert await nobody.ask("message_arrived", MOMENT, said) is said
        nobody.tell(MOMENT, RECORD, "reply")
    assert (perf_counter() - began) / 10_000 < 0.000_02  # about half a millionth on a machine that is idle


async def test_what_is_given_counts_and_none_leaves_it() -> None:
    listeners = HookListeners([Listening()], metrics=Metrics())
    assert listeners.listens("answer_ready")
    assert not listeners.listens("before_model", "tool_wished")
    assert await listeners.ask("answer_ready", MOMENT, "hello") == "HELLO"
    assert await listeners.ask("answer_ready", MOMENT, "same") == "same"


async def test_who_keeps_failing_is_left_alone_and_a_refusal_is_no_failure() -> None:
    plugin, metrics = Listening(), Metrics()
    listeners = HookListeners([plugin], metrics=metrics)
    plugin.error = NotAllowedError("No.")
    for _ in range(5):
        with pytest.raises(NotAllowedError):
            await listeners.ask("answer_ready", MOMENT, "hello")
    assert listeners.resting() == []
    plugin.error = ValueError("broken")
    for _ in range(5):
        assert await listeners.ask("answer_ready", MOMENT, "hello") == "hello"
    assert listeners.resting() == ["listening.answer_ready"]
    assert b'antiphon_plugin_failures_total{hook="answer_ready",plugin="listening"} 3.0' in metrics.render()


async def test_whoever_waits_for_a_hook_can_be_cancelled() -> None:
    plugin = Listening()
    plugin.wait = asyncio.Event()
    listeners = HookListeners([plugin], 60.0, Metrics())
    asking = asyncio.create_task(listeners.ask("answer_ready", MOMENT, "hello"))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_what_must_stay_stays() -> None:
    class Meddling(BasePlugin):
        """Changes more than it may."""

        metadata = PluginMetadata(name="meddling", version="1")

        async def tool_ended(self, moment: Moment, part: ToolPart) -> ToolPart:
            return ToolPart(call_id="other", name="other", arguments="{}", status="failed", result="changed")

    part = ToolPart(call_id="1", name="clock", arguments="{}", status="done", result="noon")
    given = await HookListeners([Meddling()], metrics=Metrics()).ask("tool_ended", MOMENT, part)
    assert given == ToolPart(call_id="1", name="clock", arguments="{}", status="done", result="changed")


async def test_the_end_of_a_turn_is_told_in_order_and_nobody_waits() -> None:
    plugin = Listening()
    plugin.wait = asyncio.Event()
    listeners = HookListeners([plugin], metrics=Metrics())
    for reply in ("one", "refuse", "two"):
        listeners.tell(MOMENT, RECORD, reply)
    assert plugin.told == []
    plugin.wait.set()
    await listeners.finish()
    assert plugin.told == ["one", "refuse", "two"]
