"""`Phoenix`: the application. It knows the channels, lets sockets in, and broadcasts for everybody."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from antiphon.errors import ServiceError
from antiphon.realtime.admission import Admission, OnConnect
from antiphon.realtime.channel import Channel
from antiphon.realtime.config import PhoenixConfig, RealtimeSettings, get_config
from antiphon.realtime.connect import Refused, Sessions
from antiphon.realtime.gate import Entrance
from antiphon.realtime.instruments import Instruments
from antiphon.realtime.member import Member
from antiphon.realtime.middleware import Middleware
from antiphon.realtime.mount import MountPath
from antiphon.realtime.origin import OriginCheck
from antiphon.realtime.pubsub import PubSub, adopt, get_pubsub, release
from antiphon.realtime.server import Server
from antiphon.realtime.socket import Route, Socket
from antiphon.realtime.stepper import Stepper
from antiphon.realtime.topics import TopicRoutes, Topics
from antiphon.realtime.transports.frames import GOING_AWAY
from antiphon.realtime.transports.plain import PlainRequests
from antiphon.realtime.transports.websocket import WebSocketProtocol
from antiphon.realtime.wire.base import Message
from antiphon.runtime.clock import SystemClock
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

log = get_logger(__name__)

ChannelT = TypeVar("ChannelT", bound=type[Channel])
OnConnectT = TypeVar("OnConnectT", bound=OnConnect)
SocketId = Callable[[Socket], Any]

_BEAT_SECONDS = 1.0


class Phoenix:
    """Runs by itself (`await app.start("localhost", 4000)`), or inside another uvicorn with `ws=app.protocol_class()`.

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
    ) -> None:
        self.config = (config or get_config()).model_copy(deep=True)
        self.limits = self.config.transport
        self.instruments = Instruments(metrics or get_metrics())
        self.entrance = Entrance(self.config, self.instruments, lambda: len(self.connections), SystemClock())
        self.admission = Admission(self.config, self.entrance, check_origin=check_origin, sessions=sessions)
        self.routes: TopicRoutes[Route] = TopicRoutes()
        self.middleware: tuple[Middleware, ...] = ()
        self.topics = Topics(self.limits.fan_out_slice)
        self.stepper = Stepper()
        self.pubsub = pubsub or get_pubsub()
        self.socket_id: SocketId | None = None
        """Gives a socket the id under which `disconnect` finds it; set it before the first connection."""
        self.connections: set[WebSocketProtocol] = set()
        self.frames_received = 0
        self.frames_sent = 0
        self._ids: dict[str, set[Socket]] = {}
        self._path = MountPath(f"{self.config.mount}/{self.limits.websocket_path}")
        self._beat: asyncio.TimerHandle | None = None
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
        self.routes.add(pattern, Route(factory, assigns))

    def use_middleware(self, middleware: Middleware) -> None:
        """Puts it before every channel, behind what was added earlier and before what a channel has of its own."""
        self.middleware = (*self.middleware, middleware)

    def on_connect(self, callback: OnConnectT) -> OnConnectT:
        """Decorator: decides who may connect. Returns the assigns of the socket, or raises `Refused`."""
        self.admission.on_connect = callback
        return callback

    # Sending

    def broadcast(self, topic: str, event: str, payload: Any) -> None:
        """Sends to every member of the topic; never waits. The payload is an object, or bytes, and is encoded before
        this returns.

        The event `disconnect` on a socket's id closes that socket (DC-2).
        """
        self.publish(Message.of(topic, event, payload))
        if event == "disconnect":
            self.disconnect(topic)

    def publish(self, message: Message, skip: Member | None = None) -> None:
        """`broadcast` for what is encoded, and for all but one."""
        self.instruments.broadcasts.inc()
        self.frames_sent += self.topics.publish(message, skip)

    def members(self, topic: str) -> int:
        """How many channels are joined on the topic."""
        return self.topics.count(topic)

    def disconnect(self, socket_id: str) -> int:
        """Closes every socket with this id (1001) and returns how many there were. They are free to come back."""
        sockets = list(self._ids.get(socket_id, ()))
        for socket in sockets:
            socket.transport.close(GOING_AWAY)
        return len(sockets)

    # Serving

    async def start(self, host: str | None = None, port: int | None = None) -> None:
        """Serves until `stop` is called or a signal ends it, where the settings say unless told; `port` 0 takes a free
        one (see `port`)."""
        await self.listen(host, port)
        try:
            await self.serve()
        finally:
            await self.stop()

    async def listen(self, host: str | None = None, port: int | None = None) -> None:
        """Binds and begins to accept; raises `ServiceError` when the address cannot be had."""
        if self._server is not None:
            raise ServiceError("this application is already serving: stop it first")
        server = Server(PlainRequests(self), self.protocol_class())
        home = self.config if isinstance(self.config, PhoenixConfig) else PhoenixConfig()
        await server.start(home.host if host is None else host, home.port if port is None else port)
        self._server, self.entrance.closed = server, False
        adopt(self.pubsub)

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
            release(self.pubsub)
        await self.stepper.stop()
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    async def drain(self) -> None:
        """Takes no new sockets and asks all there are to come back elsewhere (1012), in batches (DC-5)."""
        self.entrance.closed = True
        waiting = list(self.connections)
        while waiting:
            batch, waiting = waiting[: self.limits.drain_batch], waiting[self.limits.drain_batch :]
            for connection in batch:
                connection.shutdown()
            if waiting:
                await asyncio.sleep(self.limits.drain_pause)

    def protocol_class(self) -> type[WebSocketProtocol]:
        """What to hand to uvicorn as `ws=`, to serve this application on another's port."""
        return type("PhoenixWebSocketProtocol", (WebSocketProtocol,), {"__slots__": (), "app": self})

    def shown(self, error: BaseException) -> str | None:
        """What a client may be told of an exception."""
        return f"{type(error).__name__}: {error}" if self.config.debug else None

    # For transports

    def connected(self, connection: WebSocketProtocol) -> None:
        """Watches over a connection from its first byte on."""
        self.connections.add(connection)
        if self._beat is None:
            self._schedule_beat()

    def variables(self, path: str) -> dict[str, str]:
        """What stands for the variables of the mount in the path of a WebSocket; `Refused` for any other path."""
        try:
            found = self._path.match(path)
        except ValueError as error:
            raise Refused(400) from error
        if found is None:
            raise Refused(404)
        return found

    def socket_opened(self, socket: Socket) -> None:
        """Takes a new socket in; `Refused` when its id is nonsense (TR-10)."""
        socket.id = self._id_of(socket)
        if socket.id is not None:
            self._ids.setdefault(socket.id, set()).add(socket)
        self.instruments.sockets.inc()

    def _id_of(self, socket: Socket) -> str | None:
        try:
            found = self.socket_id(socket) if self.socket_id is not None else None
        except Exception as error:
            log.exception("realtime.socket_id_failed")
            raise Refused(500) from error
        if found is None or isinstance(found, str):
            return found
        log.error("realtime.socket_id_is_no_string", type=type(found).__name__)
        raise Refused

    def socket_closed(self, socket: Socket) -> None:
        """The counterpart of `socket_opened`."""
        self.instruments.sockets.dec()
        if socket.id is not None:
            others = self._ids.get(socket.id, set())
            others.discard(socket)
            if not others:
                self._ids.pop(socket.id, None)

    def _schedule_beat(self) -> None:
        # One timer for all sockets: a limit is noticed at most a quarter of it too late.
        every = min(_BEAT_SECONDS, self.limits.idle_seconds / 4, self.limits.blocked_seconds / 4)
        self._beat = asyncio.get_running_loop().call_later(every, self._check_all)

    def _check_all(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.connections):
            connection.check(now)
        self.instruments.received.inc(self.frames_received)
        self.instruments.sent.inc(self.frames_sent)
        self.frames_received = self.frames_sent = 0
        self._beat = None
        if self.connections:
            self._schedule_beat()
