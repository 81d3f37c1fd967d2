"""What a test says of a channel that its client has joined."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal
from unittest.mock import ANY

from antiphon.realtime.client.frames import ClientReply, ServerFrame
from antiphon.realtime.wire.base import CLOSE, ERROR, LEAVE, REPLY

Kind = Literal["push", "broadcast"]
Say = Callable[[str, str, str, Any], str]


class JoinedChannel:
    """One topic joined on one socket. What comes is kept until an assertion takes it, in any order.

    An expected payload is compared with `==`, so that `unittest.mock.ANY` fits anything, or is a function that says
    whether a payload fits. `response` is what the join answered, `ended` is None, `closed` (in order), `crashed` or
    `lost` (the socket is gone).
    """

    def __init__(self, topic: str, number: int, say: Say, timeout: float) -> None:
        self.topic = topic
        self.join_ref = str(number)
        self.response: Any = None
        self.ended: Literal["closed", "crashed", "lost"] | None = None
        self._say = say
        self._timeout = timeout
        self._replies: dict[str | None, list[ClientReply]] = {}
        self._heard: list[tuple[Kind, str, Any]] = []
        self._changed = asyncio.Event()

    # Saying

    def push(self, event: str, payload: Any = None) -> str:
        """Sends a message, an object or bytes, and returns the ref for `assert_reply`."""
        return self._say(self.join_ref, self.topic, event, {} if payload is None else payload)

    async def leave(self) -> None:
        """Leaves, and returns when the server has closed the channel."""
        await self.reply_to(self.push(LEAVE))
        await self.assert_end("closed")

    # Asserting

    async def assert_reply(self, ref: str, status: str = "ok", response: Any = ANY) -> Any:
        """The push is answered so, within the time limit. Returns the response."""
        reply = await self.reply_to(ref)
        if reply.status != status or not _fits(response, reply.response):
            raise AssertionError(f"expected the reply {status} {response!r}, got {reply.status} {reply.response!r}")
        return reply.response

    async def assert_push(self, event: str, payload: Any = ANY) -> Any:
        """The server pushes this to this client alone. Takes and returns the payload."""
        return await self._assert("push", event, payload)

    async def assert_broadcast(self, event: str, payload: Any = ANY) -> Any:
        """The server broadcasts this on the topic. Takes and returns the payload."""
        return await self._assert("broadcast", event, payload)

    async def assert_end(self, how: Literal["closed", "crashed", "lost"]) -> None:
        """The channel ends so."""
        await self._wait(lambda: self.ended is not None, f"the channel to be {how}")
        if self.ended != how:
            raise AssertionError(f"expected the channel to be {how}, but it is {self.ended}")

    async def refute_push(self, event: str, payload: Any = ANY, *, within: float = 0.05) -> None:
        """Nothing of the kind is pushed for a while, nor has been."""
        await self._refute("push", event, payload, within)

    async def refute_broadcast(self, event: str, payload: Any = ANY, *, within: float = 0.05) -> None:
        """Nothing of the kind is broadcast for a while, nor has been."""
        await self._refute("broadcast", event, payload, within)

    async def reply_to(self, ref: str) -> ClientReply:
        """The next reply to a push, whatever it is."""
        await self._wait(lambda: bool(self._replies.get(ref)), f"a reply to the push {ref}")
        return self._replies[ref].pop(0)

    # For the socket

    def hear(self, frame: ServerFrame, *, broadcast: bool) -> None:
        """Takes what has come for this channel."""
        if frame.event == REPLY:
            self._replies.setdefault(frame.ref, []).append(frame.payload)
        elif frame.event in {CLOSE, ERROR}:
            self.ended = "closed" if frame.event == CLOSE else "crashed"
        else:
            self._heard.append(("broadcast" if broadcast else "push", frame.event, frame.payload))
        self._changed.set()

    def lost(self) -> None:
        """The socket is gone."""
        self.ended = self.ended or "lost"
        self._changed.set()

    # How

    async def _assert(self, kind: Kind, event: str, payload: Any) -> Any:
        await self._wait(lambda: self._find(kind, event, payload) is not None, f"the {kind} {event} {payload!r}")
        at = self._find(kind, event, payload)
        return None if at is None else self._heard.pop(at)[2]

    async def _refute(self, kind: Kind, event: str, payload: Any, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._until(lambda: self._find(kind, event, payload) is not None)
        except TimeoutError:
            return
        raise AssertionError(f"expected no {kind} {event} {payload!r}, but there is one: {self._account()}")

    def _find(self, kind: Kind, event: str, payload: Any) -> int | None:
        for number, (had, name, value) in enumerate(self._heard):
            if (had, name) == (kind, event) and _fits(payload, value):
                return number
        return None

    async def _wait(self, there: Callable[[], bool], expected: str) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._until(there)
        except TimeoutError:
            raise AssertionError(f"expected {expected}, but there is {self._account()}") from None

    async def _until(self, there: Callable[[], bool]) -> None:
        while not there():
            self._changed.clear()
            await self._changed.wait()

    def _account(self) -> str:
        heard = [f"the {kind} {event} {payload!r}" for kind, event, payload in self._heard]
        answers = [
            f"the reply {each.status} {each.response!r} to {ref}"
            for ref, some in self._replies.items()
            for each in some
        ]
        return "; ".join([*heard, *answers, *([f"the channel is {self.ended}"] if self.ended else [])]) or "nothing"


def _fits(expected: Any, had: Any) -> bool:
    return bool(expected(had)) if callable(expected) else bool(expected == had)
