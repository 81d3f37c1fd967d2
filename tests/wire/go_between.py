"""Stands between a client and a sound room and changes one thing: to the client it is a room with one flaw.

A flaw sees requests, answers and WebSocket frames of one connection, and knows nothing of the server behind it.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

import msgspec

from antiphon.testing.conformance.raw import BINARY, TEXT, HttpAnswer, RoomAddress, frame, parsed, read_frame, request


class Asked(msgspec.Struct):
    """A request on its way to the room."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def upgrade(self) -> bool:
        return "upgrade" in self.headers

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(name, value) for name, _, value in (pair.partition("=") for pair in self.query.split("&"))]


class Seen(msgspec.Struct):
    """A WebSocket frame on its way: its first byte, whether it was masked, and its payload without the mask."""

    first: int
    masked: bool
    payload: bytes

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @property
    def value(self) -> Any:
        """The JSON of a text frame, None for anything else."""
        try:
            return json.loads(self.payload) if self.opcode == TEXT else None
        except (ValueError, RecursionError):
            return None

    def with_value(self, value: Any) -> "Seen":
        return Seen(self.first, self.masked, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    def packed(self) -> bytes:
        return frame(self.opcode, self.payload, first=self.first, masked=self.masked)


Way = Iterable[Seen]


class Flaw:
    """Changes nothing. A subclass names the rule it breaks, and overrides the way that it breaks it on."""

    rule: ClassVar[str] = ""

    def __init__(self, shared: defaultdict[str, Any], send: Callable[[str, Seen], None]) -> None:
        self.shared = shared
        """What all connections of one room know."""
        self._send = send

    def asked(self, asked: Asked) -> Asked | HttpAnswer:
        """A request, or the answer to it in place of the room's."""
        return asked

    def answered(self, asked: Asked, answer: HttpAnswer) -> HttpAnswer:
        return answer

    def said(self, seen: Seen) -> Way:
        """From the client: by default what `said_list` makes of a version 2 frame."""
        return self._each(seen, self.said_list, self.said_bytes)

    def told(self, seen: Seen) -> Way:
        """From the server."""
        return self._each(seen, self.told_list, self.told_bytes)

    def said_list(self, said: list[Any]) -> list[list[Any]]:
        return [said]

    def told_list(self, told: list[Any]) -> list[list[Any]]:
        return [told]

    def said_bytes(self, data: bytes) -> bytes | None:
        return data

    def told_bytes(self, data: bytes) -> bytes | None:
        return data

    def say(self, value: Any) -> None:
        """Says something to the server by itself."""
        self._send("server", Seen(0x80 | TEXT, True, b"").with_value(value))

    def tell(self, value: Any) -> None:
        """Tells the client something by itself."""
        self._send("client", Seen(0x80 | TEXT, False, b"").with_value(value))

    def _each(
        self, seen: Seen, lists: Callable[[list[Any]], list[list[Any]]], data: Callable[[bytes], bytes | None]
    ) -> Way:
        if seen.opcode == BINARY:
            changed = data(seen.payload)
            return [] if changed is None else [Seen(seen.first, seen.masked, changed)]
        value = seen.value
        if not isinstance(value, list) or len(value) != 5:
            return [seen]
        before = json.dumps(value)
        return [seen if json.dumps(each) == before else seen.with_value(each) for each in lists(value)]


@asynccontextmanager
async def go_between(room: RoomAddress, flaw: type[Flaw]) -> AsyncIterator[RoomAddress]:
    """Where the room with the flaw is, until the block ends."""
    shared: defaultdict[str, Any] = defaultdict(dict)
    running: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            # asyncio would complain about a task of a server that was cancelled.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await _Visit(room, flaw, shared, reader, writer).run()
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**24)
    try:
        yield RoomAddress("127.0.0.1", server.sockets[0].getsockname()[1], tls=False, mount=room.mount)
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


class _Visit:
    """One connection of a client."""

    def __init__(
        self,
        room: RoomAddress,
        flaw: type[Flaw],
        shared: defaultdict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._room = room
        self._flaw = flaw(shared, self._send)
        self._reader = reader
        self._writer = writer
        self._server: asyncio.StreamWriter

    async def run(self) -> None:
        asked = await self._request()
        changed = self._flaw.asked(asked)
        if isinstance(changed, HttpAnswer):
            self._answer(self._flaw.answered(asked, changed))
        elif changed.upgrade:
            await self._upgrade(changed)
        else:
            target = f"{changed.path}?{changed.query}"
            answer = await request(self._room, changed.method, target, changed.headers, changed.body)
            self._answer(self._flaw.answered(asked, answer))
        await self._writer.drain()

    async def _request(self) -> Asked:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
        body = await self._reader.readexactly(int(headers.pop("content-length", 0)))
        path, _, query = target.partition("?")
        headers["host"] = self._room.authority
        return Asked(method, path, query, headers, body)

    def _answer(self, answer: HttpAnswer) -> None:
        kept = {name: value for name, value in answer.headers.items() if name != "transfer-encoding"}
        if answer.status != 101:
            kept["content-length"] = str(len(answer.body))
        lines = [f"HTTP/1.1 {answer.status} -", *(f"{name}: {value}" for name, value in kept.items())]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + answer.body)

    async def _upgrade(self, asked: Asked) -> None:
        reader, self._server = await asyncio.open_connection(self._room.host, self._room.port, limit=2**24)
        try:
            own = {name: value for name, value in asked.headers.items() if name != "host"}
            self._server.write(self._room.head("GET", f"{asked.path}?{asked.query}", own))
            head = await reader.readuntil(b"\r\n\r\n")
            upgraded = b" 101 " in head[:13]
            answer = parsed(head if upgraded else head + await reader.read(-1))
            self._answer(self._flaw.answered(asked, answer))
            if upgraded:
                await self._converse(reader)
        finally:
            self._server.close()

    async def _converse(self, server: asyncio.StreamReader) -> None:
        ways = (self._pump(self._reader, self._flaw.said, "server"), self._pump(server, self._flaw.told, "client"))
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, change: Callable[[Seen], Way], to: str) -> None:
        while True:
            seen = Seen(*await read_frame(reader))
            for changed in change(seen):
                self._send(to, changed)
            await (self._server if to == "server" else self._writer).drain()

    def _send(self, to: str, seen: Seen) -> None:
        (self._server if to == "server" else self._writer).write(seen.packed())
