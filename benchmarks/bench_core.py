"""What our own code costs, the kernel left out: prepared bytes into the protocol class, its output into the void.

In one process and without a socket, so the figures hold still where those of `bench_sockets.py` do not: this is what
to look at when something is made faster.
"""

import asyncio
import gc
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
from websockets.speedups import apply_mask

from antiphon.realtime.transports.websocket import WebSocketProtocol
from benchmarks.measuring import Case, awaiting, fast_loop, spinning
from benchmarks.rooms import house

UNIT = "µs of CPU a message, delivery or connection"
REFERENCE = "unmask, decode and encode alone"
ROUNDS = 7

MEMBERS = 1_000
_MASK = bytes.fromhex("37fa213d")
_UPGRADE = (
    b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: 127.0.0.1:4000\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Void(asyncio.Transport):
    """Takes everything at once and forgets it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def writelines(self, list_of_data: Any) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


def framed(message: str) -> bytes:
    """As a client sends it."""
    body = message.encode()
    size = bytes((0x80 | len(body),)) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2, "big")
    return b"\x81" + size + _MASK + apply_mask(body, _MASK)


def pushed(topic: str, event: str, size: int) -> bytes:
    return framed(f'["1","12345","{topic}","{event}",{{"text":"{"x" * (size - 11)}"}}]')


class House:
    """An application without a server, and the connections made to it."""

    def __init__(self) -> None:
        self.app = house()
        self._protocol = self.app.protocol_class()
        self._state = SimpleNamespace(connections=set())

    def connect(self) -> WebSocketProtocol:
        connection = self._protocol(server_state=self._state)
        connection.connection_made(Void({"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 4000)}))
        connection.data_received(_UPGRADE)
        return connection

    def join(self, topic: str) -> WebSocketProtocol:
        connection = self.connect()
        connection.data_received(framed(f'["1","1","{topic}","phx_join",{{}}]'))
        return connection


async def echoed(connection: WebSocketProtocol, chunk: bytes, chunks: int, frames: int) -> int:
    """Outside of any task, as a loop calls a protocol."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def receive() -> None:
        for _ in range(chunks):
            connection.data_received(chunk)
        done.set_result(None)

    loop.call_soon(receive)
    await done
    return chunks * frames


async def fanned_out(connection: WebSocketProtocol, chunk: bytes, chunks: int, frames: int) -> int:
    """Every chunk's broadcasts leave in a tick of their own."""
    for _ in range(chunks):
        connection.data_received(chunk)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return chunks * frames * MEMBERS


async def came_and_went(house: House, count: int) -> int:
    for number in range(count):
        house.join(f"room:{number}").connection_lost(None)
    return count


def alone() -> None:
    """The least that an echo needs, whoever does it."""
    frame = _decode(apply_mask(_BODY, _MASK))
    b"\x81\x7e\x00\xc0" + _encode((frame[0], frame[1], frame[2], "phx_reply", {"status": "ok", "response": frame[4]}))


_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_BODY = pushed("room:lobby", "echo", 128)[8:]


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    count = max(20, round(20_000 * scale))
    with fast_loop() as runner:

        async def begin() -> tuple[House, WebSocketProtocol, WebSocketProtocol]:
            echoing, crowded = House(), House()
            speaker, *_ = (crowded.join("room:lobby") for _ in range(MEMBERS))
            gc.freeze()
            return echoing, echoing.join("room:lobby"), speaker

        house, one, speaker = runner.run(begin())
        echo, said = pushed("room:lobby", "echo", 128), pushed("room:lobby", "broadcast", 200)

        def measured(work: Any, *arguments: Any) -> Case:
            def again() -> Coroutine[Any, Any, int]:
                return work(*arguments)  # type: ignore[no-any-return]

            return awaiting(runner, again)

        yield {
            "echo, 1 in a chunk": measured(echoed, one, echo, count, 1),
            "echo, 4 in a chunk": measured(echoed, one, echo * 4, count // 4, 4),
            REFERENCE: spinning(alone, 0.2 * scale),
            "1,000 members, 1 a tick": measured(fanned_out, speaker, said, count // 50 + 1, 1),
            "1,000 members, 4 a tick": measured(fanned_out, speaker, said * 4, count // 50 + 1, 4),
            "connect, join and leave": measured(came_and_went, house, count // 10),
        }
        gc.unfreeze()
