"""The server under test: what a check is given to ask."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import count
from typing import Any, Self
from urllib.parse import quote, urlencode

from antiphon.testing.conformance.guest import Guest, insist
from antiphon.testing.conformance.poller import Poller
from antiphon.testing.conformance.raw import HttpAnswer, RawSocket, RoomAddress, request

Query = str | Mapping[str, str]


class Room:
    """One check's view of the room. What it opened is closed with it; topics and names are used by nobody else,
    as long as no other room has the same `mark`."""

    def __init__(self, address: RoomAddress, patience: float, mark: str) -> None:
        self.address = address
        self.patience = patience
        self.transcript: list[str] = []
        self._mark = mark
        self._names = count(1)
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()
        await asyncio.sleep(0)

    def unique(self, prefix: str = "room:") -> str:
        """A topic, or with another prefix a name, that is used here alone."""
        return f"{prefix}{self._mark}-{next(self._names)}"

    async def upgrade(
        self, query: Query = "vsn=2.0.0", *, path: str = "/websocket", headers: Mapping[str, str] | None = None
    ) -> RawSocket:
        """Asks for a WebSocket and says what came of it."""
        target = self.address.mount + path + _query(query)
        self.transcript.append(f"-> GET {target} (upgrade)")
        socket = await RawSocket.open(self.address, target, headers or {})
        self._opened.callback(socket.abort)
        self.transcript.append(f"<- {socket.answer.status} {socket.answer.body[:200]!r}")
        return socket

    async def connect(self, vsn: str = "2.0.0", **params: str) -> Guest:
        """A guest that was let in."""
        socket = await self.upgrade({"vsn": vsn, **params})
        insist(socket.accepted, "101 with the right Sec-WebSocket-Accept", socket.answer)
        return self.guest(socket, vsn)

    def guest(self, socket: RawSocket, vsn: str = "2.0.0") -> Guest:
        """Speaks through a socket that is open."""
        return Guest(socket, vsn, self.patience, self.transcript)

    async def member(self, topic: str, payload: Any = None, vsn: str = "2.0.0", **params: str) -> Guest:
        """A guest that has joined the topic."""
        guest = await self.connect(vsn, **params)
        await guest.join(topic, payload)
        return guest

    async def ask(
        self,
        method: str,
        path: str,
        query: Query = "",
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> HttpAnswer:
        """Plain HTTP, below the mount."""
        target = self.address.mount + path + _query(query)
        self.transcript.append(f"-> {method} {target} {body[:200].decode(errors='replace')}")
        answer = await request(self.address, method, target, headers, body)
        self.transcript.append(f"<- {answer.status} {answer.body[:400].decode(errors='replace')}")
        return answer

    async def poll(self, vsn: str = "2.0.0", **params: str) -> Poller:
        """A long-poll session."""
        poller = Poller(self.ask, {**params, "vsn": vsn})
        await poller.open()
        return poller


def _query(query: Query) -> str:
    text = query if isinstance(query, str) else urlencode(query, quote_via=quote)
    return f"?{text}" if text else ""
