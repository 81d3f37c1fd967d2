"""In front of everything else over HTTP: what machines ask for again and again, and what is made of it beforehand."""

import os
from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from antiphon.realtime.transports.http import ANSWER
from antiphon.web.guard import Guard

Endpoint = Callable[[], Awaitable[Response]]


class Prepared(Response):
    """An answer that is given again and again. Its bytes are made once, for a server that takes them."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body, response.status_code)
        self.raw_headers = response.raw_headers
        headers = b"".join(name + b": " + value + b"\r\n" for name, value in response.raw_headers)
        self._bytes = headers + b"\r\n" + bytes(response.body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = scope.get("extensions", {}).get(ANSWER)
        if answer is None or scope["method"] == "HEAD" or not answer(scope, self.status_code, self._bytes):
            await super().__call__(scope, receive, send)


class HotPaths:
    """Answers what is in `hot` by itself, by method and path, and leads the rest through `guard`.

    Its answers have all headers from the start. Who asks does not matter to them, only to whom it is addressed: what
    a proxy says of its clients is read for the rest alone.
    """

    def __init__(self, hot: Mapping[tuple[str, str], Endpoint], guard: Guard) -> None:
        self._hot = hot
        self._guard = guard
        # What uvicorn puts before an application, with the same proxies that are trusted.
        trusted = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
        self._rest: ASGIApp = ProxyHeadersMiddleware(guard, trusted)  # type: ignore[arg-type, assignment]  # types of its own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            method = scope["method"]
            endpoint = self._hot.get(("GET" if method == "HEAD" else method, scope["path"]))
            if endpoint is not None and self._guard.is_addressed(scope):
                response = await endpoint()
                await response(scope, receive, send)
                return
        await self._rest(scope, receive, send)
