"""The nouns of the product, frozen: what people, conversations, messages and turns are.

Times are timezone-aware UTC; ids are ULIDs (26 characters, they sort by time). The structs are both what the
store keeps (JSON columns carry `FORMAT`) and what the wire shows, so a field is renamed only with a migration.
"""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Literal

from msgspec import Struct, field

FORMAT = 1
"""Version of the stored message parts; a reader refuses a newer one instead of guessing."""

Role = Literal["user", "assistant", "system"]
"""`system` is the house itself speaking (an answer to a command, a refusal): never sent to a model."""

Outcome = Literal["answered", "merged", "refused", "interrupted"]
"""How a turn ended. Every accepted message ends in exactly one of these."""

MessageStatus = Literal["accepted", "waiting", "answered", "merged", "refused", "interrupted"]
"""A user's message is `accepted` until its turn ends, `waiting` while that waits for a person to allow a call; then
every message of the turn carries its outcome."""

Verdict = Literal["approved", "denied", "expired"]
"""What became of the question whether a call may be carried out."""

Thumb = Literal["up", "down"]
"""What a person thinks of an answer."""


class Value(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Base of the domain structs: immutable, keyword-only, compared by value."""


# --- parts of a message -------------------------------------------------------------------------------------------


class Part(Struct, frozen=True, kw_only=True, tag_field="type"):
    """One piece of a message, in the order in which it came into being."""


class TextPart(Part, frozen=True, tag="text"):
    text: str


class ReasoningPart(Part, frozen=True, tag="reasoning"):
    """What the model showed of its thinking. `opaque` is the vendor's signature, returned to it unchanged."""

    text: str
    opaque: Any = None


class ToolPart(Part, frozen=True, tag="tool"):
    """One call of a tool and what came of it. `arguments` is JSON text as the model wrote it."""

    call_id: str
    name: str
    arguments: str
    status: Literal["running", "done", "failed", "cancelled"]
    result: str | None = None
    elapsed_ms: float | None = None


class NoticePart(Part, frozen=True, tag="notice"):
    """A sentence of the house about this message, for example why it was interrupted."""

    code: str
    text: str


AnyPart = TextPart | ReasoningPart | ToolPart | NoticePart


class Attachment(Value, frozen=True):
    """A file that a message names: one that is kept here under its `id`, or one that stays at the `url` it came from.

    `size` is in bytes.
    """

    name: str
    media_type: str
    size: int
    id: str | None = None
    url: str | None = None


class Upload(Value, frozen=True):
    """A file that comes along with a message, and is not kept yet."""

    name: str
    media_type: str
    data: bytes


# --- people and places --------------------------------------------------------------------------------------------


class Person(Value, frozen=True):
    """One human, with any number of platform accounts. `language` is a tag (BCP 47), None for that of each question."""

    id: str
    name: str
    created_at: datetime
    operator: bool = False
    preferred_model: str | None = None
    language: str | None = None


class Conversation(Value, frozen=True):
    """The durable record of an exchange. `place` names it inside its adapter and is unique there.

    `context_from` is the position before which messages no longer reach a model (`/reset` moves it).
    """

    id: str
    title: str
    assistant: str
    created_at: datetime
    updated_at: datetime
    person_id: str
    adapter: str = "web"
    place: str = ""
    model: str | None = None
    context_from: int = 0


class Feedback(Value, frozen=True):
    """What the person of a conversation says about an answer; their last word counts. The comment is theirs: it goes
    with the conversation, and into no log."""

    verdict: Thumb
    comment: str | None
    given_at: datetime


class Message(Value, frozen=True):
    """One message of a conversation.

    `position` numbers the messages of a conversation in the order in which they were stored (from 1, without
    gaps). `ticket` is the position of the user's message that began the turn: sorting by (ticket, position)
    puts every answer behind its question, whatever arrived meanwhile. `record` tells how an answer was made and
    `feedback` what its person said about it, where the message was read for people.
    """

    id: str
    conversation_id: str
    position: int
    ticket: int
    role: Role
    text: str
    turn_id: str
    status: MessageStatus
    created_at: datetime
    parts: tuple[AnyPart, ...] = ()
    person: str | None = None
    in_context: bool = True
    record: "TurnRecord | None" = None
    attachments: tuple[Attachment, ...] = ()
    feedback: Feedback | None = None


class Target(Value, frozen=True):
    """Where a reply goes: taken from the inbound message and never looked up again."""

    adapter: str
    place: str
    thread: str | None = None
    reply_to: str | None = None


class ChannelMessage(Value, frozen=True):
    """A message from outside in the one form all adapters produce.

    `key` identifies it for ever inside (adapter, place): the same key delivered twice is one message.
    `account` is the sender's id on the platform. `uploads` become `attachments` before the message is stored.
    """

    adapter: str
    place: str
    account: str
    key: str
    text: str
    sender: str = ""
    thread: str | None = None
    reply_to: str | None = None
    attachments: tuple[Attachment, ...] = ()
    uploads: tuple[Upload, ...] = ()

    @property
    def target(self) -> Target:
        return Target(adapter=self.adapter, place=self.place, thread=self.thread, reply_to=self.reply_to)


# --- turns --------------------------------------------------------------------------------------------------------


class Turn(Value, frozen=True):
    """One inbound message and everything done for it until its outcome."""

    id: str
    conversation_id: str
    message_id: str
    ticket: int
    person_id: str
    text: str
    target: Target
    created_at: datetime
    attachments: tuple[Attachment, ...] = ()


class Usage(Value, frozen=True):
    """Tokens of one or several model calls. `cost` is in US dollars, None when the price is unknown."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None
    estimated: bool = False

    def __add__(self, other: "Usage") -> "Usage":
        known = self.cost is not None and other.cost is not None
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cost=(self.cost or 0.0) + (other.cost or 0.0) if known else None,
            estimated=self.estimated or other.estimated,
        )


class Assignment(Value, frozen=True):
    """Which variant of which experiment an answer was made with."""

    experiment: str
    variant: str


class TurnRecord(Value, frozen=True):
    """What is remembered of a finished turn besides its messages: which model answered, why that one, at what price."""

    outcome: Outcome
    assistant: str | None = None
    model: str | None = None
    chosen_by: str | None = None
    considered: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    elapsed_ms: float | None = None
    assignment: Assignment | None = None


class Approval(Value, frozen=True):
    """One call of a tool that a person must allow first, and what they said.

    `person_id` is whose turn it is, `decided_by` who answered, None when the time was up.
    """

    id: str
    turn_id: str
    conversation_id: str
    person_id: str
    call_id: str
    name: str
    arguments: str
    asked_at: datetime
    expires_at: datetime
    verdict: Verdict | None = None
    reason: str | None = None
    decided_by: str | None = None

    @property
    def code(self) -> str:
        """What people type to name it."""
        return self.id[-4:]


class Pause(Value, frozen=True):
    """Where a turn stands that waits for people: what is needed to go on, in any process.

    `parts` is the answer so far; the calls that wait are still running in it. `usage` is None before a model has told
    any, `fallbacks` the models that answer when the chosen one fails, `seq` the number of the last live event.
    """

    approvals: tuple[Approval, ...]
    parts: tuple[AnyPart, ...]
    steps: int
    usage: Usage | None = None
    fallbacks: tuple[str, ...] = ()
    seq: int = 0
    elapsed_ms: float = 0.0


# --- ids and time -------------------------------------------------------------------------------------------------

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32, https://github.com/ulid/spec
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]


class _IdClock:
    """The last id given: ids of one process never repeat and never run backwards, even when the clock does."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.last = 0
        self.chance = b""

    def next(self) -> int:
        with self.lock:
            if not self.chance:
                # For many ids at once: each call of the system lets go of the interpreter, and another thread takes it.
                self.chance = os.urandom(1000)
            drawn, self.chance = self.chance[:10], self.chance[10:]
            fresh = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(drawn, "big")
            self.last = max(fresh, self.last + 1)
            return self.last

    def part(self) -> None:
        """In the child of a fork: what was drawn in advance and what comes next belongs to the parent."""
        self.lock, self.last, self.chance = Lock(), 0, b""


_ids = _IdClock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.part)


def new_id() -> str:
    """A new ULID: 48 bits of milliseconds, 80 random bits; later ids of one process are always greater."""
    value = _ids.next()
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])


def now() -> datetime:
    return datetime.now(UTC)


Json = Mapping[str, Any]
