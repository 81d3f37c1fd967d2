"""The header `Idempotency-Key`: what is asked again is answered again, and done once.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import hashlib
from collections.abc import Callable
from typing import Annotated

import msgspec
from fastapi import Header
from starlette.exceptions import HTTPException

from antiphon.cache.cache import Cache
from antiphon.errors import ServiceError

KEPT_SECONDS = 24 * 3600.0
BEGUN_SECONDS = 30.0
"""How long a key is held by a request that was begun. When its process dies, or cannot keep the answer, the key is free
again after this: what is asked then is done, perhaps a second time, and never lost."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Makes it safe to ask again: for 24 hours the same key and body get the same answer, and nothing "
        "is done a second time.",
    ),
]


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """`answer` is None while the first request is being worked on."""

    body: bytes
    answer: bytes | None = None


class Idempotency:
    """Keeps answers in `cache`, under keys of `whose`; with Redis behind it that holds for all processes."""

    def __init__(self, cache: Cache) -> None:
        # As it is there: what this process has at hand of it may be old.
        self._entries = cache.backend

    async def once(self, key: str, whose: str, body: bytes, act: Callable[[], bytes]) -> bytes:
        """The JSON that `act` makes, now or the first time.

        Raises `HTTPException` 409 for a key that came with another body, or whose first request is not answered yet;
        `ServiceError` when nothing can be kept.
        """
        digest = hashlib.sha256(body).digest()
        name = "idempotency:" + hashlib.sha256(f"{whose} {key}".encode()).hexdigest()
        if await self._entries.swap(name, None, msgspec.msgpack.encode(_Kept(digest)), BEGUN_SECONDS):
            answer = act()
            done = msgspec.msgpack.encode(_Kept(digest, answer))
            await self._entries.set(name, done, KEPT_SECONDS)
            return answer
        (found,) = await self._entries.get(name)
        if found is None:
            raise ServiceError(
                "The cache cannot keep the key now, and without it the same could be done twice. Ask again later, or "
                "without Idempotency-Key."
            )
        kept = msgspec.msgpack.decode(found, type=_Kept)
        if kept.body != digest:
            raise HTTPException(409, "This Idempotency-Key came with another body before. Choose a new one.")
        if kept.answer is None:
            raise HTTPException(409, "The first request with this Idempotency-Key is not answered yet. Ask again soon.")
        return kept.answer
