"""What waits for a busy channel: frames of the client, broadcasts it wants to see first, messages of other topics."""

import asyncio
from typing import Any

import msgspec

from antiphon.realtime.channel import Channel
from antiphon.realtime.wire.base import JOIN, InboundFrame, Message


class Told(msgspec.Struct, frozen=True, eq=False):
    """A message of another topic on its way to the channel; `handled` is done when the channel has seen it."""

    topic: str
    message: Any
    handled: "asyncio.Future[None]"

    async def show(self, channel: Channel) -> None:
        try:
            await channel.on_info(self.topic, self.message)
        finally:
            if not self.handled.done():
                self.handled.set_result(None)


Item = InboundFrame | Message | Told


def is_join(item: Item) -> bool:
    """Whether what is next is a new join: the channel that waits is over then."""
    return isinstance(item, InboundFrame) and item.event == JOIN
