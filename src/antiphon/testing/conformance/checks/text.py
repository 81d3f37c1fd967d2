"""V2 and V1: frames as JSON."""

from typing import Any

import msgspec

from antiphon.testing.conformance.guest import ANY, Guest, alike, insist, pushed_bytes
from antiphon.testing.conformance.raw import TEXT
from antiphon.testing.conformance.registry import check
from antiphon.testing.conformance.room import Room

VALUES: tuple[Any, ...] = ({}, {"a": {"b": [1, 2.5, None, True]}}, [1, "x"], [], "text", "", 7, -2.5, True, False, None)


async def ends(guest: Guest) -> int:
    """The code with which the socket ends, as bad input does; never 1000 (JS-7)."""
    code = await guest.closed()
    insist(code is not None and code != 1000, "the socket closed with a code that is not 1000", code)
    return code or 0


@check("V2-1")
async def five_elements(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    guest.send_text(f'["1","1","{topic}","phx_join",{{}},"more",[1]]')
    await guest.expect("1", "1", topic, "phx_reply")
    guest.send_text(f'["1","2","{topic}","echo"]')
    await ends(guest)


@check("V2-2")
async def refs_of_any_type(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    for ref in ("a", 1, 2.5, True, [1], {"x": 1}):
        guest.send(None, ref, "phoenix", "heartbeat", {})
        heard = await guest.hear()
        insist(alike(heard.ref, ref), f"the ref {ref!r}", heard)
    guest.send(1, 2, topic, "phx_join", {})
    await guest.expect(1, 2, topic, "phx_reply")
    guest.send("1", "3", topic, "echo", {})
    guest.send(1, 4, topic, "echo", {})
    await guest.expect(1, 4, topic, "phx_reply")


@check("V2-3")
async def payloads_of_any_type(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    for value in VALUES:
        guest.send(None, "9", topic, "no such event", value)
        heard = await guest.hear()
        insist(heard.status == "error", f"an answer to the payload {value!r}", heard)


@check("V2-4")
async def responses_of_any_type(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    for value in VALUES:
        guest.send(None, "9", topic, "echo", value)
        await guest.expect(ANY, "9", topic, "phx_reply", {"status": "ok", "response": value})
    guest.send(None, "10", topic, "push", [1])
    heard = await guest.hear()
    insist(heard.event == "phx_error", "a push of a list to be an error of the channel", heard)


@check("V2-5")
async def the_shapes(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    guest.send("7", "7", topic, "phx_join", {})
    await guest.expect("7", "7", topic, "phx_reply", {"status": "ok", "response": {}})
    guest.send("7", "8", topic, "push", {"n": 1})
    await guest.expect("7", None, topic, "pushed", {"n": 1})
    guest.send("7", "9", topic, "broadcast", {"n": 2})
    await guest.expect(ANY, None, topic, "message", {"n": 2})
    guest.send("7", None, topic, "crash", {})
    await guest.expect("7", "7", topic, "phx_error", {"reason": "channel_crash"})
    guest.send("11", "11", topic, "phx_join", {})
    await guest.expect("11", "11", topic, "phx_reply")
    guest.send("11", "12", topic, "phx_leave", {})
    await guest.until("phx_reply")
    await guest.expect("11", "11", topic, "phx_close", {})


@check("V2-6")
async def text_is_utf_8(room: Room) -> None:
    guest = await room.connect()
    guest.send_text(b'[null,"1","phoenix","heartbeat",{"a":"\xff\xfe"}]')
    insist((code := await guest.closed()) == 1007, "close 1007", code)


@check("V2-7", "ours")
async def compact_and_in_utf_8(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    heard = await guest.call(topic, "echo", {"a": "é🎵 漢", "b": [1, 2]})
    insist("é🎵 漢".encode() in heard.raw, "other alphabets as UTF-8", heard.raw)
    insist(b"[1,2]" in heard.raw and b'": ' not in heard.raw, "no space between", heard.raw)


@check("V2-8", "ours")
async def no_half_characters(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic)
    guest.send_text(f'[null,"5","{topic}","echo",{{"half":"\\ud800"}}]')
    opcode, payload = await guest.receive()
    insist(opcode != TEXT or b"\\ud8" not in payload.lower(), "no half of a surrogate pair", payload)
    payload.decode(errors="strict" if opcode == TEXT else "replace")


@check("V1-1")
async def four_keys(room: Room) -> None:
    whole: dict[str, Any] = {"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": None}
    guest = await room.connect("1.0.0")
    guest.send_text(msgspec.json.encode(whole))
    await guest.expect(None, None, "phoenix", "phx_reply")
    for key in whole:
        guest = await room.connect("1.0.0")
        guest.send_text(msgspec.json.encode({name: value for name, value in whole.items() if name != key}))
        await ends(guest)


@check("V1-2")
async def a_join_ref_in_version_1(room: Room) -> None:
    guest, topic = await room.connect("1.0.0"), room.unique()
    await guest.join(topic, join_ref="one")
    guest.send("old", "2", topic, "echo", {})
    guest.send("one", "3", topic, "echo", {})
    await guest.expect(None, "3", topic, "phx_reply")


@check("V1-3")
async def exactly_four_keys(room: Room) -> None:
    guest, topic = await room.connect("1.0.0"), room.unique()
    await guest.join(topic)
    for event in ("echo", "push", "broadcast", "stop"):
        guest.send(None, "9", topic, event, {})
        heard = await guest.hear()
        keys = set(msgspec.json.decode(heard.raw))
        insist(keys == {"topic", "event", "payload", "ref"}, "topic, event, payload and ref", heard.raw)


@check("V1-4")
async def a_reply_in_version_1(room: Room) -> None:
    guest, topic = await room.connect("1.0.0"), room.unique()
    guest.send(None, "1", topic, "phx_join", {"echo": [1]})
    await guest.expect(None, "1", topic, "phx_reply", {"status": "ok", "response": {"echo": [1]}})
    guest.send(None, 2, topic, "error", {"a": 1})
    await guest.expect(None, 2, topic, "phx_reply", {"status": "error", "response": {"a": 1}})


@check("V1-5")
async def the_ref_of_a_close(room: Room) -> None:
    guest = await room.connect("1.0.0")
    for join_ref, event, last in (
        (None, "stop", "phx_close"),
        (None, "crash", "phx_error"),
        ("j", "stop", "phx_close"),
    ):
        topic = room.unique()
        await guest.join(topic, join_ref=join_ref)
        guest.send(None, "9", topic, event, {})
        await guest.expect(None, join_ref, topic, last)


@check("V1-6", "ours")
async def no_bytes_in_version_1(room: Room) -> None:
    topic = room.unique()
    new, old = await room.member(topic), await room.member(topic, vsn="1.0.0")
    new.send(None, None, topic, "broadcast_bytes", {"n": 3})
    insist((await new.hear()).payload == b"\0\1\2", "the bytes for version 2", "something else")
    await new.quiet(topic)
    await old.quiet(topic)
    old.send(None, "8", topic, "bytes", {"n": 3})
    heard = await old.hear()
    insist(heard.event == "phx_error", "a push of bytes to be an error of the channel", heard)
    old.send_binary(pushed_bytes("j", "9", topic, "echo", b"x"))
    await ends(old)


@check("V1-7")
async def the_shape_of_each_version(room: Room) -> None:
    one = await room.connect("1.0.0")
    one.send_text('[null,"1","phoenix","heartbeat",{}]')
    await ends(one)
    two = await room.connect("2.0.0")
    two.send_text('{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}')
    await ends(two)
