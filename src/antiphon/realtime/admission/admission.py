"""Who is let in: every check between a request to connect and a socket, in their order (TR-7), for any transport."""

import math
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from typing import Any

import msgspec

from antiphon.errors import ConfigError, ServiceError
from antiphon.realtime.admission.connect import (
    AUTH_HEADER,
    Access,
    ConnectInfo,
    ConnectRequest,
    Refused,
    Sessions,
    connect_info,
)
from antiphon.realtime.admission.gate import Entrance
from antiphon.realtime.admission.origin import OriginCheck, OriginPolicy
from antiphon.realtime.admission.query import decode_query
from antiphon.realtime.admission.subprotocols import bearer_token, choose, offered
from antiphon.realtime.config import RealtimeSettings
from antiphon.realtime.wire.base import Serializer
from antiphon.realtime.wire.versions import DEFAULT, SERIALIZERS, SERVED, Serializers, serializer_for
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

OnConnect = Callable[[ConnectInfo], Awaitable[Any]]


class Admitted(msgspec.Struct, frozen=True):
    """What a new socket begins with. `subprotocol` is to be named in the answer."""

    serializer: Serializer
    subprotocol: str | None
    access: Access


class Admission:
    """The door of one mount: its policy is its own (OR-9). `on_connect` has the last word."""

    def __init__(
        self,
        config: RealtimeSettings,
        entrance: Entrance,
        *,
        check_origin: OriginCheck | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        anyone = config.security.origins == "any" and check_origin is None
        if anyone and sessions is not None and sessions.check_csrf is None:
            raise ConfigError(
                "a page of anybody could use the session of your users: set realtime.security.origins, or check_csrf"
            )
        self.origins = OriginPolicy(config, check_origin)
        self.on_connect: OnConnect | None = None
        self._config = config
        self._entrance = entrance
        self._say = entrance.limit_log.say
        self._sessions = sessions
        self.serializers = SERIALIZERS

    def speaking(self, serializers: Serializers) -> "Admission":
        """The same door for a mount where other serializers are spoken."""
        other = copy(self)
        other.serializers = serializers
        return other

    async def admit(self, request: ConnectRequest) -> Admitted:
        """Raises `Refused`, and no other error: what goes wrong in the application is logged, and refused with 500."""
        try:
            return await self._admit(request)
        except Refused:
            raise
        except ServiceError as error:
            self._say("realtime.connect_unavailable", error=str(error))
            wait = {} if error.retry_after is None else {"retry-after": str(math.ceil(error.retry_after))}
            raise Refused(503, headers=wait) from error
        except Exception as error:
            log.exception("realtime.connect_failed")
            raise Refused(500) from error

    async def _admit(self, request: ConnectRequest) -> Admitted:
        self._entrance.enter()
        self.check_origin(request)
        token = self._token(request)
        offer = offered(request.headers) if request.transport == "websocket" else []
        subprotocol = choose(offer, self._config.security.subprotocols, self._say) if offer else None
        params = _params(request)
        serializer = self._serializer(params)
        session = None if self._sessions is None else await self._sessions.find(request, params)
        info = connect_info(self._config, request, params, session=session, auth_token=token)
        return Admitted(serializer, subprotocol, await self._access(info))

    def check_origin(self, request: ConnectRequest) -> None:
        """Raises `Refused` when the page that asks may not connect; `admit` asks by itself."""
        origin = request.headers.get("origin")
        if not self.origins.allows(origin, request.arrival):
            self._say("realtime.origin_refused", origin=(origin or "")[:200])
            raise Refused

    def _token(self, request: ConnectRequest) -> str | None:
        if not self._config.security.auth_token:
            return None
        if request.transport == "longpoll":
            return _spelt(request.headers.get(AUTH_HEADER))  # as it is (AU-6)
        return bearer_token(offered(request.headers), self._say)

    async def _access(self, info: ConnectInfo) -> Access:
        returned = None if self.on_connect is None else await self.on_connect(info)
        # None first: to ask for one of several types makes that set of types each time.
        if returned is not None and not isinstance(returned, Access | dict):
            log.error("realtime.connect_returned_nonsense", type=type(returned).__name__)
            raise Refused
        return Access.of(returned)

    def _serializer(self, params: Mapping[str, Any]) -> Serializer:
        vsn = params.get("vsn", DEFAULT)
        serializer = serializer_for(vsn, self.serializers)
        if serializer is None:
            self._say("realtime.version_refused", vsn=str(vsn)[:50], served=SERVED)
            raise Refused
        return serializer


def _spelt(header: str | None) -> str | None:
    """A token in a header is the text that it is in a sub-protocol, UTF-8, unless a browser sent it in Latin-1."""
    try:
        return None if header is None else header.encode("latin-1").decode()
    except UnicodeDecodeError:
        return header


def _params(request: ConnectRequest) -> Mapping[str, Any]:
    try:
        return {**decode_query(request.query), **request.variables}
    except ValueError as error:
        raise Refused(400) from error
