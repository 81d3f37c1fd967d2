"""What waits for a busy channel: frames of the client, broadcasts it wants to see first, messages of other topics."""

import asyncio
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


def is_join(item: Item) -> bool:
    """Whether what is next is a new join: the channel that waits is over then."""
    return isinstance(item, InboundFrame) and item.event == JOIN
