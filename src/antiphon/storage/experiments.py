"""The contracts of what experiments found out: who has which variant, how turns went, what people said of answers.

See `base.py` for what holds for every method. The result of a turn is stored with its outcome (`InboxStore.finish`), in
the same unit of work, and goes with its conversation.
"""

from typing import Protocol

from msgspec import Struct

from antiphon.domain import Conversation, Feedback, Message


class Tally(Struct, frozen=True, kw_only=True):
    """What became of the turns of one variant. `nanos` are billionths of a dollar, without those of `unpriced` turns.

    `up` and `down` are thumbs, of `judges` people. How these people differ is in three sums over them: of the squares
    of a person's thumbs up, of these times all their thumbs, and of the squares of all their thumbs."""

    variant: str
    people: int
    turns: int
    answered: int
    refused: int
    interrupted: int
    up: int
    down: int
    judges: int
    up_up: int
    up_all: int
    all_all: int
    input_tokens: int
    output_tokens: int
    nanos: int
    unpriced: int
    mean_ms: float | None = None
    median_ms: float | None = None


class ExperimentStore(Protocol):
    """A person keeps the variant with which a turn of theirs first ended, in every process."""

    async def assigned(self, experiment: str, person_id: str) -> str | None:
        """The variant that a person keeps; None before a turn of theirs has ended."""
        ...

    async def release(self, experiment: str, person_id: str, variant: str) -> None:
        """Lets a person have another one, if this is still the one that they keep."""
        ...

    async def tallies(self, experiment: str) -> list[Tally]:
        """The variants with which turns have ended, by name; times are those of answered turns, in milliseconds."""
        ...

    async def names(self) -> list[str]:
        """The experiments with which turns have ended, by name; 1,000 at most."""
        ...


class FeedbackStore(Protocol):
    """What people say of answers, one word for each answer."""

    async def find(self, message_id: str) -> tuple[Message, Conversation] | None: ...

    async def latest(self, conversation_id: str, *, before: int) -> Message | None:
        """The last answer to a question whose ticket is less than `before`."""
        ...

    async def put(self, message_id: str, feedback: Feedback | None) -> bool:
        """Replaces what was said of an answer; None takes it back. False where there is no such answer (any more)."""
        ...
