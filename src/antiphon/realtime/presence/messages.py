"""What nodes say to each other about presence: MessagePack arrays, checked before anything is believed."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from antiphon.realtime.presence.spans import Spans
from antiphon.realtime.presence.state import Entry, Knowledge, Replica, State, merge

LARGEST_BODY = 16 * 1024 * 1024
"""A body above this is not even looked into."""
PIECE = 256 * 1024
"""What is larger is sent in pieces of about this size, which brokers take and loops are not held up by."""


class BadBodyError(Exception):
    """A body that no node of ours has written."""


class KnowledgePart(Struct, frozen=True, array_like=True):
    """Knowledge of one replica: its clocks as a flat list of ranges, and the entries that stand."""

    replica: Replica
    known: list[int]
    entries: dict[int, Entry]


class Heartbeat(Struct, frozen=True, array_like=True, tag="heartbeat"):
    """I live, this is new with me, and so far I know each replica."""

    sender: Replica
    clocks: list[tuple[Replica, int]]
    parts: list[KnowledgePart] = []


class Ask(Struct, frozen=True, array_like=True, tag="ask"):
    """Send me what I lack: I know each replica so far."""

    sender: Replica
    clocks: list[tuple[Replica, int]]


class Transfer(Struct, frozen=True, array_like=True, tag="transfer"):
    """The answer to an `Ask`."""

    sender: Replica
    parts: list[KnowledgePart]


class Goodbye(Struct, frozen=True, array_like=True, tag="goodbye"):
    """I stop, and shall not come back under this version (TK-13)."""

    sender: Replica


Message = Heartbeat | Ask | Transfer | Goodbye

_decoder = msgspec.msgpack.Decoder(Message)
_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode


def decode(body: bytes) -> tuple[Message, State]:
    """The message and the knowledge in it; raises `BadBodyError`, whatever the body is."""
    if len(body) > LARGEST_BODY:
        raise BadBodyError("too large")
    try:
        message = _decoder.decode(body)
        parts = message.parts if isinstance(message, Heartbeat | Transfer) else []
        return message, _read(parts)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise BadBodyError("not understood") from error


def _read(parts: list[KnowledgePart]) -> State:
    state: dict[Replica, Knowledge] = {}
    for part in parts:
        known = Spans.read(part.known)
        for clock, entry in part.entries.items():
            if clock not in known:
                raise ValueError("an entry whose clock is not known")
            if type(entry.meta.get("phx_ref")) is not str:
                raise ValueError("a meta without its phx_ref")
        # A replica may come in several parts.
        before = {part.replica: state.get(part.replica, Knowledge())}
        state |= merge(before, {part.replica: Knowledge(known, part.entries)}).state
    return state


def pieces(state: State) -> Iterator[list[KnowledgePart]]:
    """The parts of as many messages as it takes, each of a bounded size; none for an empty state."""
    gathered: list[KnowledgePart] = []
    room = PIECE
    for replica, knowledge in state.items():
        for piece in knowledge.split(PIECE):
            weight = 64 * piece.size + sum(entry.size for entry in piece.entries.values())
            if gathered and weight > room:
                yield gathered
                gathered, room = [], PIECE
            gathered.append(KnowledgePart(replica, piece.known.flat(), piece.entries))
            room -= weight
    if gathered:
        yield gathered
