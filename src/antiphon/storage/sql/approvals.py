"""Turns that wait for people, and what those answer."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from msgspec import structs

from antiphon.domain import Approval, Pause, Turn, TurnRecord, Verdict
from antiphon.errors import ProcessingError, ServiceError
from antiphon.storage.base import DAMAGED, Chunk, Decided, Unfinished, Waits
from antiphon.storage.sql.inbox import append, unfinished_of
from antiphon.storage.sql.records import (
    dump,
    load_pause,
    load_record,
    micros,
    storable,
    storable_data,
    turn_of,
)
from antiphon.storage.sql.unit import Database, Unit, many, one, together


class SqlApprovals:
    """`ApprovalStore` on any SQL database, for the process `node`."""

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node

    async def pause(self, turn: Turn, record: TurnRecord, pause: Pause, chunks: Sequence[Chunk]) -> bool:
        return await self._database.write(_pause, turn, record, pause, tuple(chunks), self._node)

    async def waiting(self, conversation_id: str) -> list[Waits]:
        return await self._database.read(_waiting, conversation_id)

    async def asked(
        self, person_id: str | None = None, *, which: str = "", after: str = "", limit: int = 100
    ) -> list[Approval]:
        return await self._database.read(_asked, person_id or "", storable(which), after, limit)

    async def overdue(self, at: datetime) -> list[Approval]:
        return await self._database.read(_overdue, at)

    async def take_damaged(self, at: datetime, *, newer: bool) -> list[Unfinished]:
        turn_ids = await self._database.read(_damaged, at, newer)
        return [left for each in turn_ids for left in await self._database.write(_take_damaged, each, self._node)]

    async def decide(
        self, approval: Approval, verdict: Verdict, *, reason: str | None = None, by: str | None = None
    ) -> Decided | None:
        said = structs.replace(approval, verdict=verdict, reason=storable(reason) if reason else None, decided_by=by)
        return await self._database.write(_decide, said, self._node)

    async def take(self, turn: Turn, *, decided: bool) -> Waits | None:
        return await self._database.write(_take, turn, decided, self._node)


def _pause(turn: Turn, record: TurnRecord, pause: Pause, chunks: Sequence[Chunk], node: str) -> Unit[bool]:
    if chunks:
        yield from append(turn.id, chunks)
    kept = dump(storable_data(record, TurnRecord))
    if not (yield from one("turn_pause", id=turn.id, new_record=kept, node=node)):
        return (yield from one("pause_known", turn_id=turn.id)) is not None
    row = {
        "turn_id": turn.id,
        "conversation_id": turn.conversation_id,
        "person_id": turn.person_id,
        "expires_at": micros(min(approval.expires_at for approval in pause.approvals)),
        "data": dump(storable_data(pause, Pause)),
    }
    yield from together(("pause_add", row), _status(turn.message_id, "waiting"))
    for approval in pause.approvals:
        yield "approval_add", {"id": approval.id, "turn_id": turn.id, "person_id": turn.person_id}
    return True


def _status(message_id: str, status: str) -> tuple[str, dict[str, object]]:
    return "message_settle", {"of_message": message_id, "outcome": status, "visible": True}


def _waiting(conversation_id: str) -> Unit[list[Waits]]:
    rows = yield from many("pause_of", conversation_id=conversation_id)
    found = (_whole(turn_of(row), row[13], row[14]) for row in rows)
    return [waiting for waiting in found if waiting is not None]


def _whole(turn: Turn, record: str, data: str) -> Waits | None:
    """None for what cannot be read: that costs itself, and no other turn."""
    try:
        begun, pause = load_record(record, turn.id), load_pause(data, turn.id)
    except ServiceError:  # of a newer version
        return None
    return Waits(turn=turn, record=begun, pause=pause) if begun and pause else None


def _read(data: str, turn_id: str) -> Pause | None:
    """As `_whole`, of the pause alone."""
    with suppress(ServiceError):
        return load_pause(data, turn_id)
    return None


def _asked(person_id: str, which: str, after: str, limit: int) -> Unit[list[Approval]]:
    found: list[Approval] = []
    while left := limit - len(found):  # what was answered or is damaged is in no list
        rows = yield from many("approval_page", person_id=person_id, which=which, after=after, limit=left)
        found += [each for data, turn_id, its_id in rows for each in _unanswered(data, turn_id) if each.id == its_id]
        if len(rows) < left:
            break
        after = rows[-1][2]
    return found


def _overdue(at: datetime) -> Unit[list[Approval]]:
    rows = yield from many("pause_overdue", at=micros(at))
    return [each for data, turn_id in rows for each in _unanswered(data, turn_id)]


def _unanswered(data: str, turn_id: str) -> list[Approval]:
    pause = _read(data, turn_id)
    return [each for each in pause.approvals if each.verdict is None] if pause else []


def _damaged(at: datetime, newer: bool) -> Unit[list[str]]:
    found = []
    for data, turn_id in (yield from many("pause_overdue", at=micros(at))):
        try:
            damaged = load_pause(data, turn_id) is None
        except ServiceError:
            damaged = newer
        if damaged:
            found.append(turn_id)
    return found


def _take_damaged(turn_id: str, node: str) -> Unit[list[Unfinished]]:
    if (yield from one("turn_give_up", id=turn_id, node=node)) is None:
        return []
    yield from one("pause_drop", turn_id=turn_id)
    return (yield from unfinished_of((yield from many("turn_open_by_id", id=turn_id, node=node))))


def _decide(said: Approval, node: str) -> Unit[Decided | None]:
    yield "conversation_lock", {"id": said.conversation_id}
    row = yield from one("pause_lock", turn_id=said.turn_id)
    pause = _read(row[0], said.turn_id) if row else None
    before = next((each for each in pause.approvals if each.id == said.id), None) if pause else None
    if pause is None or before is None:
        return None
    if before.verdict is not None:
        # The same answer of the same person is this one, whose connection broke before it was told.
        same = (before.verdict, before.decided_by) == (said.verdict, said.decided_by)
        return Decided(approval=before, first=same)
    approvals = tuple(said if each.id == said.id else each for each in pause.approvals)
    kept = dump(structs.replace(pause, approvals=approvals))
    yield "pause_change", {"of_turn": said.turn_id, "new_data": kept}
    if any(each.verdict is None for each in approvals):
        return Decided(approval=said, first=True)
    rows = yield "turn_decide", {"of_turn": said.turn_id, "conversation_id": said.conversation_id, "node": node}
    its_node = rows[0][0]
    (left,) = yield from unfinished_of((yield from many("turn_open_by_id", id=said.turn_id, node=its_node)))
    yield _status(left.turn.message_id, "accepted")
    return Decided(approval=said, first=True, left=left, elsewhere=its_node if node and its_node != node else None)


def _take(turn: Turn, decided: bool, node: str) -> Unit[Waits | None]:
    if decided:
        row = yield from one("turn_go_on", id=turn.id, node=node)
    else:
        row = yield from one("turn_give_up", id=turn.id, node=node)
    if row is None:
        return None
    dropped = yield from one("pause_drop", turn_id=turn.id)
    if dropped is None:
        return None
    whole = _whole(turn, row[0], dropped[0])
    if whole is None:
        raise ProcessingError(DAMAGED)
    return whole
