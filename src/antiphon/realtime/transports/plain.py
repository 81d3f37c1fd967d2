"""Plain HTTP at the addresses of the sockets: what is served there, and what is no upgrade: curl, or a proxy that drops
it."""

from typing import TYPE_CHECKING, Any, Protocol

from antiphon.realtime.admission.connect import Refused
from antiphon.realtime.transports import handshake
from antiphon.realtime.transports.scope import Receive, Send, connect_request, header_pairs, path_of

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix


class MountedRequests(Protocol):
    """An ASGI application for HTTP at one of the mounts. It decides by itself which pages may ask, by the policy of its
    mount (OR-9)."""

    def serves(self, scope: Any) -> bool:
        """Whether the request is for it."""

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None: ...


class PlainRequests:
    """An ASGI application for HTTP. What nobody serves is refused as an upgrade would be refused (TR-7), and else
    because there is none."""

    def __init__(self, app: "Phoenix") -> None:
        self._app = app
        self._mounted: list[MountedRequests] = [] if app.longpoll is None else [app.longpoll]

    def add(self, requests: MountedRequests) -> None:
        self._mounted.append(requests)

    def find(self, scope: Any) -> MountedRequests | None:
        """Who serves a request."""
        return next((requests for requests in self._mounted if requests.serves(scope)), None)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        mounted = self.find(scope)
        if mounted is not None:
            await mounted(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        self._app.instruments.refused.labels(str(refusal.status)).inc()
        headers = handshake.refusal_headers(refusal.status, len(refusal.body), refusal.headers)
        await send({"type": "http.response.start", "status": refusal.status, "headers": header_pairs(headers)})
        await send({"type": "http.response.body", "body": refusal.body})

    async def _refusal(self, scope: Any) -> Refused:
        try:
            admission, variables = self._app.mounts.find(path_of(scope))
            if scope["method"] != "GET":
                return Refused(400)
            request = connect_request(scope, "websocket", variables)
            await admission.admit(request)
        except Refused as refused:
            return refused
        return Refused(400, handshake.problem(request.headers) or "this is no upgrade to a WebSocket")
