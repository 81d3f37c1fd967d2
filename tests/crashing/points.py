"""Where the program is made to die: before, inside and after everything that the ten steps do, and while it recovers.

The steps are those of `docs/life-of-a-message.md`. A point names a public method, and what the database must hold of
the message that was there at that moment.
"""

from random import Random
from typing import Literal, NamedTuple

When = Literal["before", "inside", "between statements", "before the commit", "after"]
Found = Literal["absent", "accepted", "running", "ended"]

ABSENT: frozenset[Found] = frozenset({"absent"})
ACCEPTED: frozenset[Found] = frozenset({"accepted"})
RUNNING: frozenset[Found] = frozenset({"running"})
ENDED: frozenset[Found] = frozenset({"ended"})
DURABLE: frozenset[Found] = ACCEPTED | RUNNING | ENDED
BEGUN: frozenset[Found] = RUNNING | ENDED
"""What is stored behind an answer may come when it has ended, and is left out."""
UNENDED: frozenset[Found] = ACCEPTED | RUNNING
"""A command is answered without ever being marked as running."""


class Point(NamedTuple):
    """`step` 0 is the recovery. `place` is a method as `pkgutil.resolve_name` finds it."""

    step: int
    place: str
    when: When
    found: frozenset[Found]

    def __str__(self) -> str:
        return f"{self.when} {self.place.partition(':')[2]}"


def _around(step: int, place: str, found: frozenset[Found], *when: When) -> list[Point]:
    moments: tuple[When, ...] = when or ("before", "inside", "after")
    return [Point(step, place, moment, found) for moment in moments]


def _unit(step: int, place: str, before: frozenset[Found], after: frozenset[Found], *, statements: int) -> list[Point]:
    """A unit of work: nothing of it is there until it is committed."""
    between = _around(step, place, before, "between statements") if statements > 1 else []
    return [*between, *_around(step, place, before, "before the commit"), *_around(step, place, after, "after")]


ROUTER, INBOX = "antiphon.conversation.router:MessageRouter", "antiphon.storage.sql.inbox:SqlInbox"
SESSIONS, HOUSE = "antiphon.conversation.sessions:SessionManager", "antiphon.conversation.house:House"
STREAM, GENERATION = "antiphon.conversation.stream:TurnStream", "antiphon.conversation.generation:Generation"
OUTBOX, DELIVERIES = "antiphon.conversation.outbox:Outbox", "antiphon.storage.sql.outbox:SqlOutbox"
WEB, LIVE = "antiphon.adapters.web:WebAdapter", "antiphon.conversation.live:Live"
NUMBERED, UNNUMBERED = "tests.crashing.courier:Numbered", "tests.crashing.courier:Unnumbered"

POINTS: tuple[Point, ...] = (
    *_around(1, "antiphon.realtime.transports.websocket:WebSocketProtocol.data_received", ABSENT, "before"),
    *_around(1, f"{NUMBERED}.received", ABSENT, "before"),
    *_around(1, f"{UNNUMBERED}.received", ABSENT, "before"),
    *_around(2, f"{WEB}.parse_message", ABSENT),
    *_around(2, f"{NUMBERED}.parse_message", ABSENT),
    *_around(3, f"{ROUTER}.deliver", ABSENT, "before"),
    *_unit(3, f"{INBOX}.accept", ABSENT, ACCEPTED, statements=5),
    *_around(3, f"{ROUTER}.deliver", DURABLE, "after"),
    *_around(3, f"{NUMBERED}.confirmed", DURABLE, "before"),
    *_around(4, f"{SESSIONS}.resolve", ACCEPTED),
    *_around(5, "antiphon.commands.base:Commands.match", ACCEPTED),
    *_around(5, f"{HOUSE}.known_model", ACCEPTED),
    *_around(5, f"{SESSIONS}.change", ACCEPTED),
    *_around(6, "antiphon.assistants.selector:ModelSelector.choose", ACCEPTED),
    *_unit(7, f"{INBOX}.begin", ACCEPTED, RUNNING, statements=1),
    *_around(7, "antiphon.assistants.context:ContextBuilder.build", RUNNING),
    *_around(8, f"{STREAM}.start", RUNNING, "before", "after"),
    *_around(8, f"{STREAM}.text", RUNNING, "before", "after"),
    *_unit(8, f"{INBOX}.append", BEGUN, BEGUN, statements=2),
    *_around(8, "tests.crashing.courier:Bell.ring", RUNNING),
    *_around(8, f"{GENERATION}.run", RUNNING, "after"),
    *_around(9, f"{INBOX}.finish", UNENDED, "before"),
    *_unit(9, f"{INBOX}.finish", UNENDED, ENDED, statements=5),
    *_around(10, f"{OUTBOX}.reply", ENDED, "before"),
    *_around(10, f"{WEB}.send_message", ENDED, "before", "after"),
    *_unit(10, f"{DELIVERIES}.sending", ENDED, ENDED, statements=1),
    *_around(10, f"{UNNUMBERED}.halfway", ENDED, "before"),
    *_around(10, f"{UNNUMBERED}.arrived", ENDED, "before"),
    *_around(10, f"{UNNUMBERED}.send_message", ENDED, "after"),
    *_around(10, f"{NUMBERED}.halfway", ENDED, "before"),
    *_around(10, f"{NUMBERED}.arrived", ENDED, "before"),
    *_around(10, f"{NUMBERED}.send_message", ENDED, "after"),
    *_unit(10, f"{DELIVERIES}.delivered", ENDED, ENDED, statements=1),
    *_around(10, f"{LIVE}.turn_end", ENDED, "before", "after"),
    *_around(0, f"{INBOX}.unfinished", DURABLE, "before", "after"),
    *_around(0, f"{OUTBOX}.start", DURABLE, "before", "after"),
    *_unit(0, f"{DELIVERIES}.uncertain", ENDED, ENDED, statements=1),
    *_around(0, f"{ROUTER}.start", DURABLE, "before", "after"),
)


ANY_MOMENT = 5
"""Kills of each round that come from outside, at a time that nothing decides but chance."""


def in_some_order(dice: Random) -> list[Point | None]:
    """All of them, and None for any moment; what is done only after a send was cut comes behind a send that is cut."""
    last = [point for point in POINTS if point.place == f"{DELIVERIES}.uncertain"]
    order = [*(point for point in POINTS if point not in last), *[None] * ANY_MOMENT]
    dice.shuffle(order)
    behind = 1 + next(at for at, point in enumerate(order) if point and point.place == f"{UNNUMBERED}.halfway")
    return [*order[:behind], *last, *order[behind:]]
