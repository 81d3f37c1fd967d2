"""Access that ends: until when each socket may stay, the token that prolongs it, and what its client is told before."""

import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from antiphon.errors import ServiceError
from antiphon.realtime.admission.connect import Access, Refused
from antiphon.realtime.channel import ACCESS_TOKEN, Channel, Rejected
from antiphon.realtime.transports.frames import UNAUTHORIZED
from antiphon.realtime.wire.base import InboundFrame
from antiphon.telemetry.logs import get_logger

if TYPE_CHECKING:
    from antiphon.realtime.members.member import Member
    from antiphon.realtime.members.socket import Socket
    from antiphon.realtime.phoenix import Phoenix

log = get_logger(__name__)

EXPIRED = {"reason": "expired"}

_COMPLAINT_SECONDS = 60.0

OnAccessToken = Callable[[str, "Socket"], Awaitable[Any]]


class Expiry:
    """Watches over the sockets of one application whose access may end. Times are Unix times in seconds."""

    def __init__(self, app: "Phoenix", now: Callable[[], float] = time.time) -> None:
        self.on_access_token: OnAccessToken | None = None
        self._app = app
        self.now = now
        # The next thing to do for each socket, and the earliest of them: most of the time there is nothing to do.
        self._due: dict[Socket, float] = {}
        self._next = math.inf
        self._renewing: set[Socket] = set()
        self._complained_at = -math.inf

    def watch(self, socket: "Socket") -> None:
        """A socket has opened, or its access is another now."""
        if socket.expires_at is None and self.on_access_token is None:
            return
        end = math.inf if socket.expires_at is None else socket.expires_at
        self._due[socket] = due = end - self._app.config.security.expiry_warning_seconds
        self._next = min(self._next, due)

    def forget(self, socket: "Socket") -> None:
        """It has closed."""
        self._due.pop(socket, None)

    def check(self) -> None:
        """Warns and closes those whose time has come; to be called about once a second."""
        now = self.now()
        if now < self._next:
            return
        for socket in [socket for socket, due in self._due.items() if due <= now]:
            end = self._due[socket] = socket.expires_at or 0.0
            if now < end:
                self._tell(socket, "on_expiring", end - now)
            else:
                self._end(socket)
        self._next = min(self._due.values(), default=math.inf)

    async def renew(self, socket: "Socket", payload: Any) -> dict[str, Any]:
        """Prolongs the access by the token in a payload, and returns what to answer. Raises `Rejected` when it is not
        accepted; the access stays what it was."""
        token = payload.get(ACCESS_TOKEN) if isinstance(payload, dict) else None
        if self.on_access_token is None or not isinstance(token, str):
            raise Rejected({"reason": "no access_token"})
        try:
            access = Access.of(await self.on_access_token(token, socket))
            left = self._left(access)
        except (Rejected, Refused, ServiceError) as refusal:
            self._app.instruments.tokens_refused.inc()
            self._complain(refusal)
            raise _rejection(refusal) from refusal
        self._app.instruments.tokens_accepted.inc()
        if socket in self._due:  # it may have closed meanwhile
            self._grant(socket, access)
        return {} if left is None else {"expires_in": math.floor(left)}

    async def before_join(self, socket: "Socket", payload: Any) -> None:
        """Takes the token that a join may bring. Raises `Rejected` when it is not accepted, and for a socket whose
        access has ended all the same."""
        if self.on_access_token is not None and isinstance(payload, dict) and payload.get(ACCESS_TOKEN) is not None:
            await self.renew(socket, payload)
        if socket.expires_at is not None and socket.expires_at <= self.now():
            raise Rejected(EXPIRED)

    async def handle(self, _channel: Channel, payload: Any, socket: "Socket") -> Any:
        """The handler of every channel for `access_token`."""
        return await self.renew(socket, payload)

    def answer(self, socket: "Socket", frame: InboundFrame) -> None:
        """Renews by a frame that belongs to no channel, one after the other."""
        if socket in self._renewing:
            _reply(socket, frame, "error", {"reason": "another access_token is being looked at"})
            return
        self._renewing.add(socket)
        self._app.stepper.run(self.renew(socket, frame.payload), partial(self._answered, socket, frame))

    def _answered(self, socket: "Socket", frame: InboundFrame, result: Any, error: BaseException | None) -> None:
        self._renewing.discard(socket)
        if isinstance(error, Rejected):
            _reply(socket, frame, "error", error.response)
        elif error is not None:
            self._app.limit_log.failed("realtime.access_token_failed", exc_info=error)
            _reply(socket, frame, "error", {"reason": "failed"})
        else:
            _reply(socket, frame, "ok", result)

    def _complain(self, refusal: Exception) -> None:
        """Now and then: whoever tries many tokens must not fill the log."""
        now = self.now()
        if not self._complained_at <= now < self._complained_at + _COMPLAINT_SECONDS:
            self._complained_at = now
            log.warning("realtime.access_token_refused", why=type(refusal).__name__)

    def _left(self, access: Access) -> float | None:
        left = None if access.expires_at is None else access.expires_at - self.now()
        if left is not None and left <= 0:
            raise Rejected(EXPIRED)
        return left

    def _grant(self, socket: "Socket", access: Access) -> None:
        socket.assigns = {**socket.assigns, **access.assigns}  # what was there may belong to the application
        for member in socket.channels:
            channel = getattr(member, "channel", None)  # a join that waits for its predecessor has none yet
            if channel is not None:
                channel.assigns.update({**access.assigns, **member.route.assigns})
        socket.expires_at = access.expires_at
        self.watch(socket)

    def _end(self, socket: "Socket") -> None:
        self._due[socket] = math.inf
        self._app.instruments.access_expired.inc()
        joined = len(socket.channels)
        log.info("realtime.access_expired", channels=joined)
        self._tell(socket, "on_expired")
        # A client whose channels all have an end of their own for this can join them again, with another token.
        if socket.channels or not joined or self.on_access_token is None:
            socket.transport.close(UNAUTHORIZED)

    def _tell(self, socket: "Socket", hook: str, *arguments: float) -> None:
        for member in list(socket.channels):
            if member.state == "joined":
                self._app.stepper.run(_asked(member.channel, hook, arguments), partial(self._told, member))

    def _told(self, member: "Member", _result: Any, error: BaseException | None) -> None:
        if error is not None:
            pattern = member.route.pattern
            self._app.limit_log.failed("realtime.expiry_not_told", pattern, topic=member.topic, exc_info=error)


async def _asked(channel: Channel, hook: str, arguments: tuple[float, ...]) -> None:
    """One that is no coroutine, or fails at once, fails for its own channel only: others are due at the same time."""
    await getattr(channel, hook)(*arguments)


def _rejection(refusal: Rejected | Refused | ServiceError) -> Rejected:
    if isinstance(refusal, Rejected):
        return refusal
    return Rejected({"reason": "unauthorized" if isinstance(refusal, Refused) else "unavailable"})


def _reply(socket: "Socket", frame: InboundFrame, status: str, response: Any) -> None:
    socket.transport.send(socket.serializer.reply(None, frame.ref, frame.topic, status, response))
