"""The contract of an adapter: our end of an outside messaging platform.

An adapter turns the platform's events into `ChannelMessage`s for the `deliver` it was given, and sends replies.
It owns its connection and reconnects by itself; it never calls a model and never touches the store.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from antiphon.domain import ChannelMessage, Message, Target


class Receipt(Struct, frozen=True, kw_only=True):
    """What `deliver` promises once it returns: the message is durable and its turn will end in one outcome.

    `duplicate` is True when the same key was delivered before; the ids are then those of the first time.
    """

    conversation_id: str
    message_id: str
    turn_id: str
    duplicate: bool = False


Deliver = Callable[[ChannelMessage], Awaitable[Receipt]]
"""Takes a message into the house. Raises `ServiceError` or `ValidationError` when it was not accepted.

Adapters start before the flow opens, because it begins with replies that go out through them. A message that comes
earlier is refused with the `ServiceError` “has just started”, as one is while the house stops: the adapter is to try it
again in a moment, with the same key.
"""


class Capabilities(Struct, frozen=True, kw_only=True):
    """What the platform can do; the flow asks this and never a platform's name.

    `idempotent`: sending the same message id twice shows it once, so a send cut by a crash is repeated.
    `reads_store`: whoever is there finds every reply in our store, and sending only tells them at once; so a reply
    needs no entry in the outbox.
    """

    idempotent: bool = False
    reads_store: bool = False


class ChannelAdapter(Protocol):
    """One platform account. `name` is the key in the settings and in `ChannelMessage.adapter`."""

    name: str
    capabilities: Capabilities

    async def start(self, deliver: Deliver) -> None:
        """Begins to receive. Returns when it is ready or will retry by itself. Does not wait for a `deliver` to be
        accepted: the flow opens behind it."""
        ...

    async def stop(self) -> None:
        """Stops receiving, finishes the sends under way."""
        ...

    def parse_message(self, raw: Mapping[str, Any]) -> ChannelMessage | None:
        """The message in a platform event, None when the event is none. Raises `ValidationError` on a malformed one."""
        ...

    async def send_message(self, target: Target, message: Message) -> str | None:
        """Sends a reply and returns the platform's id of it. Raises `AdapterError`."""
        ...
