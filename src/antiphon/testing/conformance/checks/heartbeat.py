"""HB: heartbeats, pings, and sockets that say nothing."""

import asyncio
import time

from antiphon.testing.conformance.guest import insist
from antiphon.testing.conformance.raw import CLOSE, PING, PONG
from antiphon.testing.conformance.registry import check
from antiphon.testing.conformance.room import Room

OK = {"status": "ok", "response": {}}
_IDLE = 60.0


@check("HB-1")
async def a_heartbeat(room: Room) -> None:
    guest = await room.connect()
    for join_ref, payload in ((None, {}), ("x", {"any": 1}), (None, None)):
        guest.send(join_ref, "6", "phoenix", "heartbeat", payload)
        await guest.expect(None, "6", "phoenix", "phx_reply", OK)


@check("HB-2")
async def a_heartbeat_without_a_ref(room: Room) -> None:
    guest = await room.connect()
    guest.send(None, None, "phoenix", "heartbeat", {})
    await guest.expect(None, None, "phoenix", "phx_reply", OK)


@check("HB-3")
async def another_event_of_that_topic(room: Room) -> None:
    guest = await room.connect()
    for event in ("hello", "phx_join"):
        guest.send(None, "4", "phoenix", event, {})
        heard = await guest.hear()
        insist(heard.status == "error" and heard.response == {"reason": "unmatched topic"}, "unmatched topic", heard)


@check("HB-4", slow=True)
async def a_ping_keeps_a_socket(room: Room) -> None:
    guest = await room.connect()
    for _ in range(3):
        await asyncio.sleep(_IDLE / 2)
        guest.socket.send(PING, b"")
    await guest.alive()


@check("HB-5")
async def pings(room: Room) -> None:
    guest = await room.connect()
    for payload in (b"", b"12345", b"x" * 125):
        guest.socket.send(PING, payload)
        opcode, answer = await guest.receive()
        insist((opcode, answer) == (PONG, payload), "a pong with the ping's payload", (opcode, answer))
    guest.socket.send(PONG, b"unasked")
    await guest.alive()
    insist(guest.pings == 0, "no pings", guest.pings)


@check("HB-6", slow=True)
async def a_silent_socket(room: Room) -> None:
    guest = await room.connect()
    begun = time.monotonic()
    async with asyncio.timeout(_IDLE + 40):
        while (heard := await guest.socket.receive())[0] != CLOSE:
            pass
    code, took = int.from_bytes(heard[1][:2], "big"), time.monotonic() - begun
    insist(code != 1000 and took >= _IDLE - 5, "a close after 60 s, not with 1000", f"{code} after {took:.0f} s")
