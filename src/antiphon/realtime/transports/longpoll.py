"""Long-poll sessions by their tokens, on whichever node they are (LP-14)."""

import asyncio
import math
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.errors import ServiceError
from antiphon.realtime.admission.connect import ConnectRequest
from antiphon.realtime.tokens.token import Token, TokenError
from antiphon.realtime.transports.intake import let_in
from antiphon.realtime.transports.longpoll_frames import GONE, NOTHING, TAKEN, TextOnly
from antiphon.realtime.transports.longpoll_session import LongPollSession
from antiphon.realtime.wire.versions import SERIALIZERS
from antiphon.realtime.workers import common_secret
from antiphon.telemetry.logs import get_logger

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix

log = get_logger(__name__)

REQUEST = "longpoll"
"""The kind of what nodes ask each other."""

TOKEN_SECONDS = 14 * 86_400

NODE_SECONDS = 2.0
"""A node that does not even say within this time that it is there is taken for gone."""

_SALT = "antiphon long-poll"
_CLOCKS_DIFFER_SECONDS = 60.0
"""Another node, whose clock may be slow, has to take a token for one of the past."""

_COMPLAINT_SECONDS = 60.0


class SessionAsked(msgspec.Struct, frozen=True, array_like=True):
    """What a client asks of a session: to take `frames`, or what there is for it when they are None. Without a session
    it is a node that asks whether another is there."""

    session: str = ""
    # Texts and bytes: msgspec has no word for that union, and MessagePack tells them apart by itself.
    frames: list[Any] | None = None


class SessionTold(msgspec.Struct, frozen=True, array_like=True):
    """The answer: a status of the body, and frames."""

    status: int
    messages: list[str] = []


class SessionPlace(msgspec.Struct, frozen=True):
    """A session, and the node that it is on."""

    node: str
    session: str


_GONE = SessionTold(GONE)
_IS_THERE = msgspec.msgpack.encode(SessionAsked())


class LongPoll:
    """The sessions of one application. A token names a node and a session, and no more is in it."""

    def __init__(self, app: "Phoenix") -> None:
        secret = app.config.security.secret
        self._configured = secret is not None
        self._secret = secret.get_secret_value() if secret else common_secret() or secrets.token_urlsafe(48)
        self._app = app
        self._sessions: dict[str, LongPollSession] = {}
        self._serializers = {each.version: TextOnly(each, self._left_out) for _, _, each in SERIALIZERS}
        self._complained_at = -math.inf

    def __len__(self) -> int:
        return len(self._sessions)

    async def open(self, request: ConnectRequest) -> str:
        """Makes a session and returns its token. Raises `Refused`."""
        admitted = await let_in(self._app, self._app.admission, request)
        name = secrets.token_urlsafe(12)
        serializer = self._serializers[admitted.serializer.version]
        self._sessions[name] = LongPollSession(self._app, admitted, serializer, partial(self._sessions.pop, name, None))
        return Token.sign(
            self._secret,
            _SALT,
            (self._app.cluster.node, name),
            signed_at=time.time() - _CLOCKS_DIFFER_SECONDS,
            max_age=TOKEN_SECONDS,
        )

    def locate(self, token: object) -> SessionPlace | None:
        """Where the session of a token is, or was; None for what is no token of ours."""
        if token is None:
            return None
        try:
            return SessionPlace(*Token.verify(self._secret, _SALT, token))
        except TokenError as error:
            self._complain(error.reason)
            return None

    async def ask(self, place: SessionPlace, frames: list[str | bytes] | None) -> SessionTold:
        """Lets the session take frames, or waits for what there is for its client when they are None. A session that
        does not exist, and one whose node does not answer, is gone."""
        asked = SessionAsked(place.session, frames)
        cluster = self._app.cluster
        if place.node == cluster.node:
            return await self._ask_here(asked)
        if not any(peer.node == place.node for peer in cluster.peers()):
            return _GONE
        try:
            return msgspec.msgpack.decode(await self._forward(place.node, asked), type=SessionTold)
        except ServiceError as error:
            log.warning("realtime.longpoll_not_forwarded", node=place.node, problem=str(error))
            return _GONE

    async def answer(self, body: bytes) -> bytes:
        """What another node asks. Raises `msgspec.DecodeError`."""
        return msgspec.msgpack.encode(await self._ask_here(msgspec.msgpack.decode(body, type=SessionAsked)))

    async def _ask_here(self, asked: SessionAsked) -> SessionTold:
        session = self._sessions.get(asked.session)
        if session is None:
            return _GONE
        if asked.frames is not None:
            return SessionTold(await session.take(asked.frames))
        messages = [str(frame, "utf-8") for frame in await session.fetch()]
        return SessionTold(TAKEN if messages else NOTHING, messages)

    async def _forward(self, node: str, asked: SessionAsked) -> bytes:
        """Whoever waits for a message or a join may wait for the whole window, but not on a node that is no more."""
        request, body = self._app.cluster.request, msgspec.msgpack.encode(asked)
        answer = asyncio.ensure_future(request(node, REQUEST, body, self._app.limits.longpoll_window + NODE_SECONDS))
        try:
            await asyncio.wait((answer,), timeout=NODE_SECONDS / 2)
            if not answer.done():
                await request(node, REQUEST, _IS_THERE, NODE_SECONDS / 2)
            return await answer
        finally:
            answer.cancel()

    def _left_out(self) -> None:
        log.warning("realtime.unsayable", transport="longpoll")
        self._app.instruments.unsayable.inc()

    def _complain(self, reason: str) -> None:
        """Now and then: whoever shows many bad tokens must not fill the log."""
        now = time.monotonic()
        if now - self._complained_at > _COMPLAINT_SECONDS:
            self._complained_at = now
            log.warning("realtime.longpoll_token_refused", reason=reason, secret_configured=self._configured)
