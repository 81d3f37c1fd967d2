"""One topic of a client: joins, pushes, what waits, and how it comes back."""

import asyncio
from typing import Any

import pytest

from antiphon.errors import ServiceError, ValidationError
from antiphon.realtime.channel import Channel
from antiphon.realtime.client.frames import ClientReply
from antiphon.realtime.client.push import ConnectionLostError, PushError
from tests.rules import rule


class Bytes(Channel):
    """Speaks bytes, in every way there is."""

    async def after_join(self) -> None:
        await self.push("welcome", b"\x00\xff")

    async def on_message(self, payload: Any, socket: Any) -> Any:
        if isinstance(payload, bytes):
            await self.broadcast("file", payload[::-1])
        return payload


# Pushes


async def test_refusals_are_errors_with_their_reason(live: Any, client_of: Any) -> None:
    client = await client_of(live)
    with pytest.raises(PushError, match="phx_join with error: full") as caught:
        await client.channel("room:1", {"deny": "full"}).join()
    assert (caught.value.status, caught.value.response) == ("error", {"reason": "full"})
    channel = client.channel("room:2")
    await channel.join()
    with pytest.raises(PushError, match="error"):
        await channel.push("error", {"why": 1})
    with pytest.raises(TimeoutError):
        await channel.push("silent", {}, timeout=0.05)
    with pytest.raises(ValidationError):
        await channel.push("echo", float("nan"))


@rule("MS-3")
async def test_a_reply_of_any_status(live: Any, client_of: Any) -> None:
    channel = (await client_of(live)).channel("room:1")
    await channel.join()
    assert await channel.request("status") == ClientReply("maybe", {})
    assert await channel.request("echo", {"n": 1}) == ClientReply("ok", {"n": 1})
    with pytest.raises(PushError, match="status with maybe"):
        await channel.push("status")


@rule("MS-8")
async def test_what_asks_for_no_reply_waits_for_none(scripted: Any, client_of: Any) -> None:
    channel = (await client_of(scripted.port)).channel("room:1")
    server = await scripted.joined(channel)
    await channel.send("typing", {"on": True})
    assert await scripted.hear(server) == ["1", None, "room:1", "typing", {"on": True}]


@rule("BN-1", "BN-2", "BN-3", "BN-4", "BN-8", "BN-9")
@pytest.mark.parametrize("data", [b"", b"\x01\x02\xff", bytes(70_000)], ids=len)
async def test_bytes_go_both_ways(live: Any, client_of: Any, until: Any, data: bytes) -> None:
    live.app.channel("bytes:*")(Bytes)
    heard: list[Any] = []
    channel = (await client_of(live)).channel("bytes:é")
    channel.on(None, lambda event, payload: heard.append((event, payload)))
    await channel.join()
    assert await channel.push("keep", data) == data
    assert await channel.push("keep", {"n": 1}) == {"n": 1}
    await until(lambda: len(heard) == 2)
    assert heard == [("welcome", b"\x00\xff"), ("file", data[::-1])]


async def test_a_listener_that_raises_is_reported_and_harms_nothing(live: Any, client_of: Any, until: Any) -> None:
    reports: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context["exception"]))
    channel = (await client_of(live)).channel("room:1")
    await channel.join()

    def fails(event: str, payload: Any) -> None:
        raise RuntimeError("boom")

    channel.on("message", fails)
    live.app.broadcast("room:1", "message", {})
    await until(lambda: reports)
    channel.off("message", fails)
    live.app.broadcast("room:1", "message", {})
    assert await channel.push("echo", {"n": 1}) == {"n": 1}
    asyncio.get_running_loop().set_exception_handler(None)
    assert len(reports) == 1


@rule("MD-4")
async def test_what_follows_a_join_at_once_is_told_after_its_answer(live: Any, client_of: Any, until: Any) -> None:
    channel = (await client_of(live)).channel("room:after")
    seen: list[Any] = []
    channel.on_joined = lambda response: seen.append("joined")
    channel.on("welcome", lambda event, payload: seen.append(event))
    await channel.join()
    await until(lambda: len(seen) == 2)
    assert seen == ["joined", "welcome"]


# Joining


async def test_a_join_that_was_refused_may_be_tried_again_and_is_not_tried_behind_ones_back(
    live: Any, client_of: Any, until: Any
) -> None:
    client = await client_of(live, params={"id": "ann"})
    wish: dict[str, Any] = {"deny": "full"}
    channel = client.channel("room:1", lambda: wish)
    with pytest.raises(PushError):
        await channel.join()
    with pytest.raises(ServiceError, match="not joined"):
        await channel.push("echo")
    live.app.disconnect("ann")
    await until(lambda: client.close_code is not None and client.connected)
    wish.clear()
    assert live.app.members("room:1") == 0
    await channel.join()
    assert live.app.members("room:1") == 1


@rule("JN-6", "JS-4")
async def test_joining_anew_takes_the_place_of_the_join_before(live: Any, client_of: Any) -> None:
    channel = (await client_of(live)).channel("room:1", {"answer": {"n": 1}})
    first = await channel.join(), channel.join_ref
    pushing = asyncio.create_task(channel.push("gated", {"gate": "first"}))
    await live.reached("first")
    live.open("first")
    assert (await channel.join(), channel.join_ref) != first
    with pytest.raises(ServiceError, match="joined anew"):
        await pushing
    assert await channel.push("echo", {"n": 1}) == {"n": 1}
    assert live.app.members("room:1") == 1


async def test_one_join_at_a_time(scripted: Any, client_of: Any) -> None:
    client = await client_of(scripted.port)
    channel = client.channel("room:1")
    joining = asyncio.create_task(channel.join())
    server = await scripted.accept()
    join = await scripted.hear(server)
    with pytest.raises(ServiceError, match="being joined"):
        await channel.join()
    await scripted.say(server, *join[:3], "phx_reply", {"status": "ok", "response": {}})
    await joining


@rule("JN-11")
@pytest.mark.parametrize("how", ["too late", "given up"])
async def test_a_join_that_nobody_waits_for_is_left_again(scripted: Any, client_of: Any, how: str) -> None:
    client = await client_of(scripted.port)
    server = await scripted.accept()
    channel = client.channel("room:1")
    joining = asyncio.create_task(channel.join(timeout=0.05 if how == "too late" else None))
    assert (await scripted.hear(server))[3] == "phx_join"
    if how == "given up":
        joining.cancel()
    with pytest.raises((TimeoutError, asyncio.CancelledError)):
        await joining
    assert await scripted.hear(server) == ["1", "2", "room:1", "phx_leave", {}]
    await scripted.say(server, "1", "1", "room:1", "phx_reply", {"status": "ok", "response": {}})
    await scripted.say(server, "1", "2", "room:1", "phx_reply", {"status": "ok", "response": {}})
    await scripted.say(server, "1", "1", "room:1", "phx_close", {})
    joining = asyncio.create_task(channel.join())
    assert (await scripted.answer(server))[:2] == ["3", "3"]
    await joining
    assert channel.joined


async def test_a_join_waits_for_the_connection_and_is_tried_on_the_next(scripted: Any, client_of: Any) -> None:
    client = await client_of(scripted.port)
    server = await scripted.accept()
    joining = asyncio.create_task(client.channel("room:1").join())
    await scripted.hear(server)
    await server.close(1012)
    await scripted.answer(await scripted.accept(), {"n": 2})
    assert await joining == {"n": 2}


async def test_a_channel_made_anew_takes_the_place_of_one_that_is_coming_back(live: Any, client_of: Any) -> None:
    """Whoever tries again after a break must not be displaced for ever by the attempt before."""
    client = await client_of(live)
    first = client.channel("room:1", {"gate": "first"})
    joining = asyncio.create_task(first.join())
    await live.reached("first")
    second = client.channel("room:1")
    with pytest.raises(ServiceError, match="took the place"):
        await joining
    live.open("first")
    await second.join()
    for _ in range(3):
        assert await second.push("echo", {"n": 1}, timeout=1) == {"n": 1}
    assert second.joined
    assert live.app.members("room:1") == 1


# Coming back


@rule("JS-4")
@pytest.mark.parametrize(("join_ref", "heard"), [("1", True), (None, True), ("", True), ("2", False), ("0", False)])
async def test_only_frames_of_this_join_are_told(
    scripted: Any, client_of: Any, join_ref: str | None, heard: bool
) -> None:
    channel = (await client_of(scripted.port)).channel("room:1")
    events: list[Any] = []
    channel.on(None, lambda event, payload: events.append(event))
    server = await scripted.joined(channel)
    await scripted.say(server, join_ref, None, "room:1", "told", {})
    await scripted.say(server, join_ref, join_ref, "room:1", "phx_close", {})
    await scripted.say(server, "1", "1", "room:1", "last", {})
    await scripted.say(server, None, None, "room:2", "told", {})
    pushing = asyncio.create_task(channel.push("echo"))
    if heard:
        with pytest.raises(ServiceError):
            await pushing
        assert events == ["told", "phx_close"]
    else:
        await scripted.answer(server)
        await pushing
        assert events == ["last"]


async def test_a_left_channel_does_not_come_back(live: Any, client_of: Any, until: Any) -> None:
    states: list[str] = []
    client = await client_of(live, params={"id": "ann"}, on_status=states.append)
    stays, left = client.channel("room:1"), client.channel("room:2")
    await stays.join()
    await left.join()
    await left.leave()
    live.app.disconnect("ann")
    await until(lambda: len(states) == 3 and stays.joined)
    assert live.app.members("room:1") == 1
    assert live.app.members("room:2") == 0
    with pytest.raises(ServiceError, match="over"):
        await left.join()


@rule("LV-5")
async def test_a_channel_that_the_server_closed_is_over(live: Any, client_of: Any) -> None:
    channel = (await client_of(live)).channel("room:1")
    await channel.join()
    with pytest.raises(ServiceError, match="the server closed room:1"):
        await channel.push("stop", {})
    assert not channel.joined


@rule("ER-2", "ER-3", "JS-2")
async def test_a_channel_that_crashed_is_joined_again(live: Any, client_of: Any, until: Any) -> None:
    channel = (await client_of(live)).channel("room:1")
    joins: list[Any] = []
    channel.on_joined = joins.append
    await channel.join()
    before = channel.join_ref
    with pytest.raises(ServiceError, match="crashed before the answer"):
        await channel.push("crash", {})
    assert await channel.push("echo", {"n": 1}) == {"n": 1}
    assert channel.join_ref != before
    assert len(joins) == 2


@rule("JS-2")
async def test_a_rejoin_that_is_refused_is_tried_again(scripted: Any, client_of: Any) -> None:
    channel = (await client_of(scripted.port)).channel("room:1")
    server = await scripted.joined(channel)
    await scripted.say(server, "1", "1", "room:1", "phx_error", {"reason": "channel_crash"})
    refs = [(await scripted.answer(server, {"reason": "join crashed"}, "error"))[0] for _ in range(3)]
    pushing = asyncio.create_task(channel.push("echo"))
    refs.append((await scripted.answer(server))[0])
    assert len(set(refs)) == 4
    assert (await scripted.answer(server, {"n": 1}))[0] == refs[-1]
    assert await pushing == {"n": 1}


async def test_a_rejoin_whose_payload_cannot_be_sent_is_tried_again(scripted: Any, client_of: Any) -> None:
    payloads = iter([{"n": 1}, {"n": float("nan")}, {"n": 3}])
    channel = (await client_of(scripted.port)).channel("room:1", lambda: next(payloads))
    server = await scripted.joined(channel)
    await scripted.say(server, "1", "1", "room:1", "phx_error", {"reason": "channel_crash"})
    assert (await scripted.hear(server))[3:] == ["phx_join", {"n": 3}]


@rule("JS-2", "JN-11")
async def test_a_rejoin_that_is_not_answered_is_left_and_tried_again(scripted: Any, client_of: Any) -> None:
    channel = (await client_of(scripted.port, timeout_seconds=0.1)).channel("room:1")
    server = await scripted.joined(channel)
    await server.close(1012)
    server = await scripted.accept()
    events = [(await scripted.hear(server))[3] for _ in range(3)]
    assert events == ["phx_join", "phx_leave", "phx_join"]


# What waits


async def test_pushes_made_during_a_break_follow_the_rejoin_in_order(scripted: Any, client_of: Any) -> None:
    states: list[str] = []
    client = await client_of(scripted.port, on_status=states.append)
    server = await scripted.accept()
    channel = client.channel("room:1")
    joining = asyncio.create_task(channel.join())
    early = asyncio.create_task(channel.push("event", {"n": 0}))
    await scripted.answer(server)
    await joining
    assert (await scripted.answer(server))[3:] == ["event", {"n": 0}]
    await early
    waiting: list[asyncio.Task[Any]] = []
    channel.on_joined = lambda response: waiting.append(asyncio.create_task(channel.push("event", {"n": 4})))
    await server.close(1012)
    while states[-1] != "reconnecting":
        await asyncio.sleep(0)
    waiting += [asyncio.create_task(channel.push("event", {"n": n})) for n in (1, 2)]
    waiting.append(asyncio.create_task(channel.send("event", b"3")))
    server = await scripted.accept()
    assert (await scripted.answer(server))[3] == "phx_join"
    assert [(await scripted.answer(server))[4] for _ in range(2)] == [{"n": 1}, {"n": 2}]
    assert (await scripted.hear(server)).endswith(b"event3")
    assert (await scripted.answer(server))[4] == {"n": 4}
    await asyncio.gather(*waiting)


async def test_what_waits_too_long_is_not_sent_any_more(scripted: Any, client_of: Any) -> None:
    client = await client_of(scripted.port)
    server = await scripted.accept()
    channel = client.channel("room:1")
    joining = asyncio.create_task(channel.join())
    join = await scripted.hear(server)
    late, kept = (asyncio.create_task(channel.push("event", {"n": n}, timeout=t)) for n, t in ((1, 0.02), (2, 5)))
    with pytest.raises(TimeoutError):
        await late
    await scripted.say(server, *join[:3], "phx_reply", {"status": "ok", "response": {}})
    assert (await scripted.answer(server))[4] == {"n": 2}
    await asyncio.gather(joining, kept)


async def test_no_more_wait_than_there_is_room_for(scripted: Any, client_of: Any) -> None:
    client = await client_of(scripted.port, max_waiting=2)
    channel = client.channel("room:1")
    joining = asyncio.create_task(channel.join())
    server = await scripted.accept()
    waiting = [asyncio.create_task(channel.push("event", {"n": n})) for n in range(2)]
    await scripted.hear(server)
    with pytest.raises(ServiceError, match="2 messages wait for room:1"):
        await channel.push("event", {"n": 2})
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    waiting.append(asyncio.create_task(channel.push("event", {"n": 3})))
    await scripted.say(server, "1", "1", "room:1", "phx_reply", {"status": "error", "response": {"reason": "full"}})
    with pytest.raises(PushError, match="full"):
        await joining
    results = await asyncio.gather(*waiting[1:], return_exceptions=True)
    assert [str(result) for result in results] == ["room:1 could not be joined"] * 2


async def test_what_was_sent_before_a_break_is_not_sent_twice(scripted: Any, client_of: Any) -> None:
    channel = (await client_of(scripted.port)).channel("room:1")
    server = await scripted.joined(channel)
    sent = asyncio.create_task(channel.push("event", {"n": 1}))
    await scripted.hear(server)
    await server.close(1001)
    with pytest.raises(ConnectionLostError):
        await sent
    server = await scripted.accept()
    assert (await scripted.answer(server))[3] == "phx_join"
    again = asyncio.create_task(channel.push("event", {"n": 2}))
    assert (await scripted.answer(server))[4] == {"n": 2}
    await again


# Leaving


@rule("JS-6")
async def test_leaving_without_a_connection_is_settled_here(scripted: Any, client_of: Any, until: Any) -> None:
    client = await client_of(scripted.port, reconnect_seconds=(100.0,))
    channel = client.channel("room:1")
    server = await scripted.joined(channel)
    await server.close(1001)
    await until(lambda: not client.connected)
    pushing = asyncio.create_task(channel.push("event"))
    await asyncio.sleep(0)
    await channel.leave()
    with pytest.raises(ServiceError, match="room:1 was left"):
        await pushing


async def test_leaving_needs_no_answer(scripted: Any, client_of: Any) -> None:
    channel = (await client_of(scripted.port, timeout_seconds=0.05)).channel("room:1")
    server = await scripted.joined(channel)
    await channel.leave()
    assert await scripted.hear(server) == ["1", "2", "room:1", "phx_leave", {}]


@pytest.mark.parametrize("waits", ["for its payload", "for the connection"])
async def test_what_is_left_before_it_is_joined_is_not_joined(
    scripted: Any, client_of: Any, until: Any, waits: str
) -> None:
    ready = asyncio.Event()

    async def payload() -> dict[str, Any]:
        await ready.wait()
        return {}

    client = await client_of(scripted.port)
    server = await scripted.accept()
    if waits == "for the connection":
        await server.close(1001)
        await until(lambda: not client.connected)
        ready.set()
    channel = client.channel("room:1", payload)
    joining = asyncio.create_task(channel.join())
    await asyncio.sleep(0)
    await channel.leave()
    if waits == "for the connection":
        server = await scripted.accept()
    ready.set()
    with pytest.raises(ServiceError, match="left before"):
        await joining
    second = asyncio.create_task(client.channel("room:2").join())
    assert (await scripted.answer(server))[2] == "room:2"
    await second


# Going on where it stopped


async def test_a_channel_that_resumes_says_how_far_it_has_come(scripted: Any, client_of: Any, until: Any) -> None:
    client = await client_of(scripted.port)
    channel = client.channel("room:1", {"limit": 5}, resume=True)
    told: list[Any] = []
    channel.on_recovered = told.append
    channel.on_joined = lambda response: told.append(response["cursor"])
    joining = asyncio.create_task(channel.join())
    server = await scripted.accept()
    assert (await scripted.answer(server, {"cursor": "a1"}))[4] == {"limit": 5}
    await joining
    for since, event, recovered in (("a1", {}, True), ("b1", {"cursor": "b1"}, False), ("c2", {"cursor": "c2"}, None)):
        await scripted.say(server, None, None, "room:1", "message", event)
        await scripted.say(server, None, None, "room:1", "bytes", [1])
        await server.close(1012)
        server = await scripted.accept()
        answer = {"cursor": f"{since}+"} | ({} if recovered is None else {"recovered": recovered})
        assert (await scripted.answer(server, answer))[4] == {"limit": 5, "since": since}
        await until(lambda: channel.joined)
    await until(lambda: len(told) == 7)
    assert told == ["a1", True, "a1+", False, "b1+", False, "c2+"]


async def test_a_channel_that_does_not_resume_names_no_cursor(scripted: Any, client_of: Any) -> None:
    client = await client_of(scripted.port)
    channel = client.channel("room:1")
    joining = asyncio.create_task(channel.join())
    server = await scripted.accept()
    await scripted.answer(server, {"cursor": "a1"})
    await joining
    await server.close(1001)
    assert (await scripted.answer(await scripted.accept()))[4] == {}
