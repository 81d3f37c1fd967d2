"""`/api/v1/realtime` and `/api/v1/presence`: who is connected and where, for operators."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypedDict

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field

from antiphon.errors import NotFoundError
from antiphon.realtime.overview import ChannelRow, NodeRow, OverviewPage, SocketRow, TopicRow
from antiphon.realtime.phoenix import Phoenix
from antiphon.web.api.shapes import Count, Shape
from antiphon.web.auth import CurrentPerson, operators_only
from antiphon.web.openapi import failures

MOST = 200
LONGEST_KEY = 500
"""Of a key that goes into a cursor. Topics that begin alike for so long are seen on one page or not at all."""

SOCKET = r"^[0-9a-f]{16}-[0-9a-f]{12}$"

Limit = Annotated[int, Query(ge=1, le=MOST, description="The most to answer with.")]
Cursor = Annotated[
    str,
    Query(
        max_length=8 * (LONGEST_KEY + 1), pattern=r"^([0-9a-f]{2})*$", description="The `cursor` of the page before."
    ),
]
Nodes = Annotated[
    Literal["here", "all"], Query(description="`here`: the process that answers. `all`: every node of the cluster.")
]


class Window(TypedDict):
    """Which part of a list is wanted, as `Overview.page` takes it."""

    after: str
    limit: int
    everywhere: bool


def _window(unless_asked: Literal["here", "all"]) -> Callable[..., Awaitable[Window]]:
    async def window(limit: Limit = 50, cursor: Cursor = "", nodes: Nodes = unless_asked) -> Window:
        return {"after": _key(cursor), "limit": limit, "everywhere": nodes == "all"}

    return window


Here = Annotated[Window, Depends(_window("here"))]
Everywhere = Annotated[Window, Depends(_window("all"))]

SocketKey = Annotated[str, Field(pattern=SOCKET, examples=["000643c1f5a0b2c4-0a1b2c3d4e5f"])]
Next = Annotated[str | None, Field(description="For the next page; null when this is the last.")]
Missing = Annotated[list[str], Field(description="Nodes that did not answer in time: what they have is not in here.")]


class LiveSocketShape(Shape):
    """A connection. Nothing is told of where it comes from."""

    id: SocketKey
    node: str
    user: str | None = Field(description="The id that the application gave it, if it did.")
    connected_at: datetime
    transport: Literal["websocket", "longpoll"]
    version: str = Field(description="Of the protocol.")
    channels: Count
    queued_bytes: Count = Field(description="What the client has not been given yet.")
    blocked: bool = Field(description="Whether that waits for the client.")


class LiveChannelShape(Shape):
    """A topic that is joined on a socket."""

    socket: SocketKey
    node: str
    topic: str
    pattern: str = Field(description="The one under which the channel is registered.")
    channel: str | None = Field(description="Its class; null while a join waits for the one before.")
    state: Literal["joining", "joined", "ended"]


class LiveTopicShape(Shape):
    """A topic that somebody is in."""

    topic: str
    members: Count


class LiveNodeShape(Shape):
    """A process of the cluster."""

    node: str
    name: str
    sockets: Count
    channels: Count
    topics: Count
    draining: bool = Field(description="Whether it takes no new sockets.")


class PresentShape(Shape):
    """One key of a topic's presence, with what is known of each of its connections."""

    key: str
    metas: list[dict[str, Any]]


class LiveSocketPage(Shape):
    items: list[LiveSocketShape] = Field(description="The oldest first.")
    cursor: Next
    missing: Missing


class LiveChannelPage(Shape):
    items: list[LiveChannelShape]
    cursor: Next
    missing: Missing


class LiveTopicPage(Shape):
    items: list[LiveTopicShape] = Field(description="By name.")
    cursor: Next
    missing: Missing


class LiveNodePage(Shape):
    items: list[LiveNodeShape] = Field(description="By name.")
    cursor: Next
    missing: Missing


class PresentPage(Shape):
    items: list[PresentShape] = Field(description="By key, of all nodes that are up.")
    cursor: Next


def realtime_routes(phoenix: Phoenix, current: CurrentPerson) -> APIRouter:
    """The routes, for operators."""
    routes = APIRouter(
        tags=["realtime"], responses=failures(403, 422, 503), dependencies=[Depends(operators_only(current))]
    )
    overview = phoenix.overview

    @routes.get("/realtime/sockets", response_model=LiveSocketPage)
    async def list_sockets(window: Here) -> dict[str, Any]:
        """Open sockets."""
        return _shown(await overview.page("sockets", **window), _socket)

    @routes.get("/realtime/channels", response_model=LiveChannelPage)
    async def list_channels(window: Here) -> dict[str, Any]:
        """What is joined, socket by socket."""
        return _shown(await overview.page("channels", **window), _channel)

    @routes.get("/realtime/topics", response_model=LiveTopicPage)
    async def list_topics(window: Here) -> dict[str, Any]:
        """Topics with members, and how many."""
        return _shown(await overview.page("topics", **window), _topic)

    @routes.get("/realtime/nodes", response_model=LiveNodePage)
    async def list_nodes(window: Everywhere) -> dict[str, Any]:
        """The processes of the cluster, what each carries, and whether it drains."""
        return _shown(await overview.page("nodes", **window), _node)

    @routes.post("/realtime/sockets/{socket}/disconnect", status_code=204, responses=failures(404))
    async def disconnect(socket: Annotated[str, Path(pattern=SOCKET)]) -> Response:
        """Closes one socket, on whichever node it is. Its client is free to come back."""
        if not await overview.disconnect(socket):
            raise NotFoundError("There is no such socket any more.")
        return Response(status_code=204)

    @routes.get("/presence/{topic:path}", response_model=PresentPage)
    async def list_presence(
        topic: Annotated[str, Path(max_length=LONGEST_KEY)], limit: Limit = 50, cursor: Cursor = ""
    ) -> dict[str, Any]:
        """Who is present in a topic, on any node."""
        present = await phoenix.presence.list(topic)
        behind = _key(cursor)
        keys = sorted(key for key in present if key > behind)
        items = [{"key": key, "metas": present[key]["metas"]} for key in keys[:limit]]
        return {"items": items, "cursor": _cursor(keys[limit - 1]) if len(keys) > limit else None}

    return routes


def _shown(page: OverviewPage, show: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    items: Iterable[dict[str, Any]] = map(show, page.rows)
    return {
        "items": list(items),
        "cursor": _cursor(page.rows[-1].key) if page.more else None,
        "missing": list(page.missing),
    }


def _socket(row: SocketRow) -> dict[str, Any]:
    return {
        "id": row.key,
        "node": row.node,
        "user": row.id,
        "connected_at": datetime.fromtimestamp(row.connected_at, UTC),
        "transport": row.transport,
        "version": row.version,
        "channels": row.channels,
        "queued_bytes": row.queued_bytes,
        "blocked": row.blocked,
    }


def _channel(row: ChannelRow) -> dict[str, Any]:
    return {
        "socket": row.socket,
        "node": row.node,
        "topic": row.topic,
        "pattern": row.pattern,
        "channel": row.channel,
        "state": row.state,
    }


def _topic(row: TopicRow) -> dict[str, Any]:
    return {"topic": row.key, "members": row.members}


def _node(row: NodeRow) -> dict[str, Any]:
    return {
        "node": row.key,
        "name": row.name,
        "sockets": row.sockets,
        "channels": row.channels,
        "topics": row.topics,
        "draining": row.draining,
    }


def _cursor(key: str) -> str:
    place = key if len(key) <= LONGEST_KEY else key[:LONGEST_KEY] + "\U0010ffff"
    return place.encode().hex()


def _key(cursor: str) -> str:
    return bytes.fromhex(cursor).decode(errors="replace")
