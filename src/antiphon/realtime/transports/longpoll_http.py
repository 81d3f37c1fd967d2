"""Long-poll over HTTP: what Phoenix clients fall back to where no WebSocket comes through (LP-1 to LP-19).

Nearly every answer is HTTP 200; what became of a request is the `status` in its body.
"""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.realtime.admission.connect import ConnectRequest, Refused
from antiphon.realtime.admission.mount import MountPath
from antiphon.realtime.admission.query import decode_query
from antiphon.realtime.transports.answers import JsonAnswer, preflight
from antiphon.realtime.transports.longpoll import LongPoll, SessionPlace, SessionTold
from antiphon.realtime.transports.longpoll_frames import GONE, TOKEN_HEADER, TOO_SLOW, frames_in
from antiphon.realtime.transports.scope import BodyTooLargeError, Receive, Send, connect_request, path_of, read_body

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix


class LongPollRequests:
    """An ASGI application for HTTP, for the requests that it `serves`."""

    def __init__(self, app: "Phoenix") -> None:
        self.sessions = LongPoll(app)
        self._app = app
        self._path = MountPath(f"{app.config.mount}/{app.limits.longpoll_path}")

    def serves(self, scope: Any) -> bool:
        """Whether the request is for long-poll."""
        try:
            return self._path.match(path_of(scope)) is not None
        except ValueError:
            return True  # and is told that it cannot be read

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        answer = await self._answer(scope, receive)
        if answer is not None:
            await answer.send(send)

    async def _answer(self, scope: Any, receive: Receive) -> JsonAnswer | None:
        """None when the client has gone."""
        try:
            request = connect_request(scope, "longpoll", self._path.match(path_of(scope)) or {})
            token = _token(request)
        except ValueError:
            return JsonAnswer(HTTPStatus.BAD_REQUEST)  # of the query or the path (TR-13)
        try:
            self._app.admission.check_origin(request)
        except Refused as refused:
            return self._refused(refused)
        place = self.sessions.locate(token)
        match scope["method"]:
            case "GET":
                return await self._get(request, token, place, receive)
            case "POST":
                return await self._post(request, place, receive)
            case "OPTIONS":
                return preflight(request, "get, post, options")
        return JsonAnswer(HTTPStatus.BAD_REQUEST)

    async def _get(
        self, request: ConnectRequest, token: object, place: SessionPlace | None, receive: Receive
    ) -> JsonAnswer | None:
        if place is not None:
            told = await _while_there(self.sessions.ask(place, None), receive)
            if told is None:
                return None
            if told.status != GONE:
                return _said(told.status, token=token, messages=told.messages)
        try:
            return _said(GONE, token=await self.sessions.open(request), messages=[])
        except Refused as refused:
            return self._refused(refused)

    async def _post(self, request: ConnectRequest, place: SessionPlace | None, receive: Receive) -> JsonAnswer | None:
        if place is None:
            return _said(GONE)
        limits = self._app.limits
        try:
            async with asyncio.timeout(limits.longpoll_window):
                body = await read_body(request, receive, limits.longpoll_body_bytes)
            frames = frames_in(body, request.headers.get("content-type", ""), limits.max_message_bytes)
        except BodyTooLargeError:
            self._app.limit_log.met("longpoll_body_bytes", "realtime.body_too_large", limit=limits.longpoll_body_bytes)
            return JsonAnswer(HTTPStatus.BAD_REQUEST)
        except ValueError:
            return JsonAnswer(HTTPStatus.BAD_REQUEST)
        except TimeoutError:
            return _said(TOO_SLOW)  # a body that comes drop by drop must not be kept for ever
        except ConnectionError:
            return None
        return _said((await self.sessions.ask(place, frames)).status)

    def _refused(self, refused: Refused) -> JsonAnswer:
        self._app.instruments.refused.labels(str(refused.status)).inc()
        if refused.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return _said(403)
        # 403 makes clients give up for good (JS-9). They come back when they cannot read the answer.
        wait = refused.headers.get("retry-after")
        return JsonAnswer(refused.status, {} if wait is None else {"retry-after": wait})


def _said(status: int, **more: object) -> JsonAnswer:
    return JsonAnswer(HTTPStatus.OK, body=msgspec.json.encode({"status": status, **more}))


def _token(request: ConnectRequest) -> object:
    """Of the header, else of the query (LP-8). Raises `ValueError` for a query that cannot be read."""
    params = decode_query(request.query)
    return request.headers.get(TOKEN_HEADER) or params.get("token") or None


async def _while_there(poll: Awaitable[SessionTold], receive: Receive) -> SessionTold | None:
    """What the poll brings; when the client goes first it is given up, so that nothing is handed to nobody."""
    told, gone = asyncio.ensure_future(poll), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((told, gone), return_when=asyncio.FIRST_COMPLETED)
        return await told if told.done() else None
    finally:
        told.cancel()
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
