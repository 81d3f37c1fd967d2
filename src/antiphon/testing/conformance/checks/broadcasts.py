"""BC and PS: what goes to many."""

import asyncio

from antiphon.testing.conformance.guest import insist
from antiphon.testing.conformance.registry import check
from antiphon.testing.conformance.room import Room


@check("BC-1")
async def everybody(room: Room) -> None:
    topic = room.unique()
    members = [await room.member(topic) for _ in range(3)]
    members[0].send(None, None, topic, "broadcast", {"n": 1})
    for member in members:
        heard = await member.hear()
        insist((heard.topic, heard.event, heard.payload) == (topic, "message", {"n": 1}), "the message", heard)
        await member.quiet(topic)


@check("BC-2")
async def the_others(room: Room) -> None:
    topic, user = room.unique(), room.unique("user-")
    caller, same = await room.member(topic, user_id=user), await room.member(topic, user_id=user)
    caller.send(None, None, topic, "broadcast_from", {"n": 1})
    insist((await same.hear()).event == "message", "the message for the same user's other socket", "something else")
    await caller.quiet(topic)


@check("BC-4")
async def no_refs(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic, join_ref="j")
    guest.send("j", "5", topic, "broadcast", {})
    heard = await guest.until("message")
    insist(heard.join_ref is None and heard.ref is None, "no refs", heard)


@check("BC-5")
async def intercepted(room: Room) -> None:
    topic = room.unique()
    plain, vip = await room.member(topic), await room.connect()
    await vip.join(topic, {"vip": True}, join_ref="v")
    plain.send(None, None, topic, "private", {"n": 1})
    await vip.expect("v", None, topic, "private", {"n": 1})
    await plain.quiet(topic)


@check("BC-8")
async def both_versions(room: Room) -> None:
    topic = room.unique()
    new, old = await room.member(topic), await room.member(topic, vsn="1.0.0")
    new.send(None, None, topic, "broadcast", {"n": 1})
    for member in (new, old):
        heard = await member.until("message")
        insist(heard.topic == topic and heard.payload == {"n": 1}, "the message in its version", heard)


@check("BC-11", "ours")
async def one_that_takes_nothing(room: Room) -> None:
    topic = room.unique()
    deaf = await room.member(topic)
    talker = await room.member(topic)
    for number in range(40):
        talker.send(None, None, topic, "broadcast", {"n": number, "much": "x" * 50_000})
        heard = await talker.hear()
        insist(heard.event == "message", "each message at once", heard)
    deaf.socket.close()


@check("PS-1")
async def exact_topics(room: Room) -> None:
    topic = room.unique()
    talker, below, wild = await room.member(topic), await room.member(f"{topic}:a"), await room.member(f"{topic}*")
    await talker.call(topic, "broadcast_reply")
    await below.quiet(f"{topic}:a")
    await wild.quiet(f"{topic}*")


@check("PS-4")
async def one_that_has_left(room: Room) -> None:
    topic = room.unique()
    guest, talker = await room.member(topic), await room.member(topic)
    guest.send(None, "5", topic, "phx_leave", {})
    for _ in ("the reply", "the close"):
        await guest.hear()
    talker.send(None, None, topic, "broadcast", {})
    await talker.until("message")
    await guest.silent()


@check("PS-5")
async def in_order(room: Room) -> None:
    topic = room.unique()
    talkers, listener = [await room.member(topic) for _ in range(2)], await room.member(topic)
    for number in range(50):
        for which, talker in enumerate(talkers):
            talker.send(None, None, topic, "broadcast", {"from": which, "n": number})
        await asyncio.sleep(0)
    heard = [(await listener.hear()).payload for _ in range(100)]
    for which in range(2):
        numbers = [each["n"] for each in heard if each["from"] == which]
        insist(numbers == list(range(50)), f"0 to 49 from publisher {which}", numbers)
