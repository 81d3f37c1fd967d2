"""A running turn as others see it: live on its topic, and stored behind.

Deltas go out first and are stored a moment later, in pieces: what a token costs does not depend on the length of
the chat, and a crash loses at most `STORE_EVERY` seconds of an answer.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal, Self

import msgspec
from msgspec import structs

from antiphon.conversation.live import Broadcast, show_approval, topic_of
from antiphon.domain import AnyPart, NoticePart, ReasoningPart, TextPart, ToolPart, Turn
from antiphon.errors import AntiphonError
from antiphon.storage.base import Chunk, InboxStore, Unfinished, Waits
from antiphon.telemetry.logs import get_logger

STORE_EVERY = 0.25
"""Seconds between two writes of a running answer."""

CANCELLED = NoticePart(code="cancelled", text="Stopped.")
"""Why an answer ended that a person stopped."""

log = get_logger(__name__)


class UnderWay(msgspec.Struct, frozen=True, kw_only=True):
    """An open turn as somebody sees it who joins its conversation: its state, and what it has said, as live events."""

    turn_id: str
    message_id: str
    status: Literal["queued", "running", "waiting"]
    assistant: str | None = None
    model: str | None = None
    events: list[tuple[str, dict[str, Any]]] = []
    exact: bool = True
    """Whether the events are only what the reader had not; else they are all that was said."""

    @classmethod
    def stored(cls, left: Unfinished) -> Self:
        """As the store has it."""
        record = left.record
        return cls(
            turn_id=left.turn.id,
            message_id=left.turn.message_id,
            status="queued" if left.state == "accepted" else "running",
            assistant=record.assistant if record else None,
            model=record.model if record else None,
            events=_stored_events(left.turn.id, left.parts, left.seq),
        )

    @classmethod
    def waiting(cls, waits: Waits, after: int) -> Self:
        """As the store has a turn that waits for people, for somebody who knows its events up to `after`."""
        turn, pause = waits.turn, waits.pause
        done = [part for part in pause.parts if not (isinstance(part, ToolPart) and part.status == "running")]
        said = _stored_events(turn.id, done, pause.seq) if after < pause.seq else []
        return cls(
            turn_id=turn.id,
            message_id=turn.message_id,
            status="waiting",
            assistant=waits.record.assistant,
            model=waits.record.model,
            events=[*said, *(("approval", show_approval(each)) for each in pause.approvals)],
            exact=after == 0 or after >= pause.seq,
        )


class TurnStream:
    """What one turn has said so far. Its events are numbered from 1; a reader that knows `seq` asks for the rest.

    The flow writes to it and closes it. Everything but `close` is synchronous, so that a joiner misses nothing
    between what it was given and what it hears.
    """

    def __init__(self, turn: Turn, broadcast: Broadcast, inbox: InboxStore, left: Unfinished | None = None) -> None:
        self.turn = turn
        self.left = left
        """How far the process came that began it; it is only to be ended, unless people have been waited for."""
        self.status: Literal["queued", "running"] = "queued"
        self.assistant: str | None = None
        self.model: str | None = None
        self.stopped: NoticePart | None = None
        self._stop: Callable[[], None] | None = None
        self._topic = topic_of(turn.conversation_id)
        self._broadcast = broadcast
        self._inbox = inbox
        self._events: list[tuple[Literal["text", "reasoning", "tool"], str | ToolPart]] = []
        if left is not None and left.state == "decided":
            self._events = [_said(part) for part in left.parts if not isinstance(part, NoticePart)]
        self._before = max(left.seq - len(self._events), 0) if left is not None and self.goes_on else 0
        """Events that are joined in the first ones here: one that was there then is given all of it again."""
        self._stored = self._joined = self.seq
        self._storing: asyncio.Task[None] | None = None
        self._told = False

    @property
    def seq(self) -> int:
        return self._before + len(self._events)

    @property
    def goes_on(self) -> bool:
        """Whether people have been waited for, and have answered."""
        return self.left is not None and self.left.state == "decided"

    def start(self, *, assistant: str, model: str, chosen_by: str) -> None:
        """Tells everybody that an answer begins."""
        self.status, self.assistant, self.model = "running", assistant, model
        payload = {
            "turn_id": self.turn.id,
            "message_id": self.turn.message_id,
            "assistant": assistant,
            "model": model,
            "chosen_by": chosen_by,
        }
        self._broadcast(self._topic, "turn_start", payload)

    def go_on(self) -> None:
        """The turn that has waited runs again; its first part has been told."""
        assert self.left is not None  # noqa: S101 - only such a turn goes on
        record = self.left.record
        self.status = "running"
        self.assistant, self.model = (record.assistant, record.model) if record else (None, None)

    def cancel(self, why: NoticePart = CANCELLED) -> None:
        """Stops the turn, now or as soon as it begins. `why` is shown to people; the first one counts."""
        if self.stopped is None:
            self.stopped = why
            if self._stop is not None:
                self._stop()

    def on_cancel(self, stop: Callable[[], None]) -> None:
        """Whom to tell when the turn is cancelled; told at once when it has been."""
        self._stop = stop
        if self.stopped is not None:
            stop()

    def text(self, text: str) -> None:
        self._events.append(("text", text))
        self._broadcast(self._topic, "delta", {"turn_id": self.turn.id, "seq": self.seq, "text": text})
        self._store_soon()

    def reasoning(self, text: str) -> None:
        self._events.append(("reasoning", text))
        self._broadcast(self._topic, "delta", {"turn_id": self.turn.id, "seq": self.seq, "reasoning": text})
        self._store_soon()

    def tool(self, part: ToolPart) -> None:
        self._events.append(("tool", part))
        self._broadcast(self._topic, "tool", _tool_payload(self.turn.id, self.seq, part))
        self._store_soon()

    def follow(self, after: int = 0) -> list[tuple[str, dict[str, Any]]]:
        """The events behind `after` in as few as possible: one delta for all text, each tool call in its last state.

        Each carries the number of the last event it stands for, in rising order, so that a reader which drops what
        it has already drops none of these.
        """
        delta: dict[str, list[str]] = {}
        delta_seq = 0
        tools: dict[str, tuple[int, ToolPart]] = {}
        first = max(after - self._before, 0)
        for seq, (kind, piece) in enumerate(self._events[first:], self._before + first + 1):
            if isinstance(piece, ToolPart):
                tools[piece.call_id] = seq, piece
            else:
                delta.setdefault(kind, []).append(piece)
                delta_seq = seq
        events = [("tool", _tool_payload(self.turn.id, seq, part)) for seq, part in tools.values()]
        if delta:
            said = {kind: "".join(pieces) for kind, pieces in delta.items()}
            events.append(("delta", {"turn_id": self.turn.id, "seq": delta_seq, **said}))
        return sorted(events, key=lambda event: int(event[1]["seq"]))

    def under_way(self, after: int = 0) -> UnderWay:
        """As somebody sees it who knows its events up to `after`."""
        exact = after == 0 or after >= self._joined
        return UnderWay(
            turn_id=self.turn.id,
            message_id=self.turn.message_id,
            status=self.status,
            assistant=self.assistant,
            model=self.model,
            events=self.follow(after if exact else 0),
            exact=exact,
        )

    def parts(self) -> tuple[AnyPart, ...]:
        """What was said so far, as parts of a message; a tool without a result counts as cancelled."""
        parts: list[AnyPart] = []
        places: dict[str, int] = {}
        for kind, run in groupby(self._events, key=itemgetter(0)):
            pieces = [piece for _, piece in run]
            for piece in pieces:
                if isinstance(piece, ToolPart):
                    place = places.setdefault(piece.call_id, len(parts))
                    ended = structs.replace(piece, status="cancelled") if piece.status == "running" else piece
                    parts[place : place + 1] = [ended]
            if kind == "text":
                parts.append(TextPart(text="".join(map(str, pieces))))
            elif kind == "reasoning":
                parts.append(ReasoningPart(text="".join(map(str, pieces))))
        return tuple(parts)

    def not_stored(self) -> list[Chunk]:
        """What the store does not have yet."""
        return _chunks(self._events[self._stored - self._before :], self._stored)

    async def close(self) -> None:
        """Stops storing behind. The turn's end stores the whole answer, so what is not written yet need not be."""
        if self._storing is not None:
            self._storing.cancel()
            await asyncio.wait({self._storing})

    def _store_soon(self) -> None:
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_behind(), name=f"store-behind:{self.turn.id}")

    async def _store_behind(self) -> None:
        """Runs while there is something to write; a store that fails is tried again with the next piece, and told of
        once until it works again."""
        clock = asyncio.get_running_loop().time
        while self._stored < self.seq:
            # At full quarters of a second, so that all running answers are written together, in one transaction.
            await asyncio.sleep(STORE_EVERY - clock() % STORE_EVERY)
            upto = self.seq
            try:
                await self._inbox.append(self.turn.id, self.not_stored())
            except AntiphonError as error:
                if not self._told:
                    log.warning("turn.store_behind_failed", turn_id=self.turn.id, error=str(error))
                self._told = True
                return
            self._stored, self._told = upto, False


def _said(part: TextPart | ReasoningPart | ToolPart) -> tuple[Literal["text", "reasoning", "tool"], str | ToolPart]:
    """A stored part as the event that stands for it."""
    if isinstance(part, ToolPart):
        return "tool", part
    return ("text" if isinstance(part, TextPart) else "reasoning"), part.text


def _tool_payload(turn_id: str, seq: int, part: ToolPart) -> dict[str, Any]:
    payload: dict[str, Any] = msgspec.to_builtins(part)
    del payload["type"]
    return {"turn_id": turn_id, "seq": seq, **payload}


def _stored_events(turn_id: str, parts: Iterable[AnyPart], upto: int) -> list[tuple[str, dict[str, Any]]]:
    """What is stored of an answer, in as few as possible and in rising order. A tool without a result is left out:
    whether it still runs the store does not know."""
    tools = [part for part in parts if isinstance(part, ToolPart) and part.status != "cancelled"]
    said = {
        kind: "".join(part.text for part in parts if isinstance(part, of))
        for kind, of in (("text", TextPart), ("reasoning", ReasoningPart))
    }
    first = max(upto - len(tools), 1)
    events = [("tool", _tool_payload(turn_id, seq, part)) for seq, part in enumerate(tools, first)]
    if any(said.values()):
        delta = {kind: text for kind, text in said.items() if text}
        events.append(("delta", {"turn_id": turn_id, "seq": max(upto, first + len(tools)), **delta}))
    return events


def _chunks(events: list[tuple[Any, str | ToolPart]], offset: int) -> list[Chunk]:
    chunks: list[Chunk] = []
    for kind, run in groupby(events, key=itemgetter(0)):
        pieces = [piece for _, piece in run]
        if kind == "tool":
            calls = enumerate(pieces, offset + 1)
            chunks += [Chunk(seq=seq, kind=kind, text=msgspec.json.encode(call).decode()) for seq, call in calls]
        else:
            chunks.append(Chunk(seq=offset + len(pieces), kind=kind, text="".join(map(str, pieces))))
        offset += len(pieces)
    return chunks
