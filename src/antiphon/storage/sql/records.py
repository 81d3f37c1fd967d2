"""Rows to the nouns of the domain and back. The order of the columns is that of the lists in `statements.py`."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from antiphon.domain import (
    FORMAT,
    AnyPart,
    Attachment,
    Conversation,
    Feedback,
    Message,
    Pause,
    Person,
    ReasoningPart,
    Target,
    TextPart,
    ToolPart,
    Turn,
    TurnRecord,
)
from antiphon.errors import ServiceError
from antiphon.storage.facts import Fact
from antiphon.storage.files import KeptFile
from antiphon.storage.outbox import Delivery
from antiphon.storage.sql.unit import Row
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TITLE_LENGTH = 60


class Stored(msgspec.Struct, Generic[T], frozen=True):
    """What a JSON column holds."""

    format: int
    value: T


PARTS = tuple[AnyPart, ...]
ATTACHMENTS = tuple[Attachment, ...]

_encoder = msgspec.json.Encoder()
_format = msgspec.json.Decoder(Stored[msgspec.Raw])
_parts = msgspec.json.Decoder(PARTS)
_attachments = msgspec.json.Decoder(ATTACHMENTS)
_record = msgspec.json.Decoder(TurnRecord)
_pause = msgspec.json.Decoder(Pause)
_tool = msgspec.json.Decoder(ToolPart)
_SPOKEN: dict[str, type[TextPart | ReasoningPart]] = {"text": TextPart, "reasoning": ReasoningPart}


def micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """The nearest there is for a number that no calendar holds: one odd row must not hide a whole list."""
    try:
        return _EPOCH + timedelta(microseconds=value)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if value > 0 else datetime.min.replace(tzinfo=UTC)


def storable(text: str) -> str:
    """`text` with a replacement character for what no database takes: NUL and halves of surrogate pairs."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def title_of(text: str) -> str:
    """A title from the first words of a text: one line, cut between words. A command says nothing about a topic."""
    if text.startswith("/") and text[1:2].isalpha():
        return ""
    line = " ".join(storable(text[: _TITLE_LENGTH * 10]).split())
    if len(line) <= _TITLE_LENGTH:
        return line
    head = line[: _TITLE_LENGTH + 1]
    cut = head.rfind(" ")
    return f"{line[: cut if cut > _TITLE_LENGTH // 2 else _TITLE_LENGTH]}…"


def storable_data(value: T, kind: Any) -> T:
    """A struct or tuple of type `kind` with every text in it `storable`; almost always `value` as it is."""
    with suppress(UnicodeEncodeError):
        # The encoder looks at every text at a twentieth of the cost: halves it refuses, NUL it escapes.
        if b"\\u0000" not in _encoder.encode(value):
            return value
    tree = msgspec.to_builtins(value)
    clean = _storable_tree(tree)
    return value if clean == tree else msgspec.convert(clean, kind)


def _storable_tree(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): _storable_tree(item) for key, item in value.items()}
    return type(value)(map(_storable_tree, value)) if isinstance(value, list | tuple) else value


def dump(value: Any) -> str:
    """The text of a JSON column."""
    return _encoder.encode(Stored(FORMAT, value)).decode()


def _load(decoder: msgspec.json.Decoder[T], text: str, owner: str) -> T | None:
    """None for what was damaged from outside: it costs itself, not the whole page or the start of the house."""
    try:
        stored = _format.decode(text)
        if stored.format <= FORMAT:
            return decoder.decode(stored.value)
    except msgspec.DecodeError as error:
        _damaged(owner, error)
        return None
    raise ServiceError(
        f"This record has format {stored.format}, written by a newer version of Antiphon, and this one "
        f"reads up to {FORMAT}: update Antiphon."
    )


def _damaged(owner: str, error: msgspec.DecodeError) -> None:
    log.warning("store.record_damaged", id=owner, error=type(error).__name__)  # its sentence may quote what was said


def load_record(text: str, turn_id: str) -> TurnRecord | None:
    """None when it is damaged."""
    return _load(_record, text, turn_id)


def load_pause(text: str, turn_id: str) -> Pause | None:
    """None when it is damaged."""
    return _load(_pause, text, turn_id)


def conversation_of(row: Row) -> Conversation:
    return Conversation(
        id=row[0],
        title=row[1],
        assistant=row[2],
        created_at=moment(row[3]),
        updated_at=moment(row[4]),
        person_id=row[5],
        adapter=row[6],
        place=row[7],
        model=row[8],
        context_from=row[9],
    )


def message_of(row: Row, record: str | None = None, said: Row = ()) -> Message:
    """From the columns of a message; `said` are those of what people say of it, with a verdict where they do."""
    return Message(
        id=row[0],
        conversation_id=row[1],
        position=row[2],
        ticket=row[3],
        role=row[4],
        text=row[5],
        turn_id=row[6],
        status=row[7],
        created_at=moment(row[8]),
        parts=(_load(_parts, row[9], row[0]) if row[9] else None) or (),
        person=row[10],
        in_context=bool(row[11]),
        record=load_record(record, row[6]) if record else None,
        attachments=_attached(row[12], row[0]),
        feedback=feedback_of(said) if said and said[0] else None,
    )


def feedback_of(row: Row) -> Feedback:
    return Feedback(verdict=row[0], comment=row[1], given_at=moment(row[2]))


def message_values(message: Message) -> dict[str, Any]:
    """The parameters of `message_add`; the counterpart of `message_of`."""
    return {
        "id": message.id,
        "conversation_id": message.conversation_id,
        "position": message.position,
        "ticket": message.ticket,
        "role": message.role,
        "text": message.text,
        "turn_id": message.turn_id,
        "status": message.status,
        "created_at": micros(message.created_at),
        "parts": dump(message.parts) if message.parts else None,
        "person": message.person,
        "in_context": message.in_context,
        "attachments": dump(message.attachments) if message.attachments else None,
    }


def turn_of(row: Row) -> Turn:
    return Turn(
        id=row[0],
        conversation_id=row[1],
        message_id=row[2],
        ticket=row[3],
        person_id=row[4],
        text=row[5],
        target=Target(adapter=row[6], place=row[7], thread=row[8], reply_to=row[9]),
        created_at=moment(row[10]),
        attachments=_attached(row[11], row[0]),
    )


def _attached(text: str | None, owner: str) -> tuple[Attachment, ...]:
    return (_load(_attachments, text, owner) if text else None) or ()


def delivery_of(row: Row) -> Delivery:
    """From a row of `delivery_open`: a message (13 columns), then the delivery."""
    identity, adapter, place, thread, reply_to, state, attempts, due_at = row[13:]
    return Delivery(
        id=identity,
        target=Target(adapter=adapter, place=place, thread=thread, reply_to=reply_to),
        message=message_of(row),
        state=state,
        attempts=attempts,
        due_at=moment(due_at),
    )


def person_of(row: Row) -> Person:
    return Person(
        id=row[0],
        name=row[1],
        created_at=moment(row[2]),
        operator=bool(row[3]),
        preferred_model=row[4],
        language=row[5],
    )


def file_of(row: Row) -> KeptFile:
    return KeptFile(
        id=row[0],
        person_id=row[1],
        name=row[2],
        media_type=row[3],
        size=row[4],
        digest=row[5],
        created_at=moment(row[6]),
    )


def fact_of(row: Row) -> Fact:
    return Fact(
        id=row[0],
        person_id=row[1],
        text=row[2],
        created_at=moment(row[3]),
        source_message_id=row[4],
        assistant=row[5],
        importance=row[6],
        extracted=bool(row[7]),
    )


def parts_of(chunks: Iterable[Row], turn_id: str) -> tuple[AnyPart, ...]:
    """The parts of an answer from its chunks (kind, text and more) in order; a tool that was running is cancelled, and
    a damaged chunk is left out."""
    pieces: list[tuple[str, list[str]] | str] = []
    calls: dict[str, ToolPart] = {}
    for kind, text, *_ in chunks:
        if kind in _SPOKEN:
            last = pieces[-1] if pieces else None
            if isinstance(last, tuple) and last[0] == kind:
                last[1].append(text)
            else:
                pieces.append((kind, [text]))
        elif (call := _call(text, turn_id)) is not None:
            if call.call_id not in calls:
                pieces.append(call.call_id)
            calls[call.call_id] = call
    return tuple(
        calls[piece] if isinstance(piece, str) else _SPOKEN[piece[0]](text="".join(piece[1])) for piece in pieces
    )


def _call(text: str, turn_id: str) -> ToolPart | None:
    try:
        part = _tool.decode(text)
    except msgspec.DecodeError as error:
        _damaged(turn_id, error)
        return None
    return msgspec.structs.replace(part, status="cancelled") if part.status == "running" else part
