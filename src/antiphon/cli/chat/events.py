"""What happens in a conversation, as a terminal needs to know it: each thing once, in order, safe to print."""

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True):
    """Base of everything that `Talk` tells."""


class Sent(Event, frozen=True):
    """The server has the message; `turn_id` will answer it."""

    turn_id: str


class NotSent(Event, frozen=True):
    """The message was not taken; `reason` is a sentence."""

    reason: str


class OtherSaid(Event, frozen=True):
    """Another client wrote into the same conversation."""

    text: str


class TurnBegan(Event, frozen=True):
    turn_id: str


class TurnSaid(Event, frozen=True):
    """The next piece of an answer, or of the thinking before it."""

    turn_id: str
    text: str = ""
    reasoning: str = ""


class TurnTool(Event, frozen=True):
    """A call of a tool: running, done, failed or cancelled. `arguments` is JSON text."""

    turn_id: str
    call_id: str
    name: str
    arguments: str
    status: str
    result: str | None = None
    elapsed_ms: float | None = None


class TurnNotice(Event, frozen=True):
    """A sentence of the house about an answer, for example why it stopped."""

    turn_id: str
    text: str


class TurnAsks(Event, frozen=True):
    """A call that the person must allow before the turn goes on; `text` says which, and what to type."""

    turn_id: str
    text: str


class HouseSaid(Event, frozen=True):
    """The house itself answers a turn: a command, or a refusal when `status` says so."""

    turn_id: str
    text: str
    status: str


class TurnOver(Event, frozen=True):
    """The outcome. `model`, `tokens` and `elapsed_ms` are unknown when the end was missed and read from the record."""

    turn_id: str
    status: str
    model: str | None = None
    tokens: int | None = None
    elapsed_ms: float | None = None


class LinkChanged(Event, frozen=True):
    """The connection to the server was lost, or is back."""

    up: bool


class StopAsked(Event, frozen=True):
    """The person pressed Ctrl-C while an answer was awaited."""
