"""`/api/v1/publish`: a broadcast from outside, to whoever is in a topic on any node."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from antiphon.domain import Person
from antiphon.errors import NotFoundError, ValidationError
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.wire.base import UNSENDABLE, TopicMessage
from antiphon.realtime.wire.json import deeper_than
from antiphon.web.api.shapes import Count, Shape
from antiphon.web.auth import CurrentPerson, operators_only
from antiphon.web.idempotency import Idempotency, IdempotencyKey
from antiphon.web.openapi import failures

MOST = 100
LONGEST_NAME = 200


class Publication(BaseModel):
    """One broadcast."""

    model_config = ConfigDict(extra="forbid", regex_engine="python-re")

    topic: str = Field(
        max_length=LONGEST_NAME,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="One of a channel of yours: the topics of the house are its own.",
        examples=["room:lobby"],
    )
    event: str = Field(
        max_length=LONGEST_NAME,
        pattern=r"^(?!phx_|presence_(?:state|diff)$)[^\x00-\x1f\x7f]+$",
        description="Names that begin with `phx_`, and those of presence, belong to the protocol.",
        examples=["message"],
    )
    payload: dict[str, Any] = Field(default={}, description="Any JSON object.", examples=[{"text": "Hello"}])


class PublishedShape(Shape):
    """What became of one."""

    topic: str
    members: Count = Field(description="How many it was sent to on this node.")


class PublishedList(Shape):
    items: list[PublishedShape] = Field(description="In the order in which they came.")
    nodes: Count = Field(description="Other nodes that they went to, each with members of its own or none.")


Publications = Annotated[
    Publication | Annotated[list[Publication], Field(min_length=1, max_length=MOST)],
    Body(description=f"One, or up to {MOST}, of which all are published or none is."),
]


def publish_routes(
    phoenix: Phoenix, house: Collection[str], idempotency: Idempotency, current: CurrentPerson
) -> APIRouter:
    """The route, for operators. `house` are the patterns of the topics that nobody publishes to from outside."""
    routes = APIRouter(tags=["realtime"], responses=failures(400, 403, 404, 409, 413, 422, 503))
    Operator = Annotated[Person, Depends(operators_only(current))]  # noqa: N806 - a type

    @routes.post("/publish", response_model=PublishedList)
    async def publish(me: Operator, publications: Publications, key: IdempotencyKey = None) -> Response:
        """Broadcasts to everybody in a topic, on every node."""
        batch = publications if isinstance(publications, list) else [publications]
        messages = [_message(phoenix, house, each) for each in batch]

        def act() -> bytes:
            return _publish(phoenix, messages)

        if key is None:
            answer = act()
        else:
            told = msgspec.json.encode(
                [(message.topic, message.event, msgspec.Raw(message.raw)) for message in messages]
            )
            answer = await idempotency.once(key, me.id, told, act)
        return Response(answer, media_type="application/json")

    return routes


def _message(phoenix: Phoenix, house: Collection[str], publication: Publication) -> TopicMessage:
    route = phoenix.routes.find(publication.topic)
    if route is None:
        raise NotFoundError("No channel serves this topic, so nobody can be in it.")
    if route.pattern in house:
        raise HTTPException(403, "This topic belongs to the house. Publish to one of a channel of your own.")
    limits = phoenix.limits
    try:
        message = TopicMessage.of(publication.topic, publication.event, publication.payload)
    except UNSENDABLE as error:
        raise ValidationError(f"This payload cannot be sent: {error}.") from None
    if len(message.raw) > limits.max_message_bytes:
        raise ValidationError(f"A payload may have {limits.max_message_bytes} bytes at most.")
    if deeper_than(publication.payload, limits.max_json_depth):
        raise ValidationError(f"A payload may be nested {limits.max_json_depth} deep at most.")
    return message


def _publish(phoenix: Phoenix, messages: Sequence[TopicMessage]) -> bytes:
    items = [{"topic": message.topic, "members": phoenix.members(message.topic)} for message in messages]
    for message in messages:
        phoenix.publish(message)
    cluster = phoenix.cluster
    return msgspec.json.encode({"items": items, "nodes": len(cluster.peers()) if cluster.status == "up" else 0})
