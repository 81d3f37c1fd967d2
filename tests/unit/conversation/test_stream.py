"""A running turn as others see it: any reader that knows a number gets exactly the rest."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.conversation import stream as streams
from antiphon.conversation.stream import TurnStream
from antiphon.domain import NoticePart, Target, TextPart, ToolPart, Turn, TurnRecord, now
from antiphon.errors import ServiceError
from antiphon.storage.base import Chunk, Store
from tests.unit.conversation.conftest import Ear, asked


class Nowhere:
    """An inbox that keeps what is appended, and fails while there is `trouble`."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.trouble: list[ServiceError] = []

    async def append(self, turn_id: str, chunks: list[Chunk]) -> None:
        if self.trouble:
            raise self.trouble.pop()
        self.chunks += chunks


TURN = Turn(
    id="t1", conversation_id="c1", message_id="m1", ticket=1, person_id="p", text="?",
    target=Target(adapter="web", place="c1"), created_at=now(),
)  # fmt: skip

moves = st.lists(
    st.tuples(st.sampled_from(["text", "reasoning"]), st.text(min_size=1, max_size=4))
    | st.tuples(st.just("tool"), st.sampled_from(["a", "b", "c"])),
    max_size=30,
)


def play(stream: TurnStream, events: list[tuple[str, str]]) -> None:
    for kind, value in events:
        if kind == "text":
            stream.text(value)
        elif kind == "reasoning":
            stream.reasoning(value)
        else:
            stream.tool(ToolPart(call_id=value, name="clock", arguments="{}", status="running"))


class Reader:
    """Drops what it has, as the contract says."""

    def __init__(self) -> None:
        self.seq = 0
        self.text = self.reasoning = ""
        self.tools: dict[str, dict[str, Any]] = {}

    def take(self, event: str, payload: dict[str, Any]) -> None:
        if payload["seq"] <= self.seq:
            return
        self.seq = payload["seq"]
        self.text += payload.get("text", "")
        self.reasoning += payload.get("reasoning", "")
        if event == "tool":
            self.tools[payload["call_id"]] = payload | {"seq": 0}


@given(events=moves, cut=st.integers(0, 30))
def test_who_comes_back_at_any_number_has_what_everybody_has(events: list[tuple[str, str]], cut: int) -> None:
    async def run() -> None:
        ear = Ear()
        stream = TurnStream(TURN, ear.broadcast, Nowhere())  # type: ignore[arg-type]
        play(stream, events)
        everybody, late = Reader(), Reader()
        live = [(event, payload) for _, event, payload in ear.heard]
        for event, payload in live:
            everybody.take(event, payload)
        for event, payload in live[:cut]:
            late.take(event, payload)
        follow = stream.follow(late.seq)
        assert [payload["seq"] for _, payload in follow] == sorted(payload["seq"] for _, payload in follow)
        for event, payload in [*follow, *follow, *live]:
            late.take(event, payload)
        assert vars(late) == vars(everybody)
        said = "".join(part.text for part in stream.parts() if isinstance(part, TextPart))
        assert said == everybody.text
        assert sum(event == "delta" for event, _ in follow) <= 1
        await stream.close()

    asyncio.run(run())


@given(events=moves)
def test_what_is_stored_behind_makes_the_same_parts(events: list[tuple[str, str]]) -> None:
    offset, chunks = 0, []
    for size in (1, 3, 1000):
        pieces = [
            (kind, ToolPart(call_id=value, name="n", arguments="{}", status="done") if kind == "tool" else value)
            for kind, value in events[offset : offset + size]
        ]
        chunks += streams._chunks(pieces, offset)
        offset += len(pieces)
    assert [chunk.seq for chunk in chunks] == sorted({chunk.seq for chunk in chunks})
    assert "".join(chunk.text for chunk in chunks if chunk.kind == "text") == "".join(
        value for kind, value in events if kind == "text"
    )
    if events:
        assert chunks[-1].seq == len(events)


async def test_a_store_that_fails_is_tried_again_with_the_next_piece(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STORE_EVERY", 0.001)
    inbox = Nowhere()
    inbox.trouble = [ServiceError("busy")]
    stream = TurnStream(TURN, ear.broadcast, inbox)  # type: ignore[arg-type]
    stream.text("one ")
    async with asyncio.timeout(5):
        while inbox.trouble or (stream._storing and not stream._storing.done()):
            await asyncio.sleep(0)
    assert inbox.chunks == []
    stream.text("two")
    async with asyncio.timeout(5):
        while not inbox.chunks:
            await asyncio.sleep(0)
    assert [(chunk.seq, chunk.text) for chunk in inbox.chunks] == [(2, "one two")]
    await stream.close()


async def test_a_store_that_keeps_failing_is_told_of_once(
    ear: Ear, monkeypatch: pytest.MonkeyPatch, logged: list[MutableMapping[str, Any]]
) -> None:
    monkeypatch.setattr(streams, "STORE_EVERY", 0.001)
    inbox = Nowhere()
    stream = TurnStream(TURN, ear.broadcast, inbox)  # type: ignore[arg-type]

    async def fail(times: int) -> None:
        for _ in range(times):
            inbox.trouble = [ServiceError("full")]
            stream.text("piece ")
            async with asyncio.timeout(5):
                while inbox.trouble or (stream._storing and not stream._storing.done()):
                    await asyncio.sleep(0)

    await fail(5)
    stream.text("piece ")
    async with asyncio.timeout(5):
        while not inbox.chunks:
            await asyncio.sleep(0)
    await fail(3)
    await stream.close()
    assert [line["event"] for line in logged] == ["turn.store_behind_failed"] * 2


async def test_what_is_stored_behind_is_what_a_crash_leaves(store: Store, ear: Ear, monkeypatch: Any) -> None:
    monkeypatch.setattr(streams, "STORE_EVERY", 0.001)
    accepted = await asked(store)
    await store.inbox.begin(accepted.turn, TurnRecord(outcome="interrupted"), context=0)
    stream = TurnStream(accepted.turn, ear.broadcast, store.inbox)
    play(stream, [("reasoning", "hm"), ("text", "a"), ("tool", "x"), ("text", "b"), ("tool", "y"), ("text", "c")])
    async with asyncio.timeout(5):
        while stream._stored < stream.seq:
            await asyncio.sleep(0.001)
    await stream.close()
    (left,) = await store.inbox.unfinished()
    assert left.parts == stream.parts()


async def test_closing_stops_storing(ear: Ear) -> None:
    inbox = Nowhere()
    stream = TurnStream(TURN, ear.broadcast, inbox)  # type: ignore[arg-type]
    stream.text("never stored: the end of the turn stores it all")
    await stream.close()
    await stream.close()
    assert inbox.chunks == []


def test_the_first_reason_of_a_cancel_counts(ear: Ear) -> None:
    stream = TurnStream(TURN, ear.broadcast, Nowhere())  # type: ignore[arg-type]
    stops: list[str] = []
    because = NoticePart(code="why", text="because")
    stream.cancel(because)
    stream.cancel()
    stream.on_cancel(lambda: stops.append("told"))
    stream.cancel(NoticePart(code="why", text="later"))
    assert (stream.stopped, stops) == (because, ["told"])
