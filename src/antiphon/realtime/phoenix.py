"""`Phoenix`: the application. It knows the channels, lets sockets in, and broadcasts for everybody."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from antiphon.errors import ServiceError
from antiphon.realtime import pubsub
from antiphon.realtime.admission.admission import Admission, OnConnect
from antiphon.realtime.admission.connect import Sessions
from antiphon.realtime.admission.expiry import Expiry, OnAccessToken
from antiphon.realtime.admission.gate import Entrance
from antiphon.realtime.admission.mount import Mounts
from antiphon.realtime.admission.origin import OriginCheck
from antiphon.realtime.channel import ACCESS_TOKEN, Channel, Handler
from antiphon.realtime.config import PhoenixConfig, RealtimeSettings, get_config
from antiphon.realtime.instruments import Instruments
from antiphon.realtime.limits import LimitLog
from antiphon.realtime.members.attendance import CHANNEL
from antiphon.realtime.members.member import Member
from antiphon.realtime.members.middleware import Middleware
from antiphon.realtime.members.socket import Route
from antiphon.realtime.members.sockets import SocketId, Sockets
from antiphon.realtime.members.topics import TopicRoutes, Topics
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.realtime.overview import OVERVIEW, Overview
from antiphon.realtime.presence import presence
from antiphon.realtime.presence.presence import Presence, get_presence
from antiphon.realtime.pubsub import PubSub, get_pubsub
from antiphon.realtime.recovery.base import Recovery, TopicLogs
from antiphon.realtime.recovery.memory import MemoryLogs
from antiphon.realtime.recovery.recorder import Recorder
from antiphon.realtime.server import Server
from antiphon.realtime.stalls import StallWatch
from antiphon.realtime.stepper import Stepper
from antiphon.realtime.supabase import PREFIX, Admits, RealtimeChannel
from antiphon.realtime.supabase_http import BroadcastRequests
from antiphon.realtime.transports.asgi import AsgiApplication
from antiphon.realtime.transports.longpoll import REQUEST
from antiphon.realtime.transports.longpoll_http import LongPollRequests
from antiphon.realtime.transports.plain import PlainRequests
from antiphon.realtime.transports.scope import Receive, Send
from antiphon.realtime.transports.websocket import WebSocketProtocol
from antiphon.realtime.wire.base import TopicMessage
from antiphon.realtime.wire.versions import SUPABASE
from antiphon.realtime.workers import is_worker, worker_is_ready
from antiphon.runtime.clock import SystemClock
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

log = get_logger(__name__)

ChannelT = TypeVar("ChannelT", bound=type[Channel])
OnConnectT = TypeVar("OnConnectT", bound=OnConnect)
OnAccessTokenT = TypeVar("OnAccessTokenT", bound=OnAccessToken)


class Phoenix:
    """Runs by itself (`await app.start("localhost", 4000)`), or inside another uvicorn with `ws=app.protocol_class()`.
    It is an ASGI application too, for any server, and to be mounted in others (see `lifespan`).

    Everything but the constructor belongs to the thread of one running loop.
    """

    def __init__(
        self,
        config: RealtimeSettings | None = None,
        *,
        check_origin: OriginCheck | None = None,
        sessions: Sessions | None = None,
        metrics: Metrics | None = None,
        pubsub: PubSub | None = None,
        presence: Presence | None = None,
        cluster: Cluster | None = None,
        recovery: TopicLogs | None = None,
    ) -> None:
        self.config = (config or get_config()).model_copy(deep=True)
        self.limits = self.config.transport
        self.instruments = Instruments(metrics or get_metrics())
        self.limit_log = LimitLog(self.instruments)
        self.entrance = Entrance(
            self.config, self.instruments, self.limit_log, lambda: len(self.sockets), SystemClock()
        )
        self.admission = Admission(self.config, self.entrance, check_origin=check_origin, sessions=sessions)
        self.mounts = Mounts()
        self.mounts.add(f"{self.config.mount}/{self.limits.websocket_path}", self.admission)
        self.routes: TopicRoutes[Route] = TopicRoutes()
        self.handlers: dict[str, Handler] = {}
        """Of events that every channel understands which has no handler of its own for them."""
        self.middleware: tuple[Middleware, ...] = ()
        self.topics = Topics(self.limits.fan_out_slice)
        self.expiry = Expiry(self)
        self.sockets = Sockets(self.limits, self.instruments, self.expiry, self._settle)
        self.stepper = Stepper()
        self.pubsub = pubsub or get_pubsub()
        self.presence = presence or get_presence()
        """Who is where; that of `get_presence` unless another is given or another application runs."""
        self.cluster = cluster or Cluster(metrics=metrics)
        """The other nodes; none, unless a cluster with a broker is given."""
        self.recorder = Recorder(
            recovery or MemoryLogs(),
            deliver=self._deliver,
            forward=self._forward,
            members=self.members,
            kept=self.kept,
            metrics=metrics,
        )
        """Keeps what is broadcast on topics that want it (`Channel.recovery`): in this process, or in given logs."""
        self.present: set[str] = set()
        """The pids of channels that are present somewhere."""
        self.frames_received = 0
        self.frames_sent = 0
        self.longpoll = LongPollRequests(self) if self.limits.longpoll else None
        self.plain = PlainRequests(self)
        self.overview = Overview(self)
        """What there is at this moment, on this node or all of them."""
        self.is_open = False
        watched = self.config.stall_seconds
        self._stalls = None if watched is None else StallWatch(watched, metrics or get_metrics())
        self._broadcasts = 0
        self._presence = presence
        self._keeps = False
        self._asgi = AsgiApplication(self)
        self._server: Server | None = None

    # Setting up

    def channel(self, pattern: str, **assigns: Any) -> Callable[[ChannelT], ChannelT]:
        """Class decorator: this channel serves the topics of `pattern`, a topic or a prefix with a final `*`."""

        def register(channel: ChannelT) -> ChannelT:
            self.route(pattern, channel, **assigns)
            return channel

        return register

    def route(self, pattern: str, factory: Callable[[], Channel], **assigns: Any) -> None:
        """`factory`, a class or any callable, makes the channel of every join on `pattern`. The first match wins."""
        keep = getattr(factory, "recovery", None)
        self._keeps = self._keeps or keep is not None
        self.routes.add(pattern, Route(pattern, factory, assigns, keep))

    def use_middleware(self, middleware: Middleware) -> None:
        """Puts it before every channel, behind what was added earlier and before what a channel has of its own."""
        self.middleware = (*self.middleware, middleware)

    @property
    def socket_id(self) -> SocketId | None:
        """Gives a socket the id under which `disconnect` finds it; set it before the first connection."""
        return self.sockets.identify

    @socket_id.setter
    def socket_id(self, identify: SocketId | None) -> None:
        self.sockets.identify = identify

    def on_connect(self, callback: OnConnectT) -> OnConnectT:
        """Decorator: decides who may connect. Returns the assigns of the socket, `Access` when they hold for some time
        only, or raises `Refused`."""
        for admission in self.mounts.doors:
            admission.on_connect = callback
        return callback

    def on_access_token(self, callback: OnAccessTokenT) -> OnAccessTokenT:
        """Decorator: `callback(token, socket)` sees what a client sends with the event `access_token`, or in a join, to
        stay longer than `Access.expires_at`. Returns what `on_connect` returns, which is put in its place, or raises
        `Refused` or `Rejected`. Set it before the first connection.
        """
        self.expiry.on_access_token = callback
        self.handlers[ACCESS_TOKEN] = self.expiry.handle
        return callback

    def serve_supabase(self, admits: Admits | None = None) -> None:
        """Serves clients of Supabase, and their topics `realtime:*`, unless the settings say not to."""
        if self.config.supabase:
            admission, factory = self.admission.speaking(SUPABASE), partial(RealtimeChannel, admits)
            self.mounts.add(f"{self.config.supabase_mount}/websocket", admission)
            self.route(f"{PREFIX}*", factory)
            self.plain.add(BroadcastRequests(self, admission, factory))

    # Sending

    def broadcast(self, topic: str, event: str, payload: Any) -> None:
        """Sends to every member of the topic; never waits. The payload is an object, or bytes, and is encoded before
        this returns.

        The event `disconnect` on a socket's id closes that socket (DC-2).
        """
        self.publish(TopicMessage.of(topic, event, payload))
        if event == "disconnect":
            self.disconnect(topic)

    def broadcast_here(self, topic: str, event: str, payload: Any) -> None:
        """`broadcast` to the members on this node alone (BC-9)."""
        self._deliver(TopicMessage.of(topic, event, payload))

    def publish(self, message: TopicMessage, skip: Member | None = None) -> None:
        """`broadcast` for what is encoded, and for all but one."""
        keep = self.kept(message.topic) if self._keeps else None
        if keep is None:
            self._deliver(message, skip)
            self._forward(message)
        else:
            self.recorder.publish(message, skip, keep)

    def kept(self, topic: str) -> Recovery | None:
        """How much is kept of what is broadcast on the topic, None when nothing is."""
        route = self.routes.find(topic)
        return None if route is None else route.recovery

    def members(self, topic: str) -> int:
        """How many channels are joined on the topic, on this node."""
        return self.topics.count(topic)

    def disconnect(self, socket_id: str) -> int:
        """Closes every socket with this id (1001), on every node, and returns how many there were on this one. They are
        free to come back."""
        self.cluster.disconnect(socket_id)
        return self.sockets.disconnect(socket_id)

    # Serving

    async def start(self, host: str | None = None, port: int | None = None) -> None:
        """Serves until `stop` is called or a signal ends it, where the settings say unless told; `port` 0 takes a free
        one (see `port`)."""
        await self.listen(host, port)
        if is_worker() and self._server is not None:
            worker_is_ready(f"serving on port {self.port}", self._server.end)
        try:
            await self.serve()
        finally:
            await self.stop()

    async def listen(self, host: str | None = None, port: int | None = None) -> None:
        """Binds and begins to accept; raises `ServiceError` when the address cannot be had."""
        if self._server is not None:
            raise ServiceError("this application is already serving: stop it first")
        server = Server(self.plain, self.protocol_class(), self.drain)
        home = self.config if isinstance(self.config, PhoenixConfig) else PhoenixConfig()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.close)
            await self.open()
            await server.start(home.host if host is None else host, home.port if port is None else port)
            undo.pop_all()
        self._server = server

    async def serve(self) -> None:
        """Returns when the server has stopped."""
        if self._server is not None:
            await self._server.wait()

    @property
    def port(self) -> int:
        """The port being served."""
        if self._server is None:
            raise ServiceError("this application is not serving: start it first")
        return self._server.port

    async def stop(self) -> None:
        """Drains, stops accepting and ends what handlers still do. Stopping twice is fine."""
        await self.drain()
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        await self.close()

    async def open(self) -> None:
        """Joins the other nodes. `listen` does it; call it where another server serves this application."""
        if self.is_open:
            return
        self.is_open, self.entrance.closed = True, False
        pubsub.adopt(self.pubsub)
        self.presence = presence.adopt(self._presence)
        self._connect_nodes()
        await self.cluster.start()
        await self.presence.start()
        await self.recorder.start()
        if self._stalls is not None:
            self._stalls.start()

    async def close(self) -> None:
        """The counterpart of `open`, for when all sockets are closed; ends what handlers still do."""
        await self.stepper.stop()
        self.sockets.stop()
        self._settle()
        if self.is_open:
            self.is_open = False
            if self._stalls is not None:
                self._stalls.stop()
            await self.recorder.stop()
            await self.presence.stop()
            await self.cluster.stop()
            self.pubsub.forward = None
            presence.release(self.presence)
            pubsub.release(self.pubsub)

    def turn_away(self) -> None:
        """Takes no new sockets from now on (503, with Retry-After); those that are here go on."""
        self.entrance.closed = True

    async def drain(self) -> None:
        """Takes no new sockets and asks all there are to come back elsewhere (1012), in batches (DC-5)."""
        self.turn_away()
        if self.is_open:
            await self.presence.leave()
        await self.sockets.drain()

    @asynccontextmanager
    async def lifespan(self, _host: object = None) -> AsyncIterator[None]:
        """`open` and `stop`, for the application that this one is mounted in: `FastAPI(lifespan=phoenix.lifespan)`."""
        await self.open()
        try:
            yield
        finally:
            await self.stop()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """ASGI: WebSockets, long-poll and lifespan."""
        await self._asgi(scope, receive, send)

    def protocol_class(self) -> type[WebSocketProtocol]:
        """What to hand to uvicorn as `ws=`, to serve this application on another's port."""
        return type("PhoenixWebSocketProtocol", (WebSocketProtocol,), {"__slots__": (), "app": self})

    def shown(self, error: BaseException) -> str | None:
        """What a client may be told of an exception."""
        return f"{type(error).__name__}: {error}" if self.config.debug else None

    # For transports

    def is_joined(self, pid: str) -> bool:
        """Whether a presence still has its channel; whatever else was tracked is its owner's business."""
        return not pid.startswith(CHANNEL) or pid in self.present

    def _settle(self) -> None:
        self.instruments.received.inc(self.frames_received)
        self.instruments.sent.inc(self.frames_sent)
        self.instruments.broadcasts.inc(self._broadcasts)
        self.frames_received = self.frames_sent = self._broadcasts = 0

    # Other nodes

    def _connect_nodes(self) -> None:
        cluster = self.cluster
        cluster.on_broadcast(self._arrive)
        cluster.on_message(self.pubsub.publish_here)
        cluster.on_disconnect(self.sockets.disconnect)
        cluster.on_presence(self.presence.receive)
        cluster.on_gap(self.presence.announce)
        cluster.on_gap(self.recorder.heal)
        cluster.on_request(OVERVIEW, self.overview.answer)
        if self.longpoll is not None:
            cluster.on_request(REQUEST, self.longpoll.sessions.answer)
            if cluster.status != "alone" and self.config.security.secret is None and not is_worker():
                log.warning("realtime.no_common_secret", hint="set realtime.security.secret, the same on all nodes")
        self.pubsub.forward = cluster.publish
        self.presence.attach(
            cluster.name,
            config=self.config.presence,
            publish=cluster.tell_presence,
            send=self._tell_presence,
            broadcast=self.broadcast_here,
            is_alive=self.is_joined,
        )

    def _tell_presence(self, name: str, body: bytes) -> None:
        # Presence knows nodes by the name that they keep when they are started again.
        for peer in self.cluster.peers():
            if peer.name == name:
                self.cluster.tell_presence(body, peer.node)

    def _arrive(self, topic: str, event: str, raw: bytes, binary: bool) -> None:
        message = TopicMessage(topic, event, raw, binary=binary)
        keep = self.kept(topic) if self._keeps else None
        if keep is None:
            self._deliver(message)
        else:
            self.recorder.receive(message, keep)

    def _forward(self, message: TopicMessage) -> None:
        if self.cluster.status != "alone":
            self.cluster.broadcast(message.topic, message.event, message.raw, message.binary)

    def _deliver(self, message: TopicMessage, skip: Member | None = None) -> None:
        reached = self.topics.publish(message, skip)
        self.frames_sent += reached
        if reached:
            self._broadcasts += 1  # settled with the frames: counting each costs as much as sending it to one member
        else:
            self.instruments.broadcasts.inc()
