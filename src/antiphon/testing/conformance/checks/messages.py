"""MS and LV: messages, replies, leaving and stopping."""

from antiphon.testing.conformance.checks.joins import UNMATCHED
from antiphon.testing.conformance.guest import insist
from antiphon.testing.conformance.registry import check
from antiphon.testing.conformance.room import Room


@check("MS-1")
async def the_current_join_ref(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic, join_ref="j")
    for join_ref in ("j", None):
        guest.send(join_ref, "5", topic, "echo", {"a": 1})
        heard = await guest.hear()
        insist(heard.response == {"a": 1}, "an answer of the channel", heard)


@check("MS-2")
async def what_a_handler_may_do(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    guest.send(None, "5", topic, "silent", {})
    await guest.quiet(topic)
    heard = await guest.call(topic, "broadcast_reply")
    insist(heard.payload == {"status": "ok", "response": {}}, "a status with an empty response", heard)


@check("MS-3")
async def a_status_of_its_own(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    heard = await guest.call(topic, "error", {"why": 1})
    insist(heard.payload == {"status": "error", "response": {"why": 1}}, "the status `error`", heard)


@check("MS-4")
async def a_stale_join_ref(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic, join_ref="new")
    for event in ("echo", "push", "broadcast", "no such event"):
        guest.send("old", "9", topic, event, {})
    await guest.quiet(topic)


@check("MS-5")
async def a_topic_that_is_not_joined(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    guest.send("1", "5", topic, "echo", {})
    await guest.expect(None, "5", topic, "phx_reply", UNMATCHED)
    await guest.join(topic)
    guest.send(None, None, topic, "crash", {})
    await guest.until("phx_error")
    guest.send(None, "7", topic, "echo", {})
    await guest.expect(None, "7", topic, "phx_reply", UNMATCHED)


@check("MS-7")
async def a_late_reply(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic, join_ref="j")
    guest.send("j", "late", topic, "later", {"ms": 300})
    guest.send("j", "soon", topic, "echo", {})
    insist((await guest.hear()).ref == "soon", "the other message first", "the late reply")
    await guest.expect("j", "late", topic, "phx_reply", {"status": "ok", "response": {"late": True}})


@check("MS-8")
async def a_null_ref(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    guest.send(None, None, topic, "echo", {"a": 1})
    heard = await guest.hear()
    insist(heard.ref is None and heard.response == {"a": 1}, "a reply with a null ref", heard)


@check("MS-9")
async def names_of_events(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    for event in ("phx_reply", "phx_error", "phx_close", "heartbeat", ""):
        guest.send(None, "5", topic, event, {})
        heard = await guest.hear()
        insist(heard.event == "phx_reply" and heard.ref == "5", f"the event {event!r} taken like any other", heard)
    await guest.quiet(topic)


@check("MS-10", "ours")
async def an_event_without_a_handler(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    heard = await guest.call(topic, "no such event")
    insist(heard.payload == {"status": "error", "response": {"reason": "unhandled event"}}, "unhandled event", heard)
    await guest.quiet(topic)


@check("LV-1")
async def a_leave(room: Room) -> None:
    guest = await room.connect()
    for left_with in ("j", None):
        topic = room.unique()
        await guest.join(topic, join_ref="j")
        guest.send(left_with, "5", topic, "phx_leave", {})
        heard = await guest.hear()
        wanted = {"status": "ok", "response": {}}
        insist(heard.event == "phx_reply" and heard.ref == "5" and heard.payload == wanted, "ok to the leave", heard)
        closed = await guest.hear()
        insist((closed.join_ref, closed.event) == ("j", "phx_close"), "the close", closed)


@check("LV-2")
async def the_reply_comes_first(room: Room) -> None:
    topic = room.unique()
    guest = await room.member(topic)
    for number in range(3):
        guest.send(None, None, topic, "push", {"n": number})
    guest.send(None, "5", topic, "phx_leave", {})
    events = []
    while (heard := await guest.hear()).event != "phx_reply":
        events.append(heard.event)
    insist(events.count("pushed") == 3, "what was pushed, then the reply", events)


@check("LV-3")
async def a_stale_leave(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic, join_ref="new")
    guest.send("old", "5", topic, "phx_leave", {})
    await guest.quiet(topic)


@check("LV-4")
async def a_leave_out_of_the_blue(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    guest.send("3", "5", topic, "phx_leave", {})
    await guest.expect("3", "5", topic, "phx_reply", {"status": "ok", "response": {}})
    await guest.silent()


@check("LV-5")
async def a_channel_that_stops(room: Room) -> None:
    guest, topic = await room.connect(), room.unique()
    await guest.join(topic, join_ref="j")
    guest.send("j", "5", topic, "stop", {})
    heard = await guest.hear()
    insist(heard.event == "phx_close" and heard.join_ref == "j", "phx_close", heard)


@check("LV-6")
async def the_other_channels(room: Room) -> None:
    first, second = room.unique(), room.unique()
    guest = await room.member(first)
    await guest.join(second)
    guest.send(None, "5", first, "phx_leave", {})
    await guest.until("phx_reply")
    heard = await guest.call(second, "echo", {"a": 1})
    insist(heard.response == {"a": 1}, "the other channel", heard)
