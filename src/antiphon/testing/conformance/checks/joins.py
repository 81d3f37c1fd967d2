"""JN: joining, being refused, and joining again."""

import asyncio
from typing import Any

from antiphon.testing.conformance.guest import ANY, insist, pushed_bytes
from antiphon.testing.conformance.registry import check
from antiphon.testing.conformance.room import Room

UNMATCHED = {"status": "error", "response": {"reason": "unmatched topic"}}


@check("JN-1")
async def a_join(room: Room) -> None:
    guest = await room.connect()
    for join_ref, payload, response in (("1", {}, {}), ("2", {"echo": {"x": [1]}}, {"echo": {"x": [1]}})):
        topic = room.unique()
        guest.send(join_ref, "9", topic, "phx_join", payload)
        await guest.expect(join_ref, "9", topic, "phx_reply", {"status": "ok", "response": response})


@check("JN-2")
async def a_refused_join(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    guest.send("1", "1", topic, "phx_join", {"deny": "full"})
    await guest.expect("1", "1", topic, "phx_reply", {"status": "error", "response": {"reason": "full"}})
    await guest.silent()
    await guest.join(topic)
    await guest.quiet(topic)


@check("JN-3")
async def a_join_that_crashes(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    guest.send("1", "1", topic, "phx_join", {"crash": True})
    heard = await guest.hear()
    crashed = {"status": "error", "response": {"reason": "join crashed"}}
    insist(heard.event == "phx_reply" and heard.payload == crashed, "the reply `join crashed`", heard)
    await guest.silent()
    await guest.join(topic)


@check("JN-4")
async def a_join_without_a_route(room: Room) -> None:
    guest, topic = await room.connect(), room.unique("lobby:")
    guest.send("3", "4", topic, "phx_join", {})
    await guest.expect(None, "4", topic, "phx_reply", UNMATCHED)


@check("JN-5")
async def the_101st_channel(room: Room) -> None:
    guest, topics = await room.connect(), [room.unique() for _ in range(101)]
    for topic in topics[:100]:
        guest.send(topic, topic, topic, "phx_join", {})
    for _ in topics[:100]:
        heard = await guest.hear()
        insist(heard.status == "ok", "100 channels", heard)
    again = topics[0]
    guest.send("again", "again", again, "phx_join", {})
    heard = await guest.until("phx_reply")
    insist(heard.status == "ok", "a second join of a joined topic", heard)
    guest.send("more", "more", topics[100], "phx_join", {})
    heard = await guest.until("phx_reply")
    insist(heard.response == {"reason": "too many channels joined"}, "too many channels joined", heard)
    insist(heard.join_ref == "more", "the join_ref as sent", heard)


@check("JN-6")
async def a_second_join(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic, join_ref="1")
    guest.send("2", "2", topic, "phx_join", {})
    await guest.expect("2", "2", topic, "phx_reply")
    await guest.expect("1", ANY, topic, "phx_close")
    await guest.quiet(topic)
    guest.send("3", "3", topic, "phx_join", {"deny": "full"})
    insist((await guest.expect("3", "3", topic, "phx_reply")).status == "error", "a refusal", "ok")
    await guest.expect("2", ANY, topic, "phx_close")
    guest.send(None, "4", topic, "echo", {})
    heard = await guest.hear()
    insist(heard.status == "error", "no channel any more", heard)


@check("JN-7", "ours")
async def a_second_join_without_join_refs(room: Room) -> None:
    guest, topic = await room.connect("1.0.0"), room.unique()
    await guest.join(topic, join_ref=None)
    guest.send(None, "2", topic, "phx_join", {})
    while (heard := await guest.hear()).event != "phx_reply":
        insist(heard.event == "phx_close", "at most the old channel's close in front of the reply", heard)
    await guest.quiet(topic)


@check("JN-8")
async def a_join_behind_a_leave(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic, join_ref="1")
    guest.send("1", "8", topic, "phx_leave", {})
    guest.send("2", "9", topic, "phx_join", {})
    heard = set[tuple[Any, Any]]()
    while not heard >= {("phx_close", "1"), ("phx_reply", "9")}:
        one = await guest.hear()
        heard.add((one.event, one.join_ref if one.event == "phx_close" else one.ref))
    await guest.quiet(topic)


@check("JN-9", "ours")
async def a_null_join_ref(room: Room) -> None:
    guest, topic, other = await room.connect(), room.unique(), room.unique()
    guest.send(None, "5", topic, "phx_join", {})
    insist((await guest.hear()).status == "ok", "a join with a null join_ref", "a refusal")
    for join_ref in (None, "anything"):
        guest.send(join_ref, "6", topic, "push", {})
        await guest.expect("5", None, topic, "pushed")
    await guest.join(other, join_ref="x")
    guest.send(None, "7", other, "echo", {})
    await guest.expect("x", "7", other, "phx_reply")


@check("JN-10", part="presence")
async def what_follows_a_join(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    guest.send("1", "1", topic, "phx_join", {"presence": "ann", "slow": 50})
    await guest.expect("1", "1", topic, "phx_reply")
    await guest.until("presence_state")


@check("JN-11")
async def a_slow_join_that_is_tried_again(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    guest.send("1", "1", topic, "phx_join", {"slow": 200})
    guest.send("1", "2", topic, "phx_leave", {})
    guest.send("3", "3", topic, "phx_join", {"echo": 3})
    while (heard := await guest.hear()).ref != "3":
        pass
    insist(heard.response == {"echo": 3}, "the last join let in", heard)
    while (heard := await guest.call(topic, "echo", {"in": True})).ref in {"1", "2"}:
        pass
    insist(heard.response == {"in": True}, "the topic joined", heard)


@check("JN-12")
async def the_payload_as_sent(room: Room) -> None:
    guest = await room.connect()
    values: tuple[Any, ...] = ({"Ключ": [1, 2.5, None]}, "x", [], False)
    for value in values:
        heard_ref, topic = guest.new_ref(), room.unique()
        guest.send(heard_ref, heard_ref, topic, "phx_join", {"echo": value})
        heard = await guest.hear()
        insist(heard.response == {"echo": value}, f"{value!r} back", heard)
    guest.send_binary(pushed_bytes("b", "b", room.unique(), "phx_join", b"\x01"))
    heard = await guest.hear()
    insist(heard.event == "phx_reply" and heard.ref == "b", "a reply to a binary join", heard)


@check("JN-13", "ours", part="presence")
async def a_join_that_is_given_up(room: Room) -> None:
    topic = room.unique()
    watcher, guest = await room.member(topic), await room.connect()
    guest.send("1", "1", topic, "phx_join", {"slow": 1000, "presence": "ghost"})
    await guest.socket.flush()
    guest.socket.close()
    await asyncio.sleep(1.2)
    await watcher.silent()
    heard = await watcher.call(topic, "who")
    insist(heard.response == {}, "nobody", heard)
