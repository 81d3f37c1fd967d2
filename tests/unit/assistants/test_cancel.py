"""Cancelling: a person's stop ends exactly the wait of the run; a shutdown passes through; nothing stays open."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest

from antiphon.assistants import calls as calls_module
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.run import Ended, Reasoning, Run, RunEvent, Text, ToolEnded, ToolStarted
from antiphon.domain import AnyPart, NoticePart, ReasoningPart, TextPart, ToolPart
from antiphon.providers.base import (
    ChatMessage,
    Event,
    Finish,
    ModelInfo,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallEnd,
)
from antiphon.tools.base import ToolContext, tool

pytestmark = pytest.mark.parametrize("anyio_backend", ["asyncio", "uvloop"], indirect=True)

CONTEXT = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="guide")
STOPPED = NoticePart(code="cancelled", text="The answer was stopped.")


class Talker:
    """Says what it is told to and then nothing more, unless `finish`; knows whether its stream is open."""

    name = "talker"

    def __init__(self, *events: Event, finish: bool = False) -> None:
        self.events = events
        self.finish = finish
        self.silent = asyncio.Event()
        self.open = 0
        self.asked = 0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        self.open += 1
        self.asked += 1
        try:
            if request.messages[-1].role == "tool":
                yield TextDelta("Then")
                yield TextDelta("that.")
                yield Finish("stop")
                return
            for event in self.events:
                yield event
            if self.finish:
                yield Finish("tool_calls")
                return
            self.silent.set()
            await asyncio.Event().wait()
        finally:
            self.open -= 1

    async def models(self) -> tuple[ModelInfo, ...]:
        return ()

    async def stop(self) -> None: ...


def call(name: str, call_id: str) -> ToolCallEnd:
    return ToolCallEnd(0, ToolCall(id=call_id, name=name, arguments="{}"))


def make(provider: Any, *tools: Any) -> Run:
    return Run(Assistant("guide", tools=tools), provider, "m", (ChatMessage(role="user", text="Why?"),), CONTEXT)


async def read(run: Run, each: Callable[[int], None] = lambda _: None) -> list[RunEvent]:
    events: list[RunEvent] = []
    async with aclosing(run.events()) as reading:
        async for event in reading:
            each(len(events))
            events.append(event)
    return events


@tool
async def quick() -> str:
    """Quick."""
    return "quick"


def parts_of(events: list[RunEvent]) -> list[AnyPart]:
    """What a reader has been given, as parts."""
    parts: list[AnyPart] = []
    places: dict[str, int] = {}
    for event in events:
        last = parts[-1] if parts else None
        match event:
            case Text(text=text) if isinstance(last, TextPart):
                parts[-1] = TextPart(text=last.text + text)
            case Text(text=text):
                parts.append(TextPart(text=text))
            case Reasoning(text=text) if isinstance(last, ReasoningPart):
                parts[-1] = ReasoningPart(text=last.text + text)
            case Reasoning(text=text):
                parts.append(ReasoningPart(text=text))
            case ToolStarted(part=part):
                places[part.call_id] = len(parts)
                parts.append(part)
            case ToolEnded(part=part):
                parts[places[part.call_id]] = part
    return parts


SCRIPT: tuple[Event, ...] = (
    ReasoningDelta("Hm"),
    ReasoningDelta("."),
    TextDelta("First"),
    TextDelta("this."),
    call("quick", "1"),
    call("quick", "2"),
)
EVENTS = 10  # four deltas, two tools started and ended, two more deltas


@pytest.mark.parametrize("at", range(EVENTS))
async def test_a_cancel_at_any_event_keeps_exactly_what_was_given_on(at: int) -> None:
    provider = Talker(*SCRIPT, finish=True)
    run = make(provider, quick)
    events = await read(run, lambda number: run.cancel() if number == at else None)
    *before, end = events
    assert isinstance(end, Ended)
    assert (end.status, end.code) == ("interrupted", "cancelled")
    assert list(end.parts) == [*parts_of(before), STOPPED]
    assert not [event for event in before[at + 1 :] if not isinstance(event, ToolEnded)]
    assert all(part.status != "running" for part in end.parts if isinstance(part, ToolPart))
    assert provider.open == 0


async def test_without_a_cancel_the_same_run_has_all_events() -> None:
    events = await read(make(Talker(*SCRIPT, finish=True), quick))
    assert len(events) == EVENTS + 1
    assert isinstance(events[-1], Ended)
    assert events[-1].status == "answered"


async def test_a_cancel_while_the_model_is_silent_ends_at_once() -> None:
    provider = Talker(TextDelta("half"))
    run = make(provider)
    reader = asyncio.create_task(read(run))
    await provider.silent.wait()
    run.cancel()
    run.cancel()
    end = (await reader)[-1]
    assert isinstance(end, Ended)
    assert end.parts == (TextPart(text="half"), STOPPED)
    assert provider.open == 0
    assert reader.cancelling() == 0
    assert end.usage.estimated


async def test_a_cancel_before_the_start_asks_no_model() -> None:
    provider = Talker()
    run = make(provider)
    run.cancel()
    events = await read(run)
    assert [type(event) for event in events] == [Ended]
    assert provider.asked == 0


async def test_a_cancel_after_the_end_does_nothing_to_the_reader() -> None:
    run = make(Talker(call("quick", "1"), finish=True), quick)
    events = await read(run)
    run.cancel()
    await asyncio.sleep(0)
    assert isinstance(events[-1], Ended)
    assert events[-1].status == "answered"


async def test_a_cancel_does_not_cut_what_the_reader_does_between_two_events() -> None:
    provider = Talker(TextDelta("a"))  # and then silence, which nobody may wait for
    run = make(provider)
    stored = []
    async with aclosing(run.events()) as reading:
        async for event in reading:
            asyncio.get_running_loop().call_soon(run.cancel)
            for _ in range(3):
                await asyncio.sleep(0)
            stored.append(event)
    assert [type(event) for event in stored] == [Text, Ended]
    assert provider.open == 0


# --- tools --------------------------------------------------------------------------------------------------------


class Bench:
    """A tool that works until it is stopped."""

    def __init__(self) -> None:
        self.working = asyncio.Event()
        self.stopped = False
        self.tool = tool(self.work)

    async def work(self) -> str:
        """Works."""
        try:
            self.working.set()
            await asyncio.Event().wait()
        finally:
            self.stopped = True
        return "never"


async def test_a_cancel_stops_running_tools_and_keeps_those_that_are_done() -> None:
    bench = Bench()
    run = make(Talker(TextDelta("So"), call("quick", "1"), call("work", "2"), finish=True), quick, bench.tool)
    reader = asyncio.create_task(read(run))
    await bench.working.wait()
    await asyncio.sleep(0)
    run.cancel()
    events = await reader
    assert [(e.part.name, e.part.status) for e in events if isinstance(e, ToolEnded)] == [
        ("quick", "done"),
        ("work", "cancelled"),
    ]
    assert bench.stopped
    end = events[-1]
    assert isinstance(end, Ended)
    assert list(end.parts) == [*parts_of(events), STOPPED]
    assert reader.cancelling() == 0


async def test_a_tool_that_is_deaf_to_cancellation_does_not_hold_the_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "STOP_SECONDS", 0.01)
    working, release = asyncio.Event(), asyncio.Event()

    @tool
    async def deaf() -> str:
        """Does not listen."""
        working.set()
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()
        return "late"

    run = make(Talker(call("deaf", "1"), finish=True), deaf)
    reader = asyncio.create_task(read(run))
    await working.wait()
    run.cancel()
    end = (await reader)[-1]
    assert isinstance(end, Ended)
    part = end.parts[0]
    assert isinstance(part, ToolPart)
    assert part.status == "cancelled"
    release.set()
    await asyncio.sleep(0)


# --- the reading task itself is cancelled -------------------------------------------------------------------------


async def test_a_shutdown_passes_through_and_leaves_nothing_open() -> None:
    provider = Talker(TextDelta("half"))
    run = make(provider)
    reader = asyncio.create_task(read(run))
    await provider.silent.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert provider.open == 0
    assert run.parts == (TextPart(text="half"),)


async def test_a_shutdown_stops_tools_and_leaves_none_running_in_the_parts() -> None:
    bench = Bench()
    run = make(Talker(call("work", "1"), finish=True), bench.tool)
    reader = asyncio.create_task(read(run))
    await bench.working.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert bench.stopped
    assert [part.status for part in run.parts if isinstance(part, ToolPart)] == ["cancelled"]


@pytest.mark.parametrize("person_first", [True, False])
async def test_a_shutdown_at_the_same_moment_as_a_cancel_wins(person_first: bool) -> None:
    provider = Talker(TextDelta("half"))
    run = make(provider)
    reader = asyncio.create_task(read(run))
    await provider.silent.wait()
    first, second = (run.cancel, reader.cancel) if person_first else (reader.cancel, run.cancel)
    first()
    second()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert provider.open == 0


async def test_a_time_limit_around_the_reader_is_not_taken_for_a_cancel() -> None:
    provider = Talker(TextDelta("half"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await read(make(provider))
    assert provider.open == 0


async def test_a_provider_that_swallows_the_cancellation_leaves_no_trace_of_it() -> None:
    class Stubborn(Talker):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
            yield TextDelta("half")
            self.silent.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            yield TextDelta("more")

    provider = Stubborn()
    run = make(provider)
    reader = asyncio.create_task(read(run))
    await provider.silent.wait()
    run.cancel()
    end = (await reader)[-1]
    assert isinstance(end, Ended)
    assert (end.code, end.text) == ("cancelled", "half")
    assert reader.cancelling() == 0
