"""Requests that reach the address of the sockets and are no upgrade: what curl sends, or a proxy that drops it."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from antiphon.realtime.connect import Refused
from antiphon.realtime.transports import handshake
from antiphon.realtime.transports.scope import connect_request, path_of

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix

Send = Callable[[Any], Awaitable[None]]


class PlainRequests:
    """An ASGI application for HTTP. Refuses as an upgrade would be refused (TR-7), and else because there is none."""

    def __init__(self, app: "Phoenix") -> None:
        self._app = app

    async def __call__(self, scope: Any, _receive: Any, send: Send) -> None:
        refusal = await self._refusal(scope)
        self._app.instruments.refused.labels(str(refusal.status)).inc()
        headers = handshake.refusal_headers(refusal.status, len(refusal.body), refusal.headers)
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
        await send({"type": "http.response.body", "body": refusal.body})

    async def _refusal(self, scope: Any) -> Refused:
        try:
            variables = self._app.variables(path_of(scope))
            if scope["method"] != "GET":
                return Refused(400)
            request = connect_request(scope, "websocket", variables)
            await self._app.admission.admit(request)
        except Refused as refused:
            return refused
        return Refused(400, handshake.problem(request.headers) or "this is no upgrade to a WebSocket")
