"""This node among others: what is published here reaches all of them, through a broker."""

import asyncio
import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, Literal, Self

import msgspec

from antiphon.errors import ServiceError, ValidationError
from antiphon.realtime.brokers.base import Broker, BrokerStatus, count_dropped, open_broker
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.realtime.limits import SparseLog
from antiphon.realtime.nodes.gaps import Gaps, call_all
from antiphon.realtime.nodes.peers import Node, Peers
from antiphon.realtime.nodes.requests import Answerer, Requests
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.runtime.tasks import Restart, Tasks
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

log = get_logger(__name__)

OnBroadcast = Callable[[str, str, bytes, bool], object]
"""`(topic, event, raw, binary)`: the payload as it was encoded."""
OnMessage = Callable[[str, Any], object]
OnText = Callable[[str], object]
OnBody = Callable[[bytes], object]

BEATS_MISSED = 3.5
"""A node that has been silent for so many of its beats is gone."""

_NOTICE_SECONDS = 60.0
"""Between two lines on what each beat of another node tells again."""

_TEXT, _BINARY, _MESSAGE, _DISCONNECT, _PRESENCE, _REQUEST, _ANSWER, _HELLO, _BEAT, _BYE = range(1, 11)
_KINDS = {
    _TEXT: "broadcast",
    _BINARY: "broadcast",
    _MESSAGE: "message",
    _DISCONNECT: "disconnect",
    _PRESENCE: "presence",
    _REQUEST: "request",
    _ANSWER: "answer",
    _HELLO: "node",
    _BEAT: "node",
    _BYE: "node",
}
_HEAD = struct.Struct(">BII")
"""Of a broadcast and of a message: the kind, the length of the topic and that of the event, which follow."""


class _Greeting(msgspec.Struct, frozen=True):
    """`lossy`: what this node has published before may not have arrived."""

    node: str
    name: str
    lossy: bool = False


class Cluster:
    """Publishing never waits and never fails: what is delivered on this node has been or will be, whatever the broker
    does, and others that may have missed something are told (`on_gap`). Without a broker this is the only node.

    `node` is unique for each start, `name` stays as it is given. Handlers are set before `start`, one of each kind but
    for `on_gap` and `on_status`; they are called in the loop, at once, in the order in which a node has published.
    """

    def __init__(
        self,
        broker: Broker | None = None,
        *,
        name: str = "",
        beat_seconds: float = 5.0,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self.version = secrets.token_hex(6)
        self.node = f"{self.name}~{self.version}"
        self.status: Literal["alone", "up", "down"] = "alone" if broker is None else "down"
        self._broker = broker
        self._beat_seconds = beat_seconds
        self._clock = clock or SystemClock()
        self._instruments = _Instruments(metrics or get_metrics())
        self._tasks = Tasks(clock=self._clock)
        self._requests = Requests(
            self.node,
            lambda body, node: self._send(b"%c%b" % (_REQUEST, body), node),
            lambda body, node: self._send(b"%c%b" % (_ANSWER, body), node),
            self._tasks,
        )
        self._peers = Peers(self._clock, self._requests.give_up)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._gaps = Gaps()
        self._on_status: list[Callable[[BrokerStatus], object]] = []
        self._on_broadcast: OnBroadcast = lambda *_: None
        self._on_message: OnMessage = lambda *_: None
        self._takers: dict[int, OnBody] = {
            _TEXT: self._take_broadcast,
            _BINARY: self._take_broadcast,
            _MESSAGE: self._take_message,
            _REQUEST: lambda body: self._requests.take_request(body[1:]),
            _ANSWER: lambda body: self._requests.take_answer(body[1:]),
            _HELLO: self._take_hello,
            _BEAT: self._take_beat,
            _BYE: self._take_bye,
        }
        self._nonsense = False
        self._complaints = SparseLog(self._clock, _NOTICE_SECONDS)

    # Setting up

    def on_broadcast(self, handler: OnBroadcast) -> None:
        """Another node has broadcast to a topic: send it to the members on this one."""
        self._on_broadcast = handler

    def on_message(self, handler: OnMessage) -> None:
        """Another node has published a message to a topic."""
        self._on_message = handler

    def on_disconnect(self, handler: OnText) -> None:
        """Another node wants the sockets with this id closed."""
        self._takers[_DISCONNECT] = lambda body: handler(body[1:].decode())

    def on_presence(self, handler: OnBody) -> None:
        """Another node tells of its presences."""
        self._takers[_PRESENCE] = lambda body: handler(body[1:])

    def on_request(self, kind: str, answerer: Answerer) -> None:
        """Answers what other nodes ask of this kind. An error of ours that it raises reaches who asked."""
        self._requests.answerers[kind] = answerer

    def on_gap(self, handler: Callable[[], object]) -> None:
        """Messages of other nodes, or to them, may have been lost: what follows from them is to be looked at again.
        One that is there already, as after a second start, is told once."""
        if handler not in self._gaps.handlers:
            self._gaps.handlers.append(handler)

    def on_status(self, handler: Callable[[BrokerStatus], object]) -> None:
        """The broker can be reached or not."""
        self._on_status.append(handler)

    # Publishing

    def broadcast(self, topic: str, event: str, raw: bytes, binary: bool = False, *, node: str | None = None) -> None:
        """To every other node, or to the named one, which may be this one. `raw` goes through as it is."""
        if node == self.node:
            self._on_broadcast(topic, event, raw, binary)
        elif self._broker is not None:
            to, what = topic.encode(), event.encode()
            head = _HEAD.pack(_BINARY if binary else _TEXT, len(to), len(what))
            self._send(head + to + what + raw, node)

    def publish(self, topic: str, message: Any) -> None:
        """A message of pubsub, to every other node; from any thread. Raises `ValidationError` for one that is no
        JSON."""
        if self._broker is None:
            return
        try:
            raw = msgspec.json.encode(message)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValidationError(f"A message for other nodes must be JSON: {error}.") from None
        to = topic.encode()
        body = b"%b%b%b" % (_HEAD.pack(_MESSAGE, len(to), 0), to, raw)
        if self._loop is not None and threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self._send, body)
        else:
            self._send(body)

    def disconnect(self, socket_id: str) -> None:
        """Closes the sockets with this id on every other node."""
        self._send(b"%c%b" % (_DISCONNECT, socket_id.encode()))

    def tell_presence(self, body: bytes, node: str | None = None) -> None:
        """To every other node, or to one."""
        self._send(b"%c%b" % (_PRESENCE, body), node)

    async def request(self, node: str, kind: str, body: bytes, timeout: float = 5.0) -> bytes:
        """What `node` answers, which may be this one. Raises `ServiceError` when it refuses, when it is gone or goes
        meanwhile, and after `timeout` seconds."""
        if node == self.node:
            return await self._requests.ask_here(kind, body, timeout)
        if self.status != "up":
            raise ServiceError("Other nodes cannot be asked now: no broker can be reached.")
        return await self._requests.ask(node, kind, body, timeout)

    # Life

    async def start(self) -> None:
        """Joins the others. A broker that cannot be reached is no error here: see `check`."""
        if self._broker is None:
            return
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        await self._broker.start(self.node, self._receive, self._changed)
        self._tasks.start("cluster beats", self._live, restart=Restart())

    async def stop(self) -> None:
        """Takes its leave of the others. Requests that wait for an answer fail."""
        if self._broker is None or self._loop is None:
            return
        self._greet(_BYE)
        await self._tasks.stop()
        await self._broker.stop()
        await self._tasks.stop()  # somebody may have asked in between
        self._loop = None
        self._gaps.close()
        self._set_status("down")
        self._requests.give_up()
        self._instruments.settle()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def peers(self) -> list[Node]:
        """The other nodes, as far as they have been heard of, by name."""
        return self._peers.all()

    async def check(self) -> str:
        """For the health of the house. Raises `ServiceError` while the broker cannot be reached."""
        if self._broker is None:
            return "this is the only node"
        if self.status != "up":
            raise ServiceError(f"The broker ({self._broker.name}) cannot be reached: other nodes hear nothing of this.")
        return f"{self._broker.name}, other nodes: {len(self._peers)}"

    # What the broker calls

    def _receive(self, body: bytes) -> None:
        kind = body[0] if body else 0  # which is none of ours
        self._instruments.received[kind] += 1
        self._instruments.bytes_in += len(body)
        taker = self._takers.get(kind)
        try:
            if taker is not None:
                taker(body)
            elif kind not in _KINDS:
                self._not_understood(kind)
        except (struct.error, UnicodeDecodeError, msgspec.DecodeError):
            self._not_understood(kind)
        except Exception:
            # What the application does with a message must not end the connection that brought it.
            self._instruments.failed.inc()
            log.exception("cluster.handler_failed", kind=_KINDS.get(kind))

    def _changed(self, status: BrokerStatus) -> None:
        self._set_status("down" if status == "down" else "up")
        call_all(self._on_status, status)
        if status != "down":
            self._greet(_HELLO, lossy=status == "gap")
        if status == "gap":
            self._gap()

    # How

    def _send(self, body: bytes, node: str | None = None) -> None:
        if self._broker is None:
            return
        self._instruments.sent[body[0]] += 1
        self._instruments.bytes_out += len(body)
        if node is None:
            self._broker.publish(body)
        else:
            self._broker.send(node, body)

    def _greet(self, kind: int, *, lossy: bool = False, to: str | None = None) -> None:
        self._send(b"%c%b" % (kind, msgspec.json.encode(_Greeting(self.node, self.name, lossy))), to)

    def _set_status(self, status: Literal["up", "down"]) -> None:
        self.status = status
        self._instruments.up.set(status == "up")

    def _gap(self) -> None:
        self._instruments.gaps.inc()
        self._gaps.tell()

    def _not_understood(self, kind: int) -> None:
        """From a newer version of us, or from somebody else: named once."""
        self._instruments.failed.inc()
        if not self._nonsense:
            self._nonsense = True
            log.warning("cluster.not_understood", kind=kind)

    async def _live(self) -> None:
        due = self._clock.monotonic()
        while True:
            if self._clock.monotonic() >= due:
                due += self._beat_seconds
                self._greet(_BEAT)
            self._peers.expire(self._beat_seconds * BEATS_MISSED)
            self._instruments.nodes.set(len(self._peers))
            self._instruments.settle()
            await self._clock.sleep(min(1.0, self._beat_seconds))

    def _take_broadcast(self, body: bytes) -> None:
        kind, topic, event = _HEAD.unpack_from(body)
        start = _HEAD.size + topic
        end = start + event
        self._on_broadcast(body[_HEAD.size : start].decode(), body[start:end].decode(), body[end:], kind == _BINARY)

    def _take_message(self, body: bytes) -> None:
        _, topic, _ = _HEAD.unpack_from(body)
        start = _HEAD.size + topic
        self._on_message(body[_HEAD.size : start].decode(), msgspec.json.decode(body[start:]))

    def _take_hello(self, body: bytes) -> None:
        greeting = self._met(body)
        if greeting.node != self.node:
            self._greet(_BEAT, to=greeting.node)
        if greeting.lossy:
            self._gap()

    def _take_beat(self, body: bytes) -> None:
        self._met(body)

    def _take_bye(self, body: bytes) -> None:
        self._peers.leave(msgspec.json.decode(body[1:], type=_Greeting).node, "stopped")

    def _met(self, body: bytes) -> _Greeting:
        greeting = msgspec.json.decode(body[1:], type=_Greeting)
        if greeting.name == self.name:
            self._complaints.say("cluster.name_taken", name=self.name, node=greeting.node)
        self._peers.hear(greeting.node, greeting.name)
        return greeting


class _Instruments:
    """What is counted for every message is counted in plain numbers, and settled once in a while."""

    def __init__(self, metrics: Metrics) -> None:
        self.up = metrics.gauge("antiphon_cluster_up", "1 while the broker between the nodes can be reached, else 0.")
        self.nodes = metrics.gauge("antiphon_cluster_nodes", "Other nodes that have been heard of lately.")
        self.gaps = metrics.counter(
            "antiphon_cluster_gaps_total", "Times that messages between nodes may have been lost."
        )
        self.failed = metrics.counter(
            "antiphon_cluster_failed_total", "Messages of other nodes that were not understood or could not be handled."
        )
        count_dropped(metrics)
        self._messages = metrics.counter(
            "antiphon_cluster_messages_total", "Messages between nodes.", ("direction", "kind")
        )
        sizes = metrics.counter("antiphon_cluster_bytes_total", "Bytes of messages between nodes.", ("direction",))
        self._sizes_out, self._sizes_in = sizes.labels("out"), sizes.labels("in")
        self.sent, self.received = [0] * 256, [0] * 256
        self.bytes_out = self.bytes_in = 0

    def settle(self) -> None:
        for direction, counted in (("out", self.sent), ("in", self.received)):
            for kind, number in enumerate(counted):
                if number:
                    self._messages.labels(direction, _KINDS.get(kind, "unknown")).inc(number)
                    counted[kind] = 0
        self._sizes_out.inc(self.bytes_out)
        self._sizes_in.inc(self.bytes_in)
        self.bytes_out = self.bytes_in = 0


def open_cluster(settings: ClusterSettings, *, metrics: Metrics | None = None) -> Cluster:
    """The cluster that the settings describe, not yet joined; without a URL this is its only node. Raises as
    `open_broker` does."""
    broker = None if settings.url is None else open_broker(settings, metrics=metrics)
    return Cluster(broker, name=settings.node, metrics=metrics)
