"""One client connection, whatever carries it: who it is, which channels it has joined, and where each frame goes."""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.realtime.admission.connect import Access
from antiphon.realtime.channel import ACCESS_TOKEN, Channel
from antiphon.realtime.members.allowance import Allowance
from antiphon.realtime.members.member import Member
from antiphon.realtime.recovery.base import Recovery
from antiphon.realtime.transports.base import Transport
from antiphon.realtime.transports.frames import TRY_LATER
from antiphon.realtime.wire.base import CONTROL_TOPIC, HEARTBEAT, JOIN, LEAVE, InboundFrame, Serializer
from antiphon.realtime.wire.reasons import TOO_MANY_CHANNELS
from antiphon.telemetry.logs import get_logger

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix

log = get_logger(__name__)


class Route(msgspec.Struct, frozen=True):
    """What serves the topics of `pattern`: `factory` makes a fresh channel for every join, `assigns` are added to it
    (MD-8), and as much of what is broadcast is kept as `recovery` says."""

    pattern: str
    factory: Callable[[], Channel]
    assigns: Mapping[str, Any]
    recovery: Recovery | None = None


class Socket:
    """`assigns` come from `on_connect` and are copied into every channel; `id` is what `Phoenix.disconnect` takes, and
    `expires_at` when the access ends."""

    __slots__ = (
        "__weakref__", "_allowance", "_channels", "_queued", "_strayed", "app", "assigns", "expires_at",
        "id", "serializer", "transport",
    )  # fmt: skip

    def __init__(self, app: "Phoenix", transport: Transport, serializer: Serializer, access: Access) -> None:
        self.app = app
        self.transport = transport
        self.serializer = serializer
        self.assigns = access.assigns
        self.expires_at = access.expires_at
        self.id: str | None = None
        self._allowance = Allowance(app) if app.config.security.rate_limit_enabled else None
        self._channels: dict[str, Member] = {}
        self._queued = 0
        # Warned of once a socket: whoever tries many must not fill the log.
        self._strayed = False

    @property
    def channels(self) -> Collection[Member]:
        """What is joined or being joined on it."""
        return self._channels.values()

    def receive(self, frame: InboundFrame) -> None:
        """Handles one frame: at once if its channel is free, else behind what that channel has waiting (MD-3)."""
        allowance = self._allowance
        if allowance is not None:
            if allowance.free and frame.event != JOIN:
                allowance.free -= 1
            elif (refusal := allowance.refusal(frame.event)) is not None:
                self._reply(frame.join_ref, frame, "error", refusal)
                return
        member = self._channels.get(frame.topic)
        if member is not None:
            if frame.event == JOIN and member.state != "joining":
                self._join(frame, member)
            else:
                member.accept(frame)
        elif frame.topic == CONTROL_TOPIC and frame.event == HEARTBEAT:
            self._reply(None, frame, "ok", {})
        elif frame.event == JOIN:
            self._join(frame, None)
        elif frame.event == LEAVE:
            self._reply(frame.join_ref, frame, "ok", {})
        else:
            self._stray(frame)

    def connection_lost(self) -> None:
        """Ends every channel; the transport calls it once, when the connection is gone."""
        for member in list(self._channels.values()):
            member.connection_lost()

    def count_queued(self, change: int) -> None:
        """Keeps account of frames that wait for busy channels; too many of them stop the reading."""
        limit = self.app.limits.max_queued_frames
        before, self._queued = self._queued, self._queued + change
        if before < limit <= self._queued:
            self.app.limit_log.met("max_queued_frames", "realtime.reading_paused", limit=limit)
            self.transport.hold_reading()
        elif self._queued <= limit // 2 < before:
            self.transport.resume_reading()

    def is_joining(self, topic: str) -> bool:
        """Whether a join of the topic is not answered yet."""
        member = self._channels.get(topic)
        return member is not None and member.state == "joining"

    def forget(self, member: Member) -> None:
        """The member has ended; its topic is free again."""
        if self._channels.get(member.topic) is member:
            del self._channels[member.topic]
            self.app.instruments.channels.dec()

    def give_up_slow_join(self, topic: str) -> None:
        """A join takes so long that what it has to catch up with grew past the limit."""
        log.warning("realtime.slow_join", topic=topic)
        self.transport.close(TRY_LATER)

    def _join(self, frame: InboundFrame, predecessor: Member | None) -> None:
        route = self.app.routes.find(frame.topic)
        if route is None:
            if not self._strayed:
                self._strayed = True
                self.app.limit_log.say("realtime.unmatched_topic", topic=frame.topic[:100])
            self._stray(frame)
            return
        limit = self.app.limits.max_channels
        if predecessor is None and len(self._channels) >= limit:
            self.app.limit_log.met("max_channels", "realtime.too_many_channels", limit=limit)
            self._reply(frame.join_ref, frame, "error", {"reason": TOO_MANY_CHANNELS})
            return
        member = Member(self, route, frame)
        if predecessor is None:
            self.app.limit_log.watch("max_channels", len(self._channels) + 1, limit)
            self.app.instruments.channels.inc()
        self._channels[frame.topic] = member
        member.join(frame, predecessor)

    def _stray(self, frame: InboundFrame) -> None:
        is_token = frame.topic == CONTROL_TOPIC and frame.event == ACCESS_TOKEN
        if is_token and self.app.expiry.on_access_token is not None:
            self.app.expiry.answer(self, frame)
            return
        self.app.instruments.unmatched.inc()
        self._reply(None, frame, "error", {"reason": "unmatched topic"})

    def _reply(self, join_ref: Any, frame: InboundFrame, status: str, response: dict[str, object]) -> None:
        self.transport.send(self.serializer.reply(join_ref, frame.ref, frame.topic, status, response))
