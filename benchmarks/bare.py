"""The reference shape of `load.py` on the barest Python: uvloop, one class, no limits, no states, no second version.

What it costs is what a server in Python cannot go below; it shows how much of a ratio to the C floor is the language.
"""

import asyncio
import base64
import hashlib
import sys
from typing import Any, cast

import msgspec
import uvloop
from websockets.speedups import apply_mask

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

decode = msgspec.json.Decoder(tuple[Any, Any, str, str, msgspec.Raw]).decode
encode = msgspec.json.Encoder().encode
rooms: dict[str, list[asyncio.Transport]] = {}


def framed(body: bytes) -> bytes:
    size = len(body)
    head = bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
    return head + body


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.open = False
        self.rest = b""
        self.topics: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self.open:
            self.shake_hands(data)
            return
        data, at, out = self.rest + data, 0, list[bytes]()
        while len(data) >= at + 6:
            size, start = data[at + 1] & 127, at + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            at, begin = start + 4 + size, at
            if len(data) < at:
                at = begin
                break
            if data[begin] & 15 == 1:
                self.take(apply_mask(data[start + 4 : at], data[start : start + 4]), out)
        self.rest = data[at:]
        if out:
            self.transport.write(b"".join(out))

    def take(self, body: bytes, out: list[bytes]) -> None:
        join_ref, ref, topic, event, payload = decode(body)
        if event == "broadcast":
            frame = framed(encode([None, None, topic, "message", payload]))
            for member in rooms[topic]:
                member.write(frame)
            return
        if event == "phx_join":
            rooms.setdefault(topic, []).append(self.transport)
            self.topics.append(topic)
        response = encode([join_ref, ref, topic, "phx_reply", {"status": "ok", "response": payload}])
        out.append(framed(response))

    def connection_lost(self, exc: Exception | None) -> None:
        for topic in self.topics:
            rooms[topic].remove(self.transport)

    def shake_hands(self, data: bytes) -> None:
        key = next(
            line.split(b":")[1].strip() for line in data.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
        head = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        )
        self.open = True
        self.transport.write(head + accept + b"\r\n\r\n")


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=2048)
    sys.stdout.write(f"listening on {server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
