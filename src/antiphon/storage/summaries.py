"""The contract of summaries: what stands for the part of a conversation that a model is not given any more."""

from datetime import datetime
from typing import Protocol

from msgspec import Struct


class Summary(Struct, frozen=True, kw_only=True):
    """What was said in a conversation behind `context_from`, up to and with the ticket `upto`, as `model` put it."""

    context_from: int
    upto: int
    text: str
    model: str
    created_at: datetime


class SummaryStore(Protocol):
    async def get(self, conversation_id: str, context_from: int) -> Summary | None:
        """The summary of what is in context; None when there is none, or it tells of what is not any more."""
        ...

    async def put(self, conversation_id: str, summary: Summary, *, behind: int = 0) -> bool:
        """Keeps it in place of the one up to `behind`, which it includes; 0 when it includes none. False when nothing
        was kept: another one is there, the context has begun afresh meanwhile, or the conversation is gone."""
        ...
