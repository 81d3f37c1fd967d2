"""Which variant people have, how turns went with it, and what was said of answers."""

from collections.abc import Sequence

from antiphon.domain import Assignment, Conversation, Feedback, Message, Turn, TurnRecord
from antiphon.storage.experiments import ExperimentStore, FeedbackStore, Tally
from antiphon.storage.spending import NANOS
from antiphon.storage.sql.records import conversation_of, message_of, micros, storable
from antiphon.storage.sql.unit import Database, Row, Step, Unit, many, one, run

_MOST = 1_000
"""Rows of one answer."""

_COUNTED = Tally.__struct_fields__[1:-2]


class SqlExperiments(ExperimentStore):
    """`ExperimentStore` on any SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def assigned(self, experiment: str, person_id: str) -> str | None:
        return await self._database.read(_assigned, experiment, person_id)

    async def release(self, experiment: str, person_id: str, variant: str) -> None:
        names = {"experiment": experiment, "person_id": person_id, "variant": variant}
        await self._database.write(run, "assignment_drop", **names)

    async def tallies(self, experiment: str) -> list[Tally]:
        return await self._database.read(_tallies, experiment)

    async def names(self) -> list[str]:
        return await self._database.read(_names)


class SqlFeedback(FeedbackStore):
    """`FeedbackStore` on any SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, message_id: str) -> tuple[Message, Conversation] | None:
        return await self._database.read(_find, message_id)

    async def latest(self, conversation_id: str, *, before: int) -> Message | None:
        return await self._database.read(_latest, conversation_id, before)

    async def put(self, message_id: str, feedback: Feedback | None) -> bool:
        return await self._database.write(_put, message_id, feedback)


def result_steps(turn: Turn, record: TurnRecord, assignment: Assignment) -> Sequence[Step]:
    """What keeps the result of a turn, and its person the variant."""
    usage = record.usage
    names = {"experiment": assignment.experiment, "variant": assignment.variant, "person_id": turn.person_id}
    result = {
        "turn_id": turn.id,
        "outcome": record.outcome,
        "elapsed_ms": None if record.elapsed_ms is None else round(record.elapsed_ms),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "nanos": None if usage.cost is None else round(usage.cost * NANOS),
    }
    return ("result_add", names | result), ("assignment_keep", names)


def _assigned(experiment: str, person_id: str) -> Unit[str | None]:
    row = yield from one("assignment_of", experiment=experiment, person_id=person_id)
    return str(row[0]) if row else None


def _names() -> Unit[list[str]]:
    rows = yield from many("result_experiments", limit=_MOST)
    return [str(row[0]) for row in rows]


def _tallies(experiment: str) -> Unit[list[Tally]]:
    rows = yield from many("result_tallies", experiment=experiment)
    times: dict[str, Row] = {row[0]: row for row in (yield from many("result_times", experiment=experiment))}
    return [_tally(row, times.get(row[0], (row[0], None, None))) for row in rows]


def _tally(row: Row, times: Row) -> Tally:
    """Sums are of a type of their own in PostgreSQL."""
    counted = dict(zip(_COUNTED, map(int, row[1:]), strict=True))
    mean, median = (None if value is None else float(value) for value in times[1:])
    return Tally(variant=row[0], mean_ms=mean, median_ms=median, **counted)


def _message(message_id: str) -> Unit[Message | None]:
    row = yield from one("message_by_id", id=message_id)
    if row is None:
        return None
    said = yield from one("feedback_of", turn_id=row[6])
    return message_of(row, None, said or ())


def _find(message_id: str) -> Unit[tuple[Message, Conversation] | None]:
    message = yield from _message(message_id)
    if message is None:
        return None
    conversation = yield from one("conversation_by_id", id=message.conversation_id)
    return (message, conversation_of(conversation)) if conversation else None


def _latest(conversation_id: str, before: int) -> Unit[Message | None]:
    row = yield from one("answer_latest", conversation_id=conversation_id, before=before)
    return (yield from _message(row[0])) if row else None


def _put(message_id: str, feedback: Feedback | None) -> Unit[bool]:
    if feedback is None:
        message = yield from _message(message_id)
        if message is None or message.role != "assistant":
            return False
        yield "feedback_drop", {"turn_id": message.turn_id}
        return True
    comment = None if feedback.comment is None else storable(feedback.comment)
    given = {"verdict": feedback.verdict, "comment": comment, "at": micros(feedback.given_at)}
    return (yield from one("feedback_put", message=message_id, **given)) is not None
