"""Request bodies have a bound: one announced too large is refused before it is read, a longer one is cut off."""

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from antiphon.web.problems import problem


class BodyLimit:
    """Answers 413 to a request whose body is larger than `limit` bytes, or than its path in `larger` allows."""

    def __init__(self, app: ASGIApp, limit: int, larger: Mapping[str, int] = MappingProxyType({})) -> None:
        self._app = app
        self._limit = limit
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], self._limit)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > limit:
            await _refuse(limit, scope, receive, send)
            return
        taken = 0
        answered = False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            if taken > limit and not answered:
                return  # what the application makes of a body that was cut off is no answer to anybody
            answered = True
            await send(message)

        with suppress(_TooLargeError):
            await self._app(scope, counted, noted)
        if taken > limit and not answered:
            await _refuse(limit, scope, receive, send)


async def _refuse(limit: int, scope: Scope, receive: Receive, send: Send) -> None:
    detail = f"The request body is larger than {limit} bytes. Send less at once."
    await problem(413, "Body too large", detail)(scope, receive, send)


class _TooLargeError(Exception):
    """Ends the reading of a body."""
