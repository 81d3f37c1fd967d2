"""`Channel`: what users write. One instance is one topic joined on one socket."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from antiphon.errors import ProcessingError
from antiphon.realtime.members.attendance import Attendance
from antiphon.realtime.members.inbox import watch
from antiphon.realtime.recovery.base import Recovery
from antiphon.realtime.transports.backlog import DISCONNECT, QueuePolicy
from antiphon.realtime.wire.base import JOIN

if TYPE_CHECKING:
    from antiphon.realtime.members.member import Member
    from antiphon.realtime.members.middleware import Middleware
    from antiphon.realtime.members.socket import Socket
    from antiphon.realtime.phoenix import Phoenix
    from antiphon.realtime.presence.presence import NewMeta

Handler = Callable[[Any, Any, "Socket"], Awaitable[Any]]
HandlerT = TypeVar("HandlerT", bound=Handler)
Hook = Callable[[Any, str, Any], Awaitable[None]]
HookT = TypeVar("HookT", bound=Hook)

ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of an event
"""The event that brings a token to prolong the access of its socket, where the application takes one."""

UNHANDLED = {"reason": "unhandled event"}
"""What an event is answered that no channel of its topic handles (MS-10)."""


class Reply(msgspec.Struct, frozen=True):
    """A reply with a status of its own: `return Reply("error", {"reason": "full"})`."""

    status: str = "ok"
    response: Any = msgspec.field(default_factory=dict)


class Rejected(Exception):  # noqa: N818 - an answer, not an error
    """Raised in a join or a handler: the client gets an error reply with this response, and nothing crashes."""

    def __init__(self, response: Mapping[str, Any]) -> None:
        super().__init__("rejected by the channel")
        self.response = response


class Deferred:
    """The right to answer one message later, any number of times (MS-7), as long as the channel lives."""

    __slots__ = ("_member", "_ref")

    def __init__(self, member: "Member", ref: Any) -> None:
        self._member = member
        self._ref = ref

    def reply(self, response: Any, status: str = "ok") -> None:
        self._member.reply(self._ref, status, response)


class Channel:
    """Subclass it, and register the class for a topic pattern.

    Messages of one channel are handled one after the other. What a handler returns is the reply, None sends none.
    An exception ends this channel with `phx_error`, tells the client nothing more, and harms no other channel.
    """

    handlers: ClassVar[dict[str, Handler]] = {}
    hooks: Mapping[str, Hook] = MappingProxyType({})
    middleware: ClassVar[tuple["Middleware", ...]] = ()
    queue: ClassVar[QueuePolicy] = DISCONNECT
    """What becomes of broadcasts that a slow member does not take."""
    recovery: ClassVar[Recovery | None] = None
    """How much of what is broadcast on its topics is kept for clients that come back. Every payload has a `cursor`
    then; a join with `{"since": cursor}`, or null the first time, is told by `recovered` whether it got all it missed.
    """
    sends_presence_state: ClassVar[bool] = False
    """Whether every member is sent who is present right behind the reply to its join."""
    _member: "Member"
    _attendance: Attendance | None = None

    topic: str
    socket: "Socket"
    app: "Phoenix"
    assigns: dict[str, Any]
    event: str
    """The event that is being handled."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.handlers = {**cls.handlers, **_marked(cls, "__channel_events__")}
        cls.hooks = {**cls.hooks, **_marked(cls, "__channel_hooks__")}

    @classmethod
    def use_middleware(cls, middleware: "Middleware") -> None:
        """Puts it before every channel of this class and of its subclasses made later, behind what is there already."""
        cls.middleware = (*cls.middleware, middleware)

    @staticmethod
    def on(event: str) -> Callable[[HandlerT], HandlerT]:
        """Marks a method `async def name(self, payload, socket)` as the handler of one event."""

        def mark(function: HandlerT) -> HandlerT:
            _mark(function, "__channel_events__", event)
            return function

        return mark

    @staticmethod
    def out(event: str) -> Callable[[HookT], HookT]:
        """Marks a method `async def name(self, event, payload)` that sees every broadcast of one event before this
        member does: it pushes it on, changed or not, or lets it fall (BC-5)."""

        def mark(function: HookT) -> HookT:
            _mark(function, "__channel_hooks__", event)
            return function

        return mark

    def attach(self, member: "Member", app: "Phoenix", assigns: dict[str, Any]) -> None:
        """Called by the engine before `on_join`; a constructor of your own need not call anything."""
        self._member = member
        self.topic, self.socket, self.app, self.assigns, self.event = member.topic, member.socket, app, assigns, JOIN

    @property
    def join_ref(self) -> Any:
        """The reference of this join, as the client sent it."""
        return self._member.join_ref

    async def on_join(self, payload: Any, socket: "Socket") -> Any:
        """Lets everybody in. Return a dict to answer it (`status` in it sets the status), anything but ok refuses."""

    async def after_join(self) -> None:
        """Runs once the join reply is out, before any message is handled."""

    async def on_leave(self, reason: str, socket: "Socket") -> None:
        """Runs at the end: `left`, `closed` (connection gone), `replaced` (joined anew), `crashed` or a stop reason."""

    async def on_message(self, payload: Any, socket: "Socket") -> Any:
        """Handles every event without a handler of its own. Unless overridden such events get an error reply."""

    async def on_expiring(self, seconds: float) -> None:
        """The access of the socket ends in so many seconds: tells the client."""
        await self.push("access_token_expiring", {"expires_in": round(seconds)})

    async def on_expired(self) -> None:
        """The access of the socket has ended: tells the client. The connection is closed as soon as this waits, unless
        all its channels have stopped by then."""
        await self.push("access_token_expired", {"reason": "expired"})

    async def on_info(self, topic: str, message: Any) -> None:
        """Sees what is published on the topics given to `subscribe`, between the messages of the client."""

    async def subscribe(self, pattern: str) -> None:
        """From now until the channel ends, `on_info` sees what is published on the topics of `pattern` (BC-6)."""
        watch(self._member, self.app.pubsub, pattern)

    async def push(self, event: str, payload: Any) -> None:
        """Sends to this member only: an object, or bytes, which go as a binary frame.

        Dropped when the channel has ended; an error while the join is not answered.
        """
        self._member.push(event, payload)

    async def track(self, key: str, meta: dict[str, Any] | None = None, *, topic: str | None = None) -> str:
        """Shows this channel in its topic, or another, under `key` until it ends; returns the phx_ref.

        Members are told with `presence_diff`; `push_presence_state` gives a client what it needs before (PR-2). Raises
        `ValidationError` when the channel has the key there already.
        """
        return self._attending().track(key, meta or {}, topic)

    async def update(self, meta: "NewMeta", key: str | None = None, *, topic: str | None = None) -> str:
        """Replaces the meta; `key` may be left out where this channel has one only. Raises `NotFoundError` when it has
        none."""
        return self._attending().update(meta, key, topic)

    async def untrack(self, key: str | None = None, *, topic: str | None = None) -> None:
        """Hides the channel again; one that is not there is fine."""
        self._attending().untrack(key, topic)

    async def push_presence_state(self) -> None:
        """Sends this member who is present in its topic (PR-3). To be called from `after_join`; a channel whose class
        says `sends_presence_state` need not."""
        self.app.presence.push_state(self.topic, partial(self._member.push, "presence_state"))

    async def broadcast(self, event: str, payload: Any) -> None:
        """Sends to every member of the topic, this one included."""
        self._joined().broadcast(event, payload, skip=False)

    async def broadcast_from(self, event: str, payload: Any) -> None:
        """Sends to every member of the topic but this one."""
        self._joined().broadcast(event, payload, skip=True)

    def listen_now(self) -> None:
        """Call it in `on_join`: what is broadcast from here on is kept, and comes out behind the join reply and what
        `after_join` pushes before it first waits.

        So a snapshot read after this call and the live events leave no gap. Dropped when the join is refused.
        """
        self._member.listen()

    def defer(self) -> Deferred:
        """A handle to answer the current message later; the handler then returns None."""
        return self._joined().defer()

    def stop(self, reason: str = "normal") -> None:
        """Ends the channel after the current handler; reasons but `normal` and `shutdown` make clients join again."""
        self._joined().stop(reason)

    def _attending(self) -> Attendance:
        if self._attendance is None:
            self._attendance = Attendance(self._member)
        return self._attendance

    def _joined(self) -> "Member":
        if self._member.state == "joining":
            raise ProcessingError("the join is not answered yet: push and broadcast from after_join instead")
        return self._member


NOBODY = Channel()
"""What an ended member has for a channel: it does nothing. The two would hold each other until the collector comes by,
and a thousand clients that leave would stay in memory together."""


def _mark(function: Any, name: str, event: str) -> None:
    function.__dict__[name] = (*getattr(function, name, ()), event)


def _marked(cls: type, name: str) -> dict[str, Any]:
    return {event: function for function in vars(cls).values() for event in getattr(function, name, ())}
