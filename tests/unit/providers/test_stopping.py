from collections.abc import AsyncGenerator

from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.domain import Usage
from antiphon.providers.base import (
    Error,
    Event,
    Finish,
    ModelInfo,
    ModelRequest,
    Provider,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallEnd,
    UsageReport,
)
from antiphon.providers.stopping import Stopping, before

STOPS = st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=4).map(tuple)


class Vendor:
    """A provider that says what it is given, and notes whether it was heard to the end."""

    name = "acme"

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.ended = self.closed = self.stopped = False

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        del request
        try:
            for event in self.events:
                yield event
            self.ended = True
        finally:
            self.closed = True

    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(id="m"),)

    async def stop(self) -> None:
        self.stopped = True


async def heard(vendor: Vendor, *stops: str) -> list[Event]:
    request = ModelRequest(model="m", messages=(), stop=stops)
    return [event async for event in Stopping(vendor).stream(request)]


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@given(st.lists(st.text("ab\n", max_size=5)), STOPS)
@example(["bab", "b"], ("a", "babb"))
async def test_however_a_text_is_cut_into_pieces_it_ends_before_the_first_stop(
    pieces: list[str], stops: tuple[str, ...]
) -> None:
    text = "".join(pieces)
    vendor = Vendor([*map(TextDelta, pieces), Finish("length")])
    events = await heard(vendor, *stops)
    end = next((end for end in range(len(text) + 1) if text.endswith(stops, 0, end)), None)
    first = len(text) if end is None else min(end - len(stop) for stop in stops if text.endswith(stop, 0, end))
    assert said(events) == before(text, stops) == text[:first]
    assert events[-1] == Finish("stop" if first < len(text) else "length")
    assert sum(isinstance(event, Finish) for event in events) == 1
    assert vendor.closed
    assert all(event.text for event in events if isinstance(event, TextDelta))


async def test_a_vendor_that_goes_on_is_let_go_of_at_once() -> None:
    vendor = Vendor([TextDelta("one EN"), TextDelta("D two"), TextDelta("three"), Finish("stop")])
    assert await heard(vendor, "END") == [TextDelta("one "), Finish("stop")]
    assert vendor.closed
    assert not vendor.ended


async def test_what_is_no_text_passes_and_comes_behind_what_was_held_back() -> None:
    call = ToolCallEnd(0, ToolCall(id="c", name="END", arguments="END"))
    usage = UsageReport(Usage(input_tokens=1))
    vendor = Vendor([ReasoningDelta("END"), TextDelta("E"), call, TextDelta("ND"), usage, Finish("stop")])
    assert await heard(vendor, "END") == [
        ReasoningDelta("END"), TextDelta("E"), call, TextDelta("ND"), usage, Finish("stop"),
    ]  # fmt: skip


async def test_what_was_held_back_is_not_lost_when_a_vendor_fails() -> None:
    failed = Error("interrupted", "x", "x")
    assert await heard(Vendor([TextDelta("EN"), failed]), "END") == [TextDelta("EN"), failed]


async def test_without_a_stop_it_is_the_vendors_own_stream() -> None:
    vendor = Vendor([TextDelta("END"), Finish("stop")])
    stopping = Stopping(vendor)
    assert isinstance(stopping, Provider)
    assert stopping.stream(ModelRequest(model="m", messages=())).__qualname__.startswith("Vendor.")  # type: ignore[attr-defined]
    assert (stopping.name, await stopping.models()) == ("acme", (ModelInfo(id="m"),))
    await stopping.stop()
    assert vendor.stopped
