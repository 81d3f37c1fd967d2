"""MD: sockets, channels, topics and what comes in which order."""

import time

from antiphon.testing.conformance.guest import insist
from antiphon.testing.conformance.registry import check
from antiphon.testing.conformance.room import Room


@check("MD-1")
async def one_socket_many_channels(room: Room) -> None:
    first, second = room.unique(), room.unique()
    guest = await room.member(first)
    await guest.join(second)
    await guest.join(second)
    await guest.until("phx_close")
    for topic in (first, second):
        guest.send(None, None, topic, "broadcast", {"to": topic})
        heard = await guest.hear()
        insist((heard.topic, heard.event) == (topic, "message"), f"a broadcast on {topic}", heard)
        await guest.quiet(topic)


@check("MD-3")
async def in_the_order_of_arrival(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    guest.send("1", "1", topic, "phx_join", {"slow": 100})
    for number in range(20):
        guest.send("1", f"m{number}", topic, "echo", {"n": number})
    refs = [(await guest.hear()).ref for _ in range(21)]
    insist(refs == ["1", *(f"m{number}" for number in range(20))], "the join's reply, then m0 to m19", refs)


@check("MD-4")
async def nothing_before_the_join_reply(room: Room) -> None:
    topic = room.unique()
    talker, guest = await room.member(topic), await room.connect()
    begun = time.monotonic()
    guest.send("1", "1", topic, "phx_join", {"slow": 800})
    for number in range(5):
        talker.send(None, None, topic, "broadcast", {"n": number})
    for _ in range(5):
        await talker.until("message")
    in_time = time.monotonic() - begun < 0.7
    heard = await guest.hear()
    insist(heard.event == "phx_reply", "the join's reply first", heard)
    if in_time:
        await guest.quiet(topic)


@check("MD-5")
async def in_the_order_they_were_made(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    for number in range(10):
        guest.send(None, f"p{number}", topic, "push", {"n": number})
        guest.send(None, f"e{number}", topic, "echo", {"n": number})
    heard = [await guest.hear() for _ in range(20)]
    said = [each.payload["n"] if each.event == "pushed" else each.ref for each in heard]
    insist(said == [word for n in range(10) for word in (n, f"e{n}")], "pushes and replies in turn", said)


@check("MD-6")
async def nothing_is_kept(room: Room) -> None:
    topic = room.unique()
    talker = await room.member(topic)
    await talker.call(topic, "broadcast_reply", {"early": True})
    guest = await room.member(topic)
    await guest.quiet(topic)


@check("MD-7")
async def a_prefix_serves_what_begins_with_it(room: Room) -> None:
    guest, name = await room.connect(), room.unique("")
    for topic in ("room:", f"room:{name}:a:b", f"room:{name}*"):
        await guest.join(topic)
    for topic in ("room", f"Room:{name}", f"rooms:{name}", f" room:{name}"):
        ref = guest.new_ref()
        guest.send(ref, ref, topic, "phx_join", {})
        heard = await guest.hear()
        insist(heard.status == "error", f"{topic} is not served", heard)
