"""ER, DC and LM: crashes, bad input, disconnects and limits."""

from antiphon.testing.conformance.checks.text import ends
from antiphon.testing.conformance.guest import Guest, insist
from antiphon.testing.conformance.raw import CLOSE, CONTINUATION, PING, TEXT, frame
from antiphon.testing.conformance.registry import check
from antiphon.testing.conformance.room import Room

HEARTBEAT = b'[null,"1","phoenix","heartbeat",{}]'
_DEEP, _LARGE = 50_000, 10_100_000


@check("ER-1")
async def a_crash(room: Room) -> None:
    guest, topic, other = await room.connect(), room.unique(), room.unique()
    await guest.join(other)
    await guest.join(topic, join_ref="j")
    guest.send("j", None, topic, "push", {"before": True})
    guest.send("j", None, topic, "crash", {})
    insist((await guest.hear()).event == "pushed", "what it pushed before", "something else")
    heard = await guest.hear()
    insist((heard.join_ref, heard.event) == ("j", "phx_error"), "phx_error with its join_ref", heard)
    await guest.quiet(other)
    await guest.join(topic)


@check("ER-3")
async def no_reply_to_a_crash(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    guest.send(None, "5", topic, "crash", {})
    await guest.until("phx_error")
    await guest.silent()


@check("ER-6")
async def bad_input(room: Room) -> None:
    for bad in ("no JSON", "", "{", "5", "[]", "[1,2,3]", '["1","1","room:x","phx_join",{}'):
        guest = await room.connect()
        guest.send_text(bad)
        await ends(guest)


@check("ER-7", "ours")
async def a_deep_frame(room: Room) -> None:
    neighbour, topic = await room.connect(), room.unique()
    await neighbour.join(topic)
    for bomb in ("[" * _DEEP + "]" * _DEEP, '{"a":' * _DEEP + "1" + "}" * _DEEP):
        guest = await room.connect()
        guest.send_text(f'[null,"1","phoenix","heartbeat",{bomb}]')
        await ends(guest)
    await neighbour.quiet(topic)


@check("ER-8", "ours")
async def a_topic_that_is_no_text(room: Room) -> None:
    for topic, event in ((5, "echo"), (None, "echo"), ({}, "phx_join"), (room.unique(), 7)):
        guest = await room.connect()
        guest.send("1", "1", topic, event, {})
        await ends(guest)


async def _two_of(room: Room, user: str, topic: str) -> list[Guest]:
    return [await room.member(topic, user_id=user) for _ in range(2)]


@check("DC-1", part="presence")
async def a_lost_connection(room: Room) -> None:
    topic = room.unique()
    watcher, guest = await room.member(topic), await room.member(topic, {"presence": "ann"})
    await watcher.until("presence_diff")
    guest.socket.close()
    heard = await watcher.until("presence_diff")
    insist("ann" in heard.payload.get("leaves", {}), "ann among the leaves", heard)
    await watcher.quiet(topic)


@check("DC-2")
async def disconnected(room: Room) -> None:
    topic, user = room.unique(), room.unique("user-")
    sockets, other = await _two_of(room, user, topic), await room.member(topic)
    other.send(None, None, topic, "disconnect", {"user_id": user})
    for socket in sockets:
        opcode, payload = await socket.receive()
        insist(opcode == CLOSE, "the end, without a frame for the channel", payload)
        code = int.from_bytes(payload[:2], "big")
        insist(code == 1001, "close 1001", code)
    await other.quiet(topic)


@check("DC-4")
async def free_to_come_back(room: Room) -> None:
    topic, user = room.unique(), room.unique("user-")
    guest = await room.member(topic, user_id=user)
    guest.send(None, None, topic, "disconnect", {"user_id": user})
    await guest.closed()
    again = await room.member(topic, user_id=user)
    await again.quiet(topic)


@check("DC-7")
async def broken_frames(room: Room) -> None:
    broken = {
        "an unknown opcode": frame(0x3, b""),
        "a reserved bit": frame(TEXT, HEARTBEAT, first=0xC1),
        "no mask": frame(TEXT, HEARTBEAT, masked=False),
        "a continuation of nothing": frame(CONTINUATION, b"x"),
        "a ping in pieces": frame(PING, b"x", first=PING),
        "a long ping": frame(PING, b"x" * 126),
    }
    for what, data in broken.items():
        guest = await room.connect()
        guest.socket.send_bytes(data)
        code = await guest.closed()
        insist(code == 1002, f"close 1002 for {what}", code)
    await _answered(room, 1000, 1000)


async def _answered(room: Room, said: int, expected: int) -> None:
    guest = await room.connect()
    guest.socket.send(CLOSE, said.to_bytes(2, "big") + b"bye")
    code = await guest.closed()
    insist(code == expected, f"{said} answered with {expected}", code)


@check("DC-8")
async def codes_that_are_none(room: Room) -> None:
    for code in (999, 1004, 1005, 1006, 1015, 2000):
        await _answered(room, code, 1002)
    for code in (1001, 1011, 3000, 4999):
        await _answered(room, code, 1000)


@check("LM-1", "ours")
async def a_large_message(room: Room) -> None:
    guest = await room.connect()
    guest.send_text(f'[null,"1","phoenix","heartbeat","{"x" * _LARGE}"]')
    code = await guest.closed()
    insist(code == 1009, "close 1009", code)


@check("LM-2", part="long-poll")
async def a_large_body(room: Room) -> None:
    poller = await room.poll()
    answer = await poller.post(b"[" + b"x" * _LARGE)
    insist(answer.status in {400, 413}, "HTTP 400", answer)
