"""What waits for a busy channel: frames of the client, broadcasts it wants to see first, messages of other topics."""

import asyncio
from collections.abc import Awaitable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.realtime.pubsub import PubSub
from antiphon.realtime.wire.base import JOIN, InboundFrame, TopicMessage

if TYPE_CHECKING:
    from antiphon.realtime.channel import Channel
    from antiphon.realtime.members.member import Member


class Told(msgspec.Struct, frozen=True, eq=False):
    """A message of another topic on its way to the channel; `handled` is done when the channel has seen it."""

    topic: str
    message: Any
    handled: "asyncio.Future[None]"

    async def show(self, channel: "Channel") -> None:
        try:
            await channel.on_info(self.topic, self.message)
        finally:
            if not self.handled.done():
                self.handled.set_result(None)


def watch(member: "Member", pubsub: PubSub, pattern: str) -> None:
    """Shows the channel what is published on the topics of `pattern`, until it ends (BC-6).

    The next message waits in the pubsub's backlog until the channel has seen the one before.
    """

    async def overheard(topic: str, message: Any) -> None:
        if member.state != "ended":
            told = Told(topic, message, asyncio.get_running_loop().create_future())
            member.accept(told)
            await told.handled

    if member.state != "ended":
        pubsub.subscribe_now(pattern, overheard)
        member.at_end(partial(pubsub.unsubscribe_now, pattern, overheard))


Item = InboundFrame | TopicMessage | Told


def showing(item: Item, channel: "Channel") -> Awaitable[None] | None:
    """Shows the channel what it is to see of others; None when that is nothing."""
    if isinstance(item, Told):
        return item.show(channel)
    hook = channel.hooks.get(item.event) if isinstance(item, TopicMessage) else None
    return None if hook is None else hook(channel, item.event, item.payload)


def is_join(item: Item) -> bool:
    """Whether what is next is a new join: the channel that waits is over then."""
    return isinstance(item, InboundFrame) and item.event == JOIN


def is_current(join_ref: Any, mine: Any) -> bool:
    """Whether a frame with this join_ref is meant for the channel that was joined with `mine`; null fits all."""
    return join_ref is None or mine is None or (join_ref == mine and type(join_ref) is type(mine))


def given_up(items: Collection[Item]) -> list[InboundFrame]:
    """The frames among `items`, none of which the channel will see; whoever waits for it to be told waits no longer."""
    for item in items:
        if isinstance(item, Told):
            item.handled.cancel()
    return [item for item in items if isinstance(item, InboundFrame)]
