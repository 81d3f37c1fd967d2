"""One client in the reference room: it says frames, and looks at what comes back."""

import asyncio
from itertools import count
from typing import Any

import msgspec

from antiphon.testing.conformance.raw import BINARY, CLOSE, PING, PONG, TEXT, RawSocket

ANY: Any = ...
"""Stands for whatever comes."""


class Mismatch(Exception):  # noqa: N818 - a finding about the server, not an error of ours
    """The server did something else than the rule says."""

    def __init__(self, expected: str, received: str) -> None:
        super().__init__(f"expected {expected}, received {received}")
        self.expected = expected
        self.received = received


def insist(truth: object, expected: str, received: object) -> None:
    """Fails the check unless `truth`."""
    if not truth:
        raise Mismatch(expected, shown(received))


class Heard(msgspec.Struct, frozen=True):
    """A frame from the server; the payload of a binary one is bytes, and its absent fields are empty texts."""

    join_ref: Any
    ref: Any
    topic: Any
    event: Any
    payload: Any
    raw: bytes = b""

    @property
    def status(self) -> Any:
        """The status of a reply."""
        return self.payload.get("status") if isinstance(self.payload, dict) else None

    @property
    def response(self) -> Any:
        """The response of a reply."""
        return self.payload.get("response") if isinstance(self.payload, dict) else None


class Guest:
    """A WebSocket that speaks one version of the protocol. Whatever it says and hears is kept for the report."""

    def __init__(self, socket: RawSocket, vsn: str, patience: float, transcript: list[str]) -> None:
        self.socket = socket
        self._version = 1 if vsn.startswith("1") else 2
        self._patience = patience
        self._transcript = transcript
        self._refs = count(1)
        self.pings = 0
        """How many pings the server has sent."""

    # Saying

    def send(self, join_ref: Any, ref: Any, topic: Any, event: Any, payload: Any) -> None:
        """One frame as JSON; bytes as payload make it a binary one."""
        if isinstance(payload, bytes):
            return self.send_binary(pushed_bytes(join_ref or "", ref or "", topic, event, payload))
        if self._version == 2:
            return self.send_text(written([join_ref, ref, topic, event, payload]))
        said = {"topic": topic, "event": event, "payload": payload, "ref": ref}
        return self.send_text(written(said if join_ref is None else {**said, "join_ref": join_ref}))

    def send_text(self, text: str | bytes) -> None:
        """Any text, a frame or not."""
        data = text.encode() if isinstance(text, str) else text
        self._note("->", data)
        self.socket.send(TEXT, data)

    def send_binary(self, data: bytes) -> None:
        """Any binary message."""
        self._note("->", data.hex(" "))
        self.socket.send(BINARY, data)

    def new_ref(self) -> str:
        """A ref that was not used on this socket."""
        return str(next(self._refs))

    # Hearing

    async def hear(self) -> Heard:
        """The next frame."""
        while True:
            opcode, payload = await self.receive()
            if opcode == CLOSE:
                raise Mismatch("a frame", f"the end of the connection ({_code(payload)})")
            if opcode in {TEXT, BINARY}:
                return self._heard(opcode, payload)

    async def expect(self, join_ref: Any, ref: Any, topic: Any, event: Any, payload: Any = ANY) -> Heard:
        """The next frame, which has to be this one."""
        heard = await self.hear()
        said = (heard.join_ref, heard.ref, heard.topic, heard.event, heard.payload)
        wanted = (join_ref, ref, topic, event, payload)
        fits = all(want is ANY or alike(want, had) for want, had in zip(wanted, said, strict=True))
        insist(fits, shown(wanted), said)
        return heard

    async def until(self, event: str) -> Heard:
        """The next frame of that event; others in front of it are passed over."""
        while (heard := await self.hear()).event != event:
            pass
        return heard

    async def receive(self) -> tuple[int, bytes]:
        """The next message as it is, with its opcode: also pings, pongs and the close."""
        try:
            async with asyncio.timeout(self._patience):
                opcode, payload = await self.socket.receive()
        except TimeoutError:
            raise Mismatch("something", f"nothing in {self._patience:g} s") from None
        if opcode == CLOSE:
            self._note("<-", f"close {_code(payload)}")
        elif opcode == PING:
            self.pings += 1
            self.socket.send(PONG, payload)
        elif opcode != PONG:
            self._note("<-", payload.hex(" ") if opcode == BINARY else payload)
        return opcode, payload

    async def closed(self) -> int | None:
        """With which code the server ends the connection, None where it says none; frames before that are skipped."""
        try:
            while True:
                opcode, payload = await self.receive()
                if opcode == CLOSE:
                    self.socket.send(CLOSE, payload[:2])
                    return _code(payload)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def quiet(self, topic: str) -> None:
        """Nothing has come for `topic` up to here: an answer that is asked for now is the next frame."""
        ref = self.new_ref()
        self.send(None, ref, topic, "echo", {"quiet": ref})
        heard = await self.hear()
        insist(heard.event == "phx_reply" and heard.response == {"quiet": ref}, "nothing", heard)

    async def silent(self, seconds: float = 0.25) -> None:
        """Nothing comes for a while: for what no answer can follow."""
        try:
            async with asyncio.timeout(seconds):
                heard = await self.hear()
        except TimeoutError:
            return
        raise Mismatch("nothing", shown(heard))

    # Both

    async def join(self, topic: str, payload: Any = None, *, join_ref: Any = ANY) -> Any:
        """Joins and returns the join_ref; the join has to be let in."""
        ref = self.new_ref()
        join_ref = ref if join_ref is ANY else join_ref
        self.send(join_ref, ref, topic, "phx_join", {} if payload is None else payload)
        heard = await self.hear()
        insist(heard.event == "phx_reply" and heard.status == "ok", "an ok reply to the join", heard)
        return join_ref

    async def call(self, topic: str, event: str, payload: Any = None) -> Heard:
        """Pushes and returns the reply, which is the next reply that comes."""
        self.send(None, self.new_ref(), topic, event, {} if payload is None else payload)
        return await self.until("phx_reply")

    async def alive(self) -> None:
        """The socket still answers heartbeats."""
        ref = self.new_ref()
        self.send(None, ref, "phoenix", "heartbeat", {})
        while True:
            heard = await self.hear()
            if heard.topic == "phoenix" and heard.ref == ref:
                return

    def _heard(self, opcode: int, payload: bytes) -> Heard:
        if opcode == BINARY:
            return read_binary(payload)
        try:
            value = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Mismatch("JSON", repr(payload[:80])) from None
        if self._version == 1 and isinstance(value, dict):
            get = value.get
            return Heard(get("join_ref"), get("ref"), get("topic"), get("event"), get("payload"), payload)
        if self._version == 2 and isinstance(value, list) and len(value) == 5:
            join_ref, ref, topic, event, said = value
            return Heard(join_ref, ref, topic, event, said, payload)
        raise Mismatch(f"a frame of version {self._version}", shown(value))

    def _note(self, arrow: str, said: str | bytes) -> None:
        text = said if isinstance(said, str) else said[:400].decode(errors="replace")
        self._transcript.append(f"{arrow} {text[:400]}")


def pushed_bytes(join_ref: str, ref: str, topic: str, event: str, data: bytes) -> bytes:
    """A binary push of a client (BN-1)."""
    fields = [text.encode() for text in (join_ref, ref, topic, event)]
    return bytes([0, *map(len, fields)]) + b"".join(fields) + data


def read_binary(message: bytes) -> Heard:
    """A binary frame of the server (BN-2 to BN-4); of a reply the event is `phx_reply` and the status stands in it."""
    kind = message[0] if message else -1
    names = {0: 3, 1: 4, 2: 2}.get(kind)
    if names is None or len(message) < 1 + names:
        raise Mismatch("a binary frame of kind 0, 1 or 2", message[:40].hex(" "))
    fields, at = [], 1 + names
    for size in message[1 : 1 + names]:
        fields.append(message[at : at + size].decode(errors="replace"))
        at += size
    data = message[at:]
    if kind == 0:
        return Heard(fields[0], None, fields[1], fields[2], data, message)
    if kind == 1:
        reply = {"status": fields[3], "response": data}
        return Heard(fields[0], fields[1], fields[2], "phx_reply", reply, message)
    return Heard(None, None, fields[0], fields[1], data, message)


def written(value: Any) -> str:
    """Compact JSON."""
    return msgspec.json.encode(value).decode()


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; `1`, `1.0`, `true` and `"1"` are not."""
    if isinstance(one, bytes) or isinstance(other, bytes):
        return type(one) is type(other) and bool(one == other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return type(one) is type(other) and bool(one == other)


def shown(value: Any) -> str:
    """What a report says of a value."""
    if isinstance(value, str):
        return value
    if isinstance(value, Heard):
        value = (value.join_ref, value.ref, value.topic, value.event, value.payload)
    text = repr(value).replace("Ellipsis", "…")
    return text if len(text) <= 400 else text[:400] + "…"


def _code(payload: bytes) -> int | None:
    return int.from_bytes(payload[:2], "big") if len(payload) >= 2 else None
