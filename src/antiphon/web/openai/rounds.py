"""What was said on the server before a client was given calls to carry out, for when it comes back with their results.

A client knows the calls of its own tools only. What the assistant's tools said in the same answer, and the signatures
without which some vendors refuse the next request, wait here meanwhile: in the cache, and no longer than that.
"""

from collections.abc import Sequence

import msgspec

from antiphon.cache.cache import Cache
from antiphon.providers.base import ChatMessage

_decoder = msgspec.msgpack.Decoder(tuple[ChatMessage, ...])


class Rounds:
    """By the person and the first of the calls."""

    def __init__(self, cache: Cache, seconds: float) -> None:
        self._entries = cache.backend
        self._seconds = seconds

    async def keep(self, person_id: str, call_id: str, rounds: Sequence[ChatMessage]) -> None:
        """A cache that cannot keep them costs nothing but what they say."""
        await self._entries.set(_key(person_id, call_id), msgspec.msgpack.encode(rounds), self._seconds)

    async def restored(self, person_id: str, messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
        """The messages, with what is kept in the place of what a client knows of it."""
        keys = {place: _key(person_id, message.calls[0].id) for place, message in enumerate(messages) if message.calls}
        if not keys:
            return tuple(messages)
        found = dict(zip(keys, await self._entries.get(*keys.values()), strict=True))
        whole: list[ChatMessage] = []
        for place, message in enumerate(messages):
            kept = _read(found.get(place))
            whole += kept if kept and _open_calls(kept) == {call.id for call in message.calls} else [message]
        return tuple(whole)


def _key(person_id: str, call_id: str) -> str:
    return f"openai:rounds:{person_id}:{call_id}"


def _read(data: bytes | None) -> list[ChatMessage]:
    try:
        return list(_decoder.decode(data)) if data is not None else []
    except msgspec.DecodeError:  # another version of the house has written it
        return []


def _open_calls(rounds: Sequence[ChatMessage]) -> set[str]:
    called = {call.id for message in rounds for call in message.calls}
    return called - {message.call_id for message in rounds if message.role == "tool" and message.call_id}
