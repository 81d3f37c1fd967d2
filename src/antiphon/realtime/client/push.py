"""One message to the server, from the moment it is made until it is answered."""

import asyncio
from collections.abc import Mapping
from typing import Any

from antiphon.errors import ProcessingError, ServiceError
from antiphon.realtime.client.frames import ClientReply, encode_push, sendable


class PushError(ProcessingError):
    """The server answered a push or join with a status other than ok."""

    code = "push"

    def __init__(self, event: str, status: str, response: Any) -> None:
        reason = response.get("reason") if isinstance(response, Mapping) else None
        super().__init__(f"the server answered {event} with {status}" + (f": {reason}" if reason else ""))
        self.status = status
        self.response = response


class ConnectionLostError(ServiceError):
    """The connection broke before the answer came: nobody knows whether the server took the message."""

    code = "connection_lost"


class Push:
    """A message on its way. Without a `ref` no answer comes: it is done as soon as it is written."""

    __slots__ = ("answer", "event", "payload", "ref", "topic")

    def __init__(self, topic: str, event: str, payload: Any, ref: str | None) -> None:
        self.topic = topic
        self.event = event
        self.payload = sendable(topic, event, payload)
        self.ref = ref
        self.answer: asyncio.Future[ClientReply] = asyncio.get_running_loop().create_future()

    def frame(self, join_ref: str | None) -> bytes:
        """What goes over the wire."""
        return encode_push(join_ref, self.ref, self.topic, self.event, self.payload)

    def written(self) -> None:
        """It has left."""
        if self.ref is None:
            self.settle(ClientReply("ok", None))

    def settle(self, reply: ClientReply) -> None:
        """Its answer has come."""
        if not self.answer.done():
            self.answer.set_result(reply)

    def fail(self, error: ServiceError) -> None:
        """No answer will come."""
        if not self.answer.done():
            self.answer.set_exception(error)
            # Whoever waited may be gone already.
            self.answer.exception()
