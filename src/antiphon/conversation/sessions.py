"""The session of a turn: its conversation and its person, as they are now."""

import time
from collections.abc import Callable

from msgspec import DecodeError, Struct, msgpack

from antiphon.cache.cache import Cache
from antiphon.cache.mirror import Mirror
from antiphon.commands.base import CommandOutcome
from antiphon.domain import Conversation, Person, Turn
from antiphon.errors import ProcessingError
from antiphon.storage.base import Store
from antiphon.telemetry.metrics import Metrics, get_metrics

_CONVERSATION, _PERSON = msgpack.Decoder(Conversation), msgpack.Decoder(Person)
_ENCODER = msgpack.Encoder()


class Session(Struct, frozen=True, kw_only=True):
    """The view of a conversation and its user that one turn works on.

    What each message moves in the store alone may be as an earlier one left it: `conversation.updated_at`, and a title
    that was made of a message.
    """

    conversation: Conversation
    person: Person


class SessionManager:
    """Finds the session of a turn: in the cache, then in the store, where accepting the message has created it.

    It is the only way to change a conversation or a person: what is changed here is what the next turn works on, in
    every process that shares the cache, also while the cache is gone and when it comes back. The two parts are kept
    each for itself, so that all conversations of a person share one. Unused for `ttl` seconds they are let go of;
    being used writes nothing to the store, and to the cache once in a tenth of that time.
    """

    def __init__(
        self,
        store: Store,
        cache: Cache,
        *,
        ttl: float = 3600.0,
        now: Callable[[], float] = time.time,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._mirror = Mirror(cache.backend, ttl, now=now)
        found = (metrics or get_metrics()).counter(
            "antiphon_sessions_total", "Sessions looked up, by where they were found.", ("found",)
        )
        self._in_cache, self._in_store = found.labels("cache"), found.labels("store")

    async def resolve(self, turn: Turn) -> Session:
        """Raises `ProcessingError` when the conversation was deleted after the message was accepted."""
        keys = _conversation(turn.conversation_id), _person(turn.person_id)
        place, who = await self._mirror.look(*keys)
        if place.row is not None and who.row is not None:
            try:
                session = Session(conversation=_CONVERSATION.decode(place.row), person=_PERSON.decode(who.row))
            except DecodeError:  # another version of the house has written it
                await self._mirror.forget(*keys)
            else:
                self._in_cache.inc()
                return session
        # One unit of work for both: going to another thread and back costs more than reading a row.
        found = await self._store.inbox.parties(turn)
        if found is None:
            raise ProcessingError("This conversation was deleted before the message could be answered.")
        self._in_store.inc()
        for glance, value in zip((place, who), found, strict=True):
            await self._mirror.learn(glance, _ENCODER.encode(value))
        return Session(conversation=found[0], person=found[1])

    async def change(self, session: Session, outcome: CommandOutcome) -> None:
        """Carries out what a command asks for."""
        if outcome.model is not None or outcome.assistant is not None or outcome.reset_context:
            await self.update(
                session.conversation.id,
                model=outcome.model,
                assistant=outcome.assistant,
                reset_context=outcome.reset_context,
            )
        if outcome.preferred_model is not None:
            await self.prefer_model(session.person.id, outcome.preferred_model or None)
        if outcome.language is not None:
            await self.prefer_language(session.person.id, outcome.language or None)

    async def update(
        self,
        conversation_id: str,
        *,
        title: str | None = None,
        model: str | None = None,
        assistant: str | None = None,
        reset_context: bool = False,
    ) -> Conversation | None:
        """As `ConversationStore.update`."""
        async with self._mirror.changing(_conversation(conversation_id)):
            return await self._store.conversations.update(
                conversation_id, title=title, model=model, assistant=assistant, reset_context=reset_context
            )

    async def delete(self, conversation_id: str) -> bool:
        """As `ConversationStore.delete`."""
        async with self._mirror.changing(_conversation(conversation_id)):
            return await self._store.conversations.delete(conversation_id)

    async def rename(self, person_id: str, name: str) -> None:
        """As `PeopleStore.rename`."""
        async with self._mirror.changing(_person(person_id)):
            await self._store.people.rename(person_id, name)

    async def prefer_model(self, person_id: str, model: str | None) -> None:
        """As `PeopleStore.prefer_model`."""
        async with self._mirror.changing(_person(person_id)):
            await self._store.people.prefer_model(person_id, model)

    async def prefer_language(self, person_id: str, language: str | None) -> None:
        """As `PeopleStore.prefer_language`."""
        async with self._mirror.changing(_person(person_id)):
            await self._store.people.prefer_language(person_id, language)


def _conversation(conversation_id: str) -> str:
    return f"session:conversation:{conversation_id}"


def _person(person_id: str) -> str:
    return f"session:person:{person_id}"
