"""What clients of Supabase say to a topic that they have not joined: over HTTP, with `send` and `httpSend`.

    POST /realtime/v1/api/broadcast                         {"messages": [{topic, event, payload, private?, id?}]}
    POST /realtime/v1/api/broadcast/{topic}/events/{event}  the payload, JSON or bytes; private=true in the query

Answers are those of https://github.com/supabase/realtime (`BroadcastController`, `BroadcastSingleController`): 202, and
for what is refused an object with `message` or `errors`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.realtime.admission.admission import Admission
from antiphon.realtime.admission.connect import ConnectRequest, Refused
from antiphon.realtime.admission.mount import MountPath
from antiphon.realtime.admission.query import decode_query
from antiphon.realtime.channel import ACCESS_TOKEN, Rejected
from antiphon.realtime.members.bucket import Bucket
from antiphon.realtime.members.member import Member
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.supabase import PREFIX, RealtimeChannel, announcement
from antiphon.realtime.transports.answers import JsonAnswer, preflight
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.transports.intake import let_in
from antiphon.realtime.transports.scope import BodyTooLargeError, Receive, Send, connect_request, path_of, read_body
from antiphon.realtime.wire.base import JOIN, UNSENDABLE, InboundFrame, TopicMessage
from antiphon.realtime.wire.json import deeper_than

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix

MOST = 100
"""Messages of one request."""

BODY_SECONDS = 10.0
"""A body that comes drop by drop is not waited for any longer."""

_BLANK, _INVALID, _DEEP = "can't be blank", "is invalid", "is nested too deeply"
_TEXTS, _OBJECT, _FLAG = ("topic", "event"), "payload", "private"


class _Said(msgspec.Struct, frozen=True):
    """One message of a request, for a topic with its prefix."""

    message: TopicMessage
    private: bool


class _Refusal(Exception):  # noqa: N818 - an answer, not an error
    """Ends a request with this answer."""

    def __init__(self, status: int, told: str | Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"refused with {status}")
        body = {"message": told} if isinstance(told, str) else {"errors": told}
        self.answer = JsonAnswer(status, headers or {}, msgspec.json.encode(body))


class BroadcastRequests:
    """See `MountedRequests`. Who asks is let in as on the socket of the dialect: `on_connect` finds the key among the
    parameters, and a bearer token is what a join would bring. What is said goes to topics that `factory` serves."""

    def __init__(self, app: "Phoenix", admission: Admission, factory: Callable[[], RealtimeChannel]) -> None:
        self._app = app
        self._admission = admission
        self._factory = factory
        path = f"{app.config.supabase_mount}/api/broadcast"
        self._many, self._one = MountPath(path), MountPath(f"{path}/:topic/events/:event")
        rate = app.config.security.max_messages_per_second
        self._bucket = Bucket(rate, 2 * rate, time.monotonic()) if app.config.security.rate_limit_enabled else None
        self._owed = 0

    def serves(self, scope: Any) -> bool:
        """See `MountedRequests`."""
        path = path_of(scope)
        try:
            return any(each.match(path) is not None for each in (self._many, self._one))
        except ValueError:
            return True  # and is told that it cannot be read

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except _Refusal as refusal:
            answer = refusal.answer
        except ConnectionError:
            return  # nobody is there to be answered
        await answer.send(send)

    async def _answer(self, scope: Any, receive: Receive) -> JsonAnswer:
        try:
            names = self._one.match(path_of(scope))
            request = _request(scope, names or self._many.match(path_of(scope)) or {})
            query = decode_query(request.query)
        except ValueError:
            raise _Refusal(HTTPStatus.BAD_REQUEST, "Bad Request") from None
        try:
            self._admission.check_origin(request)
        except Refused as refused:
            raise self._refusal(refused, HTTPStatus.FORBIDDEN, "Forbidden") from refused
        if scope["method"] == "OPTIONS":
            return preflight(request, "post, options")
        if scope["method"] != "POST":
            raise _Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed", {"allow": "POST, OPTIONS"})
        socket = await self._enter(request)
        body = await self._read(request, receive)
        if names is None:
            await self._say(socket, self._many_in(body), alone=False)
        else:
            private = query.get(_FLAG) == "true"
            await self._say(socket, [self._one_in(request, names, body, private=private)], alone=True)
        return JsonAnswer(HTTPStatus.ACCEPTED)

    # Who asks

    async def _enter(self, request: ConnectRequest) -> Socket:
        """One that is connected to nobody, with the access that a socket would have. Raises `_Refusal`."""
        try:
            admitted = await let_in(self._app, self._admission, request)
        except Refused as refused:
            raise self._refusal(refused, HTTPStatus.UNAUTHORIZED, "Unauthorized") from refused
        socket = Socket(self._app, _Nobody(), admitted.serializer, admitted.access)
        expiry = self._app.expiry
        expiry.watch(socket)
        try:
            await expiry.before_join(socket, {ACCESS_TOKEN: _bearer(request)})
        except Rejected as rejected:
            raise _Refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized") from rejected
        finally:
            expiry.forget(socket)
        return socket

    def _refusal(self, refused: Refused, status: HTTPStatus, told: str) -> _Refusal:
        self._app.instruments.refused.labels(str(refused.status)).inc()
        if refused.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return _Refusal(status, told)
        wait = refused.headers.get("retry-after")
        return _Refusal(refused.status, "Service Unavailable", {} if wait is None else {"retry-after": wait})

    # What is said

    async def _read(self, request: ConnectRequest, receive: Receive) -> bytes:
        limit = self._app.limits.max_message_bytes
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await read_body(request, receive, limit)
        except TimeoutError:
            raise _Refusal(HTTPStatus.REQUEST_TIMEOUT, "Request Timeout") from None
        except BodyTooLargeError:
            self._app.limit_log.met("max_message_bytes", "realtime.body_too_large", limit=limit)
            raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Payload Too Large") from None

    def _many_in(self, body: bytes) -> list[_Said]:
        asked = _json(body)
        messages = asked.get("messages") if isinstance(asked, dict) else None
        if not messages:
            raise _Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, {"messages": [_BLANK]})
        if not isinstance(messages, list):
            raise _Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, {"messages": [_INVALID]})
        if len(messages) > MOST:
            raise _Refusal(HTTPStatus.TOO_MANY_REQUESTS, "Too many messages to broadcast, please reduce the batch size")
        wrong = [self._wrong_in(message) for message in messages]
        if any(wrong):
            raise _Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, {"messages": wrong})
        try:
            return [_said(message) for message in messages]
        except UNSENDABLE:
            raise _Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, {"messages": [_INVALID]}) from None

    def _wrong_in(self, message: Any) -> dict[str, list[str]]:
        """What is wrong with each field of a message."""
        if not isinstance(message, dict):
            message = {}
        wrong = {name: [_BLANK] for name in (*_TEXTS, _OBJECT) if message.get(name) in (None, "")}
        kinds: tuple[tuple[str, type], ...] = (*((name, str) for name in _TEXTS), (_OBJECT, dict), (_FLAG, bool))
        for name, kind in kinds:
            if name not in wrong and not isinstance(message.get(name), kind | None):
                wrong[name] = [_INVALID]
        if _OBJECT not in wrong and deeper_than(message[_OBJECT], self._app.limits.max_json_depth):
            wrong[_OBJECT] = [_DEEP]
        return wrong

    def _one_in(self, request: ConnectRequest, names: Mapping[str, str], body: bytes, *, private: bool) -> _Said:
        data: Any = body
        match request.headers.get("content-type", "").partition(";")[0].strip().lower():
            case "application/octet-stream":
                pass
            case "application/json":
                data = _json(body)
                if isinstance(data, dict | list) and deeper_than(data, self._app.limits.max_json_depth):
                    raise _Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, {_OBJECT: [_DEEP]})
            case _:
                raise _Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type")
        try:
            return _said({**names, _OBJECT: data, _FLAG: private})
        except UNSENDABLE as error:
            raise _Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, {"event": [str(error)]}) from None

    async def _say(self, socket: Socket, messages: list[_Said], *, alone: bool) -> None:
        """Publishes those that may be said; of several, those that may not fall silently, as with Supabase."""
        self._count(len(messages))
        admitted: dict[tuple[str, bool], bool] = {}
        for said in messages:
            place = said.message.topic, said.private
            if place not in admitted:
                admitted[place] = await self._admits(socket, *place)
                if not admitted[place]:
                    self._app.limit_log.say("realtime.broadcast_refused", topic=place[0][:100], private=said.private)
        if alone and not all(admitted.values()):
            raise _Refusal(HTTPStatus.FORBIDDEN, "Unauthorized")
        for said in messages:
            if admitted[said.message.topic, said.private]:
                self._app.publish(said.message)

    def _count(self, number: int) -> None:
        """Takes the first message off what may be said each second, and the rest off what comes after."""
        wait = 0.0 if self._bucket is None else self._bucket.take(time.monotonic(), self._owed)
        self._owed = 0 if wait else number - 1
        if wait:
            self._app.instruments.too_many_messages.inc()
            self._app.limit_log.say("realtime.rate_limited", reason="broadcasts over HTTP")
            seconds = {"retry-after": str(max(1, round(wait)))}
            raise _Refusal(HTTPStatus.TOO_MANY_REQUESTS, "You have exceeded your rate limit", seconds)

    async def _admits(self, socket: Socket, topic: str, private: bool) -> bool:
        route = self._app.routes.find(topic)
        if route is None or route.factory is not self._factory:
            return False  # another channel's topic, which decides for itself what is said in it
        channel = self._factory()
        member = Member(socket, route, InboundFrame(None, None, topic, JOIN, {}))
        channel.attach(member, self._app, {**socket.assigns, **route.assigns})
        return await channel.lets_in(private=private)


class _Nobody:
    """The transport of who only says something: nothing comes back."""

    def send_batch(self, batch: Batch) -> None:
        """See `Transport`."""

    def send(self, body: bytes) -> None:
        """See `Transport`."""

    def close(self, code: int) -> None:
        """See `Transport`."""

    def hold_reading(self) -> None:
        """See `Transport`."""

    def resume_reading(self) -> None:
        """See `Transport`."""


def _request(scope: Any, variables: dict[str, str]) -> ConnectRequest:
    """As a socket of the dialect would ask: its key is a parameter."""
    request = connect_request(scope, "longpoll", variables)
    key = request.headers.get("apikey") or _bearer(request)
    return request if key is None else msgspec.structs.replace(request, variables={**variables, "apikey": key})


def _bearer(request: ConnectRequest) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise _Refusal(HTTPStatus.BAD_REQUEST, "Bad Request") from None


def _said(message: Mapping[str, Any]) -> _Said:
    meta = {"meta": {"id": message["id"]}} if isinstance(message.get("id"), str) else {}
    announced = announcement(PREFIX + message["topic"], message["event"], message[_OBJECT], **meta)
    return _Said(announced, bool(message.get(_FLAG)))
