"""BN: frames of bytes, in version 2."""

from antiphon.testing.conformance.checks.text import ends
from antiphon.testing.conformance.guest import insist, pushed_bytes
from antiphon.testing.conformance.raw import BINARY
from antiphon.testing.conformance.registry import check
from antiphon.testing.conformance.room import Room

DATA = b"\x01\x02\xff"


def _sized(*texts: str) -> bytes:
    return bytes(len(text.encode()) for text in texts) + "".join(texts).encode()


async def _next_binary(room: Room, topic: str, join_ref: str, event: str, payload: object) -> bytes:
    guest = await room.connect()
    await guest.join(topic, join_ref=join_ref)
    guest.send(join_ref, "7", topic, event, payload)
    opcode, data = await guest.receive()
    insist(opcode == BINARY, "a binary message", data)
    return data


def _is(data: bytes, wanted: bytes) -> None:
    insist(data == wanted, wanted.hex(" "), data.hex(" "))


@check("BN-1")
async def a_push_of_bytes(room: Room) -> None:
    guest, topic = await room.connect(), room.unique("room:café-")
    await guest.join(topic, join_ref="3")
    guest.send_binary(b"\0" + bytes([1, 2, len(topic.encode()), 4]) + b"3" + b"42" + topic.encode() + b"echo" + DATA)
    heard = await guest.hear()
    insist(heard.ref == "42" and heard.response == DATA, "the bytes back, for ref 42", heard)


@check("BN-2")
async def a_push_of_the_server(room: Room) -> None:
    topic = room.unique()
    _is(await _next_binary(room, topic, "3", "bytes", {"n": 4}), b"\0" + _sized("3", topic, "bytes") + b"\0\1\2\3")


@check("BN-3")
async def a_binary_reply(room: Room) -> None:
    topic = room.unique()
    _is(await _next_binary(room, topic, "3", "error", DATA), b"\1" + _sized("3", "7", topic, "error") + DATA)


@check("BN-4")
async def a_binary_broadcast(room: Room) -> None:
    topic = room.unique()
    wanted = b"\2" + _sized(topic, "bytes") + b"\0\1\2"
    _is(await _next_binary(room, topic, "3", "broadcast_bytes", {"n": 3}), wanted)


@check("BN-5")
async def a_null_ref(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic, join_ref="3")
    guest.send_binary(pushed_bytes("3", "", topic, "echo", DATA))
    heard = await guest.hear()
    insist(heard.ref == "" and heard.response == DATA, "a reply with an empty ref", heard)


@check("BN-6", "ours")
async def an_empty_join_ref(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic)
    guest.send_binary(pushed_bytes("", "7", topic, "echo", DATA))
    heard = await guest.hear()
    insist(heard.response == DATA, "the bytes back", heard)


@check("BN-7")
async def up_to_255_bytes(room: Room) -> None:
    guest = await room.connect()
    longest = room.unique().ljust(255, "x")
    join_ref = await guest.join(longest)
    guest.send_binary(pushed_bytes(join_ref, "r" * 255, longest, "echo", DATA))
    insist((await guest.hear()).response == DATA, "a ref of 255 bytes back", "something else")
    too_long = room.unique().ljust(256, "x")
    join_ref = await guest.join(too_long)
    guest.send(join_ref, "8", too_long, "bytes", {"n": 2})
    heard = await guest.hear()
    insist(heard.event == "phx_error", "an error of the channel, and no bytes", heard)


@check("BN-8")
async def bytes_are_bytes(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    join_ref = await guest.join(topic)
    for data in (b"", b"\0", b"{}", b"\xff" * 300, bytes(range(256)) * 300):
        guest.send_binary(pushed_bytes(join_ref, "7", topic, "echo", data))
        heard = await guest.hear()
        insist(heard.response == data, f"{len(data)} bytes back", heard)


@check("BN-9")
async def the_response_decides(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    join_ref = await guest.join(topic)
    guest.send_binary(pushed_bytes(join_ref, "7", topic, "no such event", DATA))
    heard = await guest.hear()
    insist(isinstance(heard.response, dict), "a JSON reply to a binary push", heard)


@check("BN-10")
async def bad_bytes(room: Room) -> None:
    topic = room.unique()
    whole = pushed_bytes("1", "7", topic, "echo", b"")
    for bad in (b"", b"\0", b"\0\1\1", whole[:-1], b"\1" + whole[1:], b"\2" + whole[1:], b"\5" + whole[1:], b"\0" * 4):
        guest = await room.connect()
        await guest.join(topic)
        guest.send_binary(bad)
        await ends(guest)


@check("BN-11")
async def hooks_and_the_others(room: Room) -> None:
    topic = room.unique()
    vip, talker = await room.member(topic, {"vip": True}), await room.connect()
    join_ref = await talker.join(topic)
    talker.send_binary(pushed_bytes(join_ref, "7", topic, "broadcast_from", DATA))
    await vip.expect(None, None, topic, "message", DATA)
    await talker.quiet(topic)
    talker.send_binary(pushed_bytes(join_ref, "8", topic, "private", DATA))
    insist((await vip.until("private")).payload == DATA, "the bytes for the vip", "something else")
    await talker.quiet(topic)
