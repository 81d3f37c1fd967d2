"""What the flow tells whoever is watching: the payloads of the live topics, in one place.

`conversation:<id>` carries the messages and turns of one conversation and is broadcast to whoever has joined it;
`person:<id>` is published inside the house, and reaches a person's sockets through the channel of the topic
`conversations`.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from antiphon.domain import Approval, Attachment, Conversation, Message, Turn, TurnRecord
from antiphon.files.keeper import FILE_URL

Broadcast = Callable[[str, str, Any], None]
"""Sends (topic, event, payload) to whoever has joined the topic. Never waits."""

Publish = Callable[[str, tuple[str, Any]], object]
"""Hands (topic, (event, payload)) to whoever has subscribed inside this program. Never waits."""


def topic_of(conversation_id: str) -> str:
    return f"conversation:{conversation_id}"


def person_topic(person_id: str) -> str:
    return f"person:{person_id}"


def show_conversation(conversation: Conversation) -> dict[str, Any]:
    """The public shape of a conversation."""
    shape: dict[str, Any] = msgspec.to_builtins(conversation)
    for internal in ("person_id", "context_from", "place"):
        del shape[internal]
    return shape


def show_message(message: Message) -> dict[str, Any]:
    """The public shape of a message; an answer tells who made it at what cost. A vendor's signatures (`opaque`) stay
    in the house, and with them thoughts of which it shows nothing."""
    shape: dict[str, Any] = msgspec.to_builtins(message)
    del shape["in_context"]
    record = shape.pop("record") or {}
    shape |= {field: record.get(field) for field in ("assistant", "model", "usage", "elapsed_ms")}
    shape["parts"] = [part for part in shape["parts"] if part["type"] != "reasoning" or part["text"]]
    for part in shape["parts"]:
        part.pop("opaque", None)
    shape["attachments"] = [show_attachment(file) for file in message.attachments]
    return shape


def show_attachment(file: Attachment) -> dict[str, Any]:
    """The public shape of a file that a message names."""
    shape: dict[str, Any] = msgspec.to_builtins(file)
    return shape if file.id is None else shape | {"url": FILE_URL + file.id}


def show_approval(approval: Approval) -> dict[str, Any]:
    """The public shape of a call that a person is to allow."""
    shape: dict[str, Any] = msgspec.to_builtins(approval)
    del shape["person_id"]
    return shape | {"code": approval.code}


class Live:
    """Tells what happened to conversations."""

    def __init__(self, broadcast: Broadcast, publish: Publish) -> None:
        self.broadcast = broadcast
        self._publish = publish

    def message(self, message: Message) -> None:
        """A message that is new, or known with another status. `cursor` is what a client gives back as `since`."""
        payload = show_message(message) | {"cursor": str(message.position)}
        self.broadcast(topic_of(message.conversation_id), "message", payload)

    def turn_end(self, turn: Turn, record: TurnRecord, message_id: str | None) -> None:
        payload = {
            "turn_id": turn.id,
            "message_id": message_id,
            "status": record.outcome,
            "usage": msgspec.to_builtins(record.usage),
            "model": record.model,
            "reason": record.reason,
            "elapsed_ms": record.elapsed_ms,
        }
        self.broadcast(topic_of(turn.conversation_id), "turn_end", payload)

    def approval(self, approval: Approval) -> None:
        """A call that a person is to allow, or what they answered."""
        self.broadcast(topic_of(approval.conversation_id), "approval", show_approval(approval))

    def feedback(self, message: Message) -> None:
        """What the person of a conversation says of an answer now; `feedback` is null when they took it back."""
        said = msgspec.to_builtins(message.feedback)
        self.broadcast(topic_of(message.conversation_id), "feedback", {"message_id": message.id, "feedback": said})

    def conversation(self, what: Literal["created", "updated", "deleted"], conversation: Conversation) -> None:
        payload = {"id": conversation.id} if what == "deleted" else {"conversation": show_conversation(conversation)}
        self._publish(person_topic(conversation.person_id), (what, payload))
