"""`Phoenix` as an ASGI application: on servers of others, and inside applications of others."""

from typing import TYPE_CHECKING, Any

from antiphon.realtime.admission.admission import Admission
from antiphon.realtime.admission.connect import ConnectRequest, Refused
from antiphon.realtime.transports import handshake
from antiphon.realtime.transports.asgi_websocket import AsgiWebSocket
from antiphon.realtime.transports.intake import let_in
from antiphon.realtime.transports.scope import Receive, Send, connect_request, header_pairs, path_of

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix

POLICY_VIOLATION = 1008


class AsgiApplication:
    """Sockets, long-poll and the life of the application, wherever a server serves them."""

    def __init__(self, app: "Phoenix") -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
        elif self._app.is_open:
            await self._app.plain(scope, receive, send)
        else:
            self._not_open()
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body"})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._app.open()
        except BaseException as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._app.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve_socket(self, scope: Any, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        try:
            admitted = await let_in(self._app, *self._request(scope))
            carrier = AsgiWebSocket(self._app, admitted, receive, send)
        except Refused as refused:
            self._app.instruments.refused.labels(str(refused.status)).inc()
            await _refuse(scope, send, refused)
            return
        await carrier.run(admitted.subprotocol)

    def _request(self, scope: Any) -> tuple[Admission, ConnectRequest]:
        if not self._app.is_open:
            self._not_open()
            raise Refused(503)
        admission, variables = self._app.mounts.find(path_of(scope))
        return admission, connect_request(scope, "websocket", variables)

    def _not_open(self) -> None:
        hint = "serve lifespan, or mount it in FastAPI(lifespan=phoenix.lifespan)"
        self._app.limit_log.failed("realtime.not_open", hint=hint)


async def _refuse(scope: Any, send: Send, refused: Refused) -> None:
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})  # the server answers 403
        return
    headers = handshake.refusal_headers(refused.status, len(refused.body), refused.headers)
    start = {"type": "websocket.http.response.start", "status": refused.status, "headers": header_pairs(headers)}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": refused.body})
