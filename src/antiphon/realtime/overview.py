"""What there is at this moment, in pages: sockets, channels, topics and nodes, of this node or of all of them."""

import asyncio
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from antiphon.errors import ServiceError
from antiphon.realtime.transports.frames import GOING_AWAY
from antiphon.telemetry.logs import get_logger

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix

OVERVIEW = "overview"
"""The kind of what nodes ask each other."""

SECONDS = 2.0
"""For a node to say what it has; one that is slower is left out, and named."""

What = Literal["sockets", "channels", "topics", "nodes", "disconnect"]

log = get_logger(__name__)


class SocketRow(msgspec.Struct, frozen=True, kw_only=True):
    """An open socket. `key` names it in the whole cluster; `id` is what the application calls its user, if it does."""

    key: str
    node: str
    id: str | None
    connected_at: float
    transport: str
    version: str
    channels: int
    queued_bytes: int
    blocked: bool


class ChannelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A topic joined on a socket, or being joined."""

    key: str
    node: str
    socket: str
    topic: str
    pattern: str
    channel: str | None
    state: str


class TopicRow(msgspec.Struct, frozen=True, kw_only=True):
    """A topic with members; `key` is its name."""

    key: str
    members: int


class NodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself."""

    key: str
    name: str
    sockets: int
    channels: int
    topics: int
    draining: bool


Row = SocketRow | ChannelRow | TopicRow | NodeRow

_LISTS: dict[str, Any] = {
    "sockets": list[SocketRow],
    "channels": list[ChannelRow],
    "topics": list[TopicRow],
    "nodes": list[NodeRow],
}


class OverviewPage(msgspec.Struct, frozen=True):
    """Rows in the order of their keys, whether there are others behind them, and the nodes that did not answer."""

    rows: Sequence[Any]
    more: bool
    missing: Sequence[str] = ()


class _Question(msgspec.Struct, frozen=True, array_like=True):
    """`after` is the key that the rows begin behind; of `disconnect` it is that of the socket."""

    what: What
    after: str = ""
    limit: int = 1


class Overview:
    """Of one application. Looking costs a walk over what there is, and nothing is kept for it."""

    def __init__(self, app: "Phoenix") -> None:
        self._app = app

    async def page(
        self, what: Literal["sockets", "channels", "topics", "nodes"], *, after: str = "", limit: int, everywhere: bool
    ) -> OverviewPage:
        """Up to `limit` rows behind the key `after`. A topic that several nodes have is one row with all members."""
        question = _Question(what, after, limit + 1)
        found: list[Any] = list(self._rows(question))
        missing: list[str] = []
        if everywhere:
            peers = [peer.node for peer in self._app.cluster.peers()]
            for peer, rows in zip(peers, await self._ask(peers, question), strict=True):
                if rows is None:
                    missing.append(peer)
                else:
                    found += rows
        listed = _summed(found) if what == "topics" else sorted(found, key=_key)
        return OverviewPage(listed[:limit], len(listed) > limit, missing)

    async def disconnect(self, key: str) -> bool:
        """Closes the one socket (1001), wherever it is; False when there is none of this key. Raises `ServiceError`
        when its node does not answer."""
        node = self._node_of(key)
        if node is None:
            return False
        question = msgspec.msgpack.encode(_Question("disconnect", key))
        return msgspec.msgpack.decode(await self._app.cluster.request(node, OVERVIEW, question, SECONDS), type=bool)

    async def answer(self, body: bytes) -> bytes:
        """What another node asks. Raises `msgspec.DecodeError`."""
        question = msgspec.msgpack.decode(body, type=_Question)
        if question.what == "disconnect":
            return msgspec.msgpack.encode(self._disconnect(question.after))
        return msgspec.msgpack.encode(list(self._rows(question)))

    async def _ask(self, peers: list[str], question: _Question) -> list[list[Any] | None]:
        body = msgspec.msgpack.encode(question)

        async def asked(node: str) -> list[Any] | None:
            try:
                answer = await self._app.cluster.request(node, OVERVIEW, body, SECONDS)
                return cast("list[Any]", msgspec.msgpack.decode(answer, type=_LISTS[question.what]))
            except (ServiceError, msgspec.DecodeError) as error:  # one of another version may answer in other words
                log.warning("realtime.overview_incomplete", node=node, problem=str(error))
                return None

        return await asyncio.gather(*map(asked, peers))

    def _rows(self, question: _Question) -> Iterator[Row]:
        behind = question.after
        if question.what == "sockets":
            rows: Iterator[Row] = (row for row in self._sockets() if row.key > behind)
        elif question.what == "channels":
            rows = (row for row in self._channels(behind) if row.key > behind)
        elif question.what == "topics":
            names = nsmallest(question.limit, (name for name in self._app.topics.names() if name > behind))
            rows = (TopicRow(key=name, members=self._app.members(name)) for name in names)
        else:
            rows = (row for row in (self._node(),) if row.key > behind)
        return islice(rows, question.limit)

    def _sockets(self) -> Iterator[SocketRow]:
        node = self._app.cluster.node
        for number, carried in self._app.sockets.all():
            yield SocketRow(
                key=self._key(number),
                node=node,
                id=carried.socket.id,
                connected_at=number / 1e6,
                transport=carried.transport,
                version=carried.socket.serializer.version,
                channels=len(carried.socket.channels),
                queued_bytes=carried.queued,
                blocked=carried.blocked,
            )

    def _channels(self, behind: str) -> Iterator[ChannelRow]:
        node = self._app.cluster.node
        for number, carried in self._app.sockets.all():
            key = self._key(number)
            if key < behind[: len(key)]:
                continue
            for member in sorted(carried.socket.channels, key=lambda member: member.topic):
                made = getattr(member, "channel", None)  # a join that waits for another has not made it yet
                yield ChannelRow(
                    key=f"{key}{member.topic}",
                    node=node,
                    socket=key,
                    topic=member.topic,
                    pattern=member.route.pattern,
                    channel=None if made is None else type(made).__name__,
                    state=member.state,
                )

    def _node(self) -> NodeRow:
        app = self._app
        return NodeRow(
            key=app.cluster.node,
            name=app.cluster.name,
            sockets=sum(1 for _ in app.sockets.all()),
            channels=sum(len(carried.socket.channels) for _, carried in app.sockets.all()),
            topics=len(app.topics),
            draining=app.entrance.closed,
        )

    def _disconnect(self, key: str) -> bool:
        for number, carried in self._app.sockets.all():
            if self._key(number) == key:
                carried.socket.transport.close(GOING_AWAY)
                return True
        return False

    def _key(self, number: int) -> str:
        """Of one length, so that they sort by time as text."""
        return f"{number:016x}-{self._app.cluster.version}"

    def _node_of(self, key: str) -> str | None:
        cluster, version = self._app.cluster, key.rpartition("-")[2]
        nodes = (cluster.node, *(peer.node for peer in cluster.peers()))
        return next((node for node in nodes if node.rpartition("~")[2] == version), None)


def _key(row: Any) -> str:
    return str(row.key)


def _summed(rows: Sequence[Any]) -> list[TopicRow]:
    members: dict[str, int] = {}
    for row in rows:
        members[row.key] = members.get(row.key, 0) + row.members
    return [TopicRow(key=name, members=count) for name, count in sorted(members.items())]
