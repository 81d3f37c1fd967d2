"""The web page and every other Phoenix client: replies go out over the conversation's topic.

What comes in reaches `deliver` through the channels of `web/channels/`, so there is nothing to connect to here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from antiphon.adapters.base import Capabilities, Deliver
from antiphon.domain import ChannelMessage, Message, Target
from antiphon.errors import ValidationError


class WebAdapter:
    """`show` broadcasts a message on its conversation's topic. A client knows a message by its id, so that showing
    it twice does no harm."""

    name = "web"
    capabilities = Capabilities(idempotent=True, reads_store=True)

    def __init__(self, show: Callable[[Message], None]) -> None:
        self._show = show

    async def start(self, deliver: Deliver) -> None:
        """Nothing to open: the server that carries the sockets is started by the workspace."""

    async def stop(self) -> None:
        """Nothing to close."""

    def parse_message(self, raw: Mapping[str, Any]) -> ChannelMessage:
        """Reads the payload of a `message` event; `place`, `account`, `sender` and `key` are set by the channel."""
        text = raw.get("text")
        if not isinstance(text, str):
            raise ValidationError("`text` must be a string.")
        return ChannelMessage(
            adapter=self.name,
            place=raw["place"],
            account=raw["account"],
            sender=raw["sender"],
            key=raw["key"],
            text=text,
        )

    async def send_message(self, target: Target, message: Message) -> None:
        """The topic reaches whoever is there; whoever is not finds the message in the store."""
        self._show(message)
