"""LP: the same protocol over plain HTTP, and what else long-poll means for OR, ER and DC."""

import asyncio
import base64
import time
from collections.abc import Sequence
from urllib.parse import quote

from antiphon.testing.conformance.guest import insist, pushed_bytes, written
from antiphon.testing.conformance.poller import Poller, frames_of, status_of
from antiphon.testing.conformance.raw import HttpAnswer
from antiphon.testing.conformance.registry import Part, check
from antiphon.testing.conformance.room import Room

LONG_POLL: Part = "long-poll"
WINDOW = 10.0
"""Seconds that a poll waits, as Phoenix does it; a shorter one is as good."""


def says(answer: HttpAnswer, status: int) -> None:
    """Fails unless the answer is HTTP 200 and its body holds this status."""
    insist(answer.status == 200 and status_of(answer) == status, f"200 with status {status} in the body", answer)


def refs_of(answers: Sequence[HttpAnswer]) -> list[object]:
    """The refs of all frames."""
    return [heard.ref for answer in answers for heard in frames_of(answer)]


@check("LP-1", part=LONG_POLL)
async def headers(room: Room) -> None:
    poller = await room.poll()
    for answer in (await room.ask("GET", "/longpoll", "vsn=2.0.0"), await poller.post("")):
        said = answer.headers
        insist(said.get("content-type", "").startswith("application/json"), "application/json", said)
        insist("no-store" in said.get("cache-control", ""), "cache-control: no-store", said)
        insist(said.get("access-control-allow-origin") == "*", "access-control-allow-origin: *", said)


@check("LP-2", part=LONG_POLL)
async def options(room: Room) -> None:
    asked = {"Access-Control-Request-Headers": "x-phoenix-longpoll-token, content-type"}
    answer = await room.ask("OPTIONS", "/longpoll", "vsn=2.0.0", headers=asked)
    said = answer.headers
    insist(answer.status == 200 and not answer.body, "200 and nothing else", answer)
    allowed = said.get("access-control-allow-headers")
    insist(allowed == asked["Access-Control-Request-Headers"], "the headers asked for", allowed)
    methods = {word.strip().lower() for word in said.get("access-control-allow-methods", "").split(",")}
    insist(methods == {"get", "post", "options"}, "get, post and options", methods)
    insist(said.get("access-control-max-age") == "3600", "an hour", said)


@check("LP-3", part=LONG_POLL)
async def methods(room: Room) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        answer = await room.ask(method, "/longpoll", "vsn=2.0.0")
        insist(answer.status == 400 and not answer.body, "400 with an empty body", answer)


@check("LP-4", part=LONG_POLL)
async def a_session(room: Room) -> None:
    for token in ("", "&token=nonsense", "&token=SFMyNTY.g2gDYQFuBgAAaOXPiwFiAAFRgA.AAAA"):
        answer = await room.ask("GET", "/longpoll", f"vsn=2.0.0{token}")
        says(answer, 410)
        insist(answer.json().get("token") and answer.json().get("messages") == [], "a token, no messages", answer)
    for query in ("vsn=2.0.0&refuse=403", "vsn=2.0.0&refuse=429", "vsn=3.0.0"):
        says(await room.ask("GET", "/longpoll", query), 403)


@check("LP-5", part=LONG_POLL)
async def a_poll(room: Room) -> None:
    poller, topic = await room.poll(), room.unique()
    await poller.send(["1", "1", topic, "phx_join", {}], ["1", "2", topic, "echo", {"a": 1}])
    answers = [await poller.get()]
    while len(refs_of(answers)) < 2:
        answers.append(await poller.get())
    for answer in answers:
        says(answer, 200)
        insist(all(isinstance(text, str) for text in answer.json()["messages"]), "frames as texts", answer)
        insist(answer.json().get("token") == poller.token, "the same token", answer)
    insist(refs_of(answers) == ["1", "2"], "the replies in order", refs_of(answers))
    begun = time.monotonic()
    empty = await poller.get()
    took = time.monotonic() - begun
    says(empty, 204)
    insist(
        empty.json().get("messages") == [] and took < WINDOW + room.patience, "204 after the window", f"{took:.1f} s"
    )


@check("LP-6", part=LONG_POLL)
async def a_post(room: Room) -> None:
    poller, topic = await room.poll(), room.unique()
    said = await poller.post("\n".join(written(["1", ref, topic, "echo", {}]) for ref in ("1", "2")))
    says(said, 200)
    insist([(await poller.hear()).ref for _ in range(2)] == ["1", "2"], "two error replies with the poll", "others")
    poller.token = "nonsense"  # noqa: S105 - no secret
    says(await poller.post(written(["1", "1", topic, "echo", {}])), 410)


@check("LP-7", part=LONG_POLL)
async def a_post_that_takes_long(room: Room) -> None:
    poller, topic = await room.poll(), room.unique()
    slow = int(WINDOW * 1000) + 1500
    join = written(["1", "1", topic, "phx_join", {"slow": 300}])
    begun = time.monotonic()
    says(await poller.post(join), 200)
    insist(time.monotonic() - begun >= 0.25, "an answer once the join is handled", "an earlier one")
    says(await poller.post(written(["2", "2", room.unique(), "phx_join", {"slow": slow}])), 408)


@check("LP-8", part=LONG_POLL)
async def where_the_token_is(room: Room) -> None:
    poller, topic = await room.poll(), room.unique()
    token = quote(poller.token, safe="")
    body = written(["1", "1", topic, "phx_join", {}]).encode()
    query = f"token=mine&vsn=2.0.0&token={token}"
    says(await room.ask("POST", "/longpoll", query, body=body), 200)
    says(await room.ask("GET", "/longpoll", query), 200)
    header = {"X-Phoenix-Longpoll-Token": poller.token}
    says(await room.ask("POST", "/longpoll", "vsn=2.0.0&token=stale", headers=header, body=body), 200)


@check("LP-9", part=LONG_POLL)
async def kinds_of_bodies(room: Room) -> None:
    poller, topic = await room.poll(), room.unique()
    await poller.join(topic)
    lines = [written(["1", f"n{number}", topic, "echo", {}]) for number in range(105)]
    says(await poller.post("\r\n".join(lines)), 200)
    refs = [(await poller.hear()).ref for _ in range(100)]
    insist(refs == [f"n{number}" for number in range(100)], "100 replies in order", refs)
    says(await poller.post(written(["1", "whole", topic, "echo", {"a": "\n"}]), ""), 200)
    insist((heard := await poller.hear()).ref == "whole", "a body that is one frame, and none beyond 100", heard)
    binary = base64.b64encode(pushed_bytes("1", "b", topic, "no such event", b"\1\2\xff"))
    says(await poller.post(binary), 200)
    insist((heard := await poller.hear()).ref == "b", "a line of base64 taken as bytes", heard)
    await _version_1(room)


async def _version_1(room: Room) -> None:
    old = await room.poll("1.0.0")
    frame = {"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": "9"}
    says(await old.post(written(frame), ""), 200)
    answer = await old.get()
    insist('"ref":"9"' in "".join(answer.json().get("messages", ())), "a version 1 reply", answer)


@check("LP-10", "ours", part=LONG_POLL)
async def blank_lines(room: Room) -> None:
    poller, topic = await room.poll(), room.unique()
    frames = [written(["1", "1", topic, "phx_join", {}]), "", written(["1", "2", topic, "echo", {}]), ""]
    says(await poller.post("\n".join(frames)), 200)
    insist([(await poller.hear()).ref for _ in range(2)] == ["1", "2"], "both frames handled", "others")
    bad = await poller.post("!no base64!")
    insist(bad.status == 400, "HTTP 400", bad)
    says(await poller.post(written(["1", "3", topic, "echo", {}])), 200)


@check("LP-11", "ours", part=LONG_POLL)
async def no_bytes_to_the_client(room: Room) -> None:
    poller, topic = await room.poll(), room.unique()
    await poller.join(topic)
    await poller.send(["1", None, topic, "broadcast_bytes", {"n": 3}], ["1", "5", topic, "echo", {"a": 1}])
    heard = await poller.hear()
    insist(heard.ref == "5" and heard.response == {"a": 1}, "the other message", heard)


@check("LP-12", part=LONG_POLL, slow=True)
async def a_session_that_is_not_polled(room: Room) -> None:
    poller = await room.poll()
    for _ in range(7):
        await asyncio.sleep(5)
        answer = await poller.post(written([None, "1", "phoenix", "heartbeat", {}]))
    says(answer, 410)


@check("LP-13", part=LONG_POLL)
async def one_poll_at_a_time(room: Room) -> None:
    poller, topic = await room.poll(), room.unique()
    await poller.join(topic)
    first = asyncio.create_task(poller.get())
    await asyncio.sleep(0.2)
    second = asyncio.create_task(poller.get())
    try:
        await asyncio.sleep(0.2)
        await poller.send(["1", "5", topic, "echo", {"a": 1}])
        answer = await second
        says(answer, 200)
        insist(refs_of([answer]) == ["5"], "the reply with the second poll", answer)
        says(await first, 204)
    finally:
        first.cancel()
        second.cancel()


@check("LP-14", part=LONG_POLL)
async def a_signed_token(room: Room) -> None:
    poller = await room.poll()
    whole = poller.token
    for broken in (whole[:-2] + ("AA" if not whole.endswith("AA") else "BB"), whole[: len(whole) // 2], whole + "x"):
        poller.token = broken
        says(await poller.post(written([None, "1", "phoenix", "heartbeat", {}])), 410)
    poller.token = whole
    says(await poller.post(written([None, "1", "phoenix", "heartbeat", {}])), 200)


@check("LP-15", part=LONG_POLL)
async def heartbeats(room: Room) -> None:
    poller = await room.poll()
    await poller.send([None, "6", "phoenix", "heartbeat", {}])
    heard = await poller.hear()
    insist(heard.ref == "6" and heard.join_ref is None and heard.status == "ok", "an answer", heard)


@check("LP-16", part=LONG_POLL)
async def as_on_a_websocket(room: Room) -> None:
    poller, topic = await room.poll(), room.unique()
    talker = await room.member(topic)
    await poller.join(topic)
    for number in range(5):
        await talker.call(topic, "broadcast_reply", {"n": number})
    numbers = [(await poller.hear()).payload["n"] for _ in range(5)]
    insist(numbers == list(range(5)), "five messages in order", numbers)
    await poller.send(["2", "2", topic, "phx_join", {}])
    events = [(await poller.hear()).event for _ in range(2)]
    insist(events == ["phx_reply", "phx_close"], "the new join's reply, then the old close", events)


@check("LP-18", part=LONG_POLL)
async def parameters_of_the_first_request(room: Room) -> None:
    user, topic = room.unique("user-"), room.unique()
    poller, talker = await room.poll(user_id=user), await room.member(topic)
    later = Poller(room.ask, {"vsn": "2.0.0", "refuse": "403"})
    later.token = poller.token
    await later.send(["1", "1", room.unique(), "phx_join", {}])
    says(await later.get(), 200)
    talker.send(None, None, topic, "disconnect", {"user_id": user})
    await talker.quiet(topic)
    says(await poller.get(), 410)


@check("LP-19", part=LONG_POLL)
async def the_body_is_the_sessions_own(room: Room) -> None:
    poller, topic = await room.poll(), room.unique()
    for ref, kind in (("1", "application/json"), ("2", "application/x-www-form-urlencoded"), ("3", "text/plain")):
        says(await poller.post(written([ref, ref, topic, "phx_join", {}]), kind), 200)
        while (heard := await poller.hear()).event != "phx_reply":
            pass
        insist(heard.ref == ref, f"a frame sent as {kind} to be handled", heard)


@check("ER-4", part=LONG_POLL)
async def a_crash(room: Room) -> None:
    poller, topic = await room.poll(), room.unique()
    await poller.join(topic)
    await poller.send(["1", "5", topic, "crash", {}])
    heard = await poller.hear()
    insist((heard.join_ref, heard.event) == ("1", "phx_error"), "phx_error", heard)


@check("DC-3", part=LONG_POLL)
async def disconnected(room: Room) -> None:
    user, topic = room.unique("user-"), room.unique()
    poller, talker = await room.poll(user_id=user), await room.member(topic)
    talker.send(None, None, topic, "disconnect", {"user_id": user})
    await talker.quiet(topic)
    answer = await poller.get()
    says(answer, 410)
    insist(answer.json().get("token") not in {None, poller.token}, "a fresh token", answer)
