"""What stands in front of everything over HTTP: whom we answer to, and what a browser may do with the answer.

Without authentication whoever reaches the house is let in, so two things must not reach it through somebody's
browser: a page that gives a name of its own to our address (DNS rebinding), and a page from elsewhere that makes the
browser change something here. The sockets have the same two rules in `realtime.admission.origin`, and say no in words
of their own, also to what comes to them over HTTP.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from antiphon.realtime.admission.origin import Arrival, OriginPolicy, is_loopback
from antiphon.realtime.limits import Say
from antiphon.web.problems import problem

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

HEADERS: Mapping[bytes, bytes] = {
    # For answers that bring no policy of their own, as the pages do: they are data and load nothing.
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
}

_ALL = tuple(HEADERS.items())


class Guard:
    """Passes on what is addressed to a loopback name or to one of `names`, and puts `HEADERS` on every answer.

    `judges` tells of a request whether who serves it refuses pages from elsewhere by itself; others are refused here.
    """

    def __init__(
        self,
        app: ASGIApp,
        names: frozenset[str],
        origins: OriginPolicy,
        say: Say,
        *,
        judges: Callable[[Scope], object] = lambda _: False,
    ) -> None:
        self._app = app
        self._names = names
        self._origins = origins
        self._say = say
        self._judges = judges
        # Reading a name takes as long as everything else that is done here, and it is the same one nearly always.
        self._answers_to = lru_cache(maxsize=64)(self._is_ours)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        answer = self._app if refusal is None else problem(403, "Forbidden", refusal)
        await answer(scope, receive, _with_headers(send))

    def is_addressed(self, scope: Scope) -> bool:
        """Whether a request is addressed to a name of ours."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        return self._answers_to(headers.get(b"host", b"").decode("latin-1"))

    def _refusal(self, scope: Scope) -> str | None:
        """The sentence for whoever is turned away."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._answers_to(host):
            self._say("http.host_refused", host=host[:200])
            return (
                f"This server does not answer to the name “{_name_in(host)[:100]}”. Use 127.0.0.1 or localhost, or set "
                "realtime.security.public_host to the name that people type."
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        if scope["method"] in SAFE_METHODS or not origin:
            return None
        local = scope.get("server") or ("", None)
        if self._origins.allows(origin, Arrival(scope["scheme"], host, str(local[0]))) or self._judges(scope):
            return None
        self._say("http.origin_refused", origin=origin[:200])
        return (
            "Another site's page may not change anything here. "
            "Use Antiphon's own page, or set realtime.security.origins."
        )

    def _is_ours(self, host: str) -> bool:
        name = _name_in(host)
        return name in self._names or is_loopback(name)


def _name_in(host: str) -> str:
    try:
        return urlsplit("//" + host).hostname or ""
    except ValueError:
        return ""


def _with_headers(send: Send) -> Send:

    async def complete(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            ours = _ALL if present.isdisjoint(HEADERS) else [pair for pair in _ALL if pair[0] not in present]
            message["headers"] = [*message["headers"], *ours]
        await send(message)

    return complete
