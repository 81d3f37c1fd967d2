"""Plain HTTP at the address of the sockets: long-poll, and what is no upgrade: curl, or a proxy that drops it."""

from typing import TYPE_CHECKING, Any

from antiphon.realtime.admission.connect import Refused
from antiphon.realtime.transports import handshake
from antiphon.realtime.transports.scope import Receive, Send, connect_request, header_pairs, path_of

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix


class PlainRequests:
    """An ASGI application for HTTP. What is not for long-poll is refused as an upgrade would be refused (TR-7), and
    else because there is none."""

    def __init__(self, app: "Phoenix") -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        longpoll = self._app.longpoll
        if longpoll is not None and longpoll.serves(scope):
            await longpoll(scope, receive, send)
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
