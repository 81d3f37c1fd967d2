"""Joining, leaving, crashing: the life of one channel on one socket, over real connections."""

import asyncio
import gc
from typing import Any

import pytest

from antiphon.realtime.channel import NOBODY, Channel
from antiphon.realtime.members.member import Member
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.transports.websocket import WebSocketProtocol
from tests.rules import rule


def ok(join_ref: Any, ref: Any, topic: str, response: Any = None) -> list[Any]:
    return [join_ref, ref, topic, "phx_reply", {"status": "ok", "response": response or {}}]


def failed(join_ref: Any, ref: Any, topic: str, reason: str) -> list[Any]:
    return [join_ref, ref, topic, "phx_reply", {"status": "error", "response": {"reason": reason}}]


# --- joining ------------------------------------------------------------------------------------------------------


@rule("JN-1")
@pytest.mark.parametrize("ref", ["3", 7, None, [1, "x"]])
async def test_join_is_answered_with_its_refs_as_sent(wire: Any, ref: Any) -> None:
    await wire.send([ref, ref, "room:1", "phx_join", {}])
    await wire.expect(ok(ref, ref, "room:1"))


@rule("JN-1")
@pytest.mark.parametrize(
    ("answer", "status", "response"),
    [
        (None, "ok", {}),
        ({"a": 1}, "ok", {"a": 1}),
        ({"status": "ok"}, "ok", {}),
        ({"status": "ok", "a": 1}, "ok", {"a": 1}),
        ({"status": "error", "reason": "full"}, "error", {"reason": "full"}),
    ],
)
async def test_what_the_callback_returns_is_the_answer(wire: Any, answer: Any, status: str, response: Any) -> None:
    reply = await wire.join("room:1", {"answer": answer})
    assert reply[4] == {"status": status, "response": response}


@rule("JN-2")
async def test_a_refused_join_subscribes_to_nothing(live: Any, wire: Any) -> None:
    assert await wire.join("room:1", {"deny": "no"}) == failed("1", "1", "room:1", "no")
    assert live.app.members("room:1") == 0
    live.app.broadcast("room:1", "message", {})
    await wire.send(["1", "2", "room:1", "echo", {}])
    await wire.expect(failed(None, "2", "room:1", "unmatched topic"))
    assert live.ends.empty()


@rule("JN-3")
@pytest.mark.parametrize("payload", [{"crash": True}, {"answer": "nonsense"}, {"push": True}])
async def test_a_crashing_join_tells_nothing_and_the_socket_lives(wire: Any, payload: Any) -> None:
    assert await wire.join("room:1", payload) == failed("1", "1", "room:1", "join crashed")
    assert await wire.join("room:1") == ok("1", "1", "room:1")


@rule("JN-3")
async def test_a_factory_that_fails_is_a_crashed_join(wire: Any) -> None:
    assert await wire.join("broken") == failed("1", "1", "broken", "join crashed")
    await wire.nothing_more()


@rule("JN-4")
async def test_a_topic_without_a_route(live: Any, wire: Any, logged: list[Any]) -> None:
    assert await wire.join("nowhere") == failed(None, "1", "nowhere", "unmatched topic")
    for _ in range(5):
        assert (await wire.join("neither"))[4]["response"] == {"reason": "unmatched topic"}
    assert b"antiphon_ws_unmatched_total 6.0" in live.metrics.render()
    warned = [line["topic"] for line in logged if line["event"] == "realtime.unmatched_topic"]
    assert warned == ["nowhere"], "a client that tries many topics must not fill the log"


@rule("JN-5")
async def test_too_many_channels(serve: Any) -> None:
    live = await serve(max_channels=2)
    wire = await live.wire()
    assert await wire.join("room:1") == ok("1", "1", "room:1")
    assert await wire.join("room:2") == ok("1", "1", "room:2")
    assert await wire.join("room:3", join_ref="9") == failed("9", "9", "room:3", "too many channels joined")
    # Joining a joined topic again is no further channel.
    assert await wire.join("room:2", join_ref="5") == ok("5", "5", "room:2")


@rule("JN-6")
async def test_duplicate_join_answers_first_and_closes_the_old_after(live: Any, wire: Any) -> None:
    await wire.join("room:1", join_ref="1")
    await wire.send(["2", "2", "room:1", "phx_join", {}], ["2", "3", "room:1", "echo", {"x": 1}])
    await wire.expect(ok("2", "2", "room:1"), ["1", "1", "room:1", "phx_close", {}], ok("2", "3", "room:1", {"x": 1}))
    assert await live.ended() == ("room:1", "replaced")
    assert live.app.members("room:1") == 1


@rule("JN-6")
async def test_duplicate_join_that_is_refused_leaves_the_topic_unjoined(live: Any, wire: Any) -> None:
    await wire.join("room:1", join_ref="1")
    await wire.send(["2", "2", "room:1", "phx_join", {"deny": "no"}], ["2", "3", "room:1", "echo", {}])
    await wire.expect(
        failed("2", "2", "room:1", "no"),
        ["1", "1", "room:1", "phx_close", {}],
        failed(None, "3", "room:1", "unmatched topic"),
    )
    assert live.app.members("room:1") == 0


@rule("JN-6")
async def test_a_running_handler_gets_some_grace_and_is_then_cancelled(serve: Any) -> None:
    live = await serve(replace_seconds=0.05)
    wire = await live.wire()
    await wire.join("room:1", join_ref="1")
    await wire.send(["1", "2", "room:1", "gated", {"gate": "never"}], ["5", "5", "room:1", "phx_join", {}])
    await wire.expect(ok("5", "5", "room:1"), ["1", "1", "room:1", "phx_close", {}])
    assert await live.ended() == ("room:1", "replaced")


@pytest.mark.parametrize("topic", ["room:slow_leave", "room:stubborn_leave"])
async def test_a_farewell_that_never_ends_does_not_keep_anybody_from_joining_again(
    serve: Any, topic: str, logged: list[Any]
) -> None:
    live = await serve(replace_seconds=0.05)
    wire = await live.wire()
    await wire.join(topic, join_ref="1")
    await wire.send(["2", "2", topic, "phx_join", {}], ["2", "3", topic, "echo", {}])
    await wire.expect(ok("2", "2", topic), ["1", "1", topic, "phx_close", {}], ok("2", "3", topic))
    abandoned = [line["topic"] for line in logged if line["event"] == "realtime.channel_abandoned"]
    assert abandoned == ([topic] if "stubborn" in topic else [])


async def test_a_farewell_that_never_ends_is_cancelled_after_a_leave_too(serve: Any, logged: list[Any]) -> None:
    live = await serve(replace_seconds=0.05)
    wire = await live.wire()
    await wire.join("room:slow_leave")
    await wire.send(["1", "2", "room:slow_leave", "phx_leave", {}])
    await wire.expect(ok("1", "2", "room:slow_leave"), ["1", "1", "room:slow_leave", "phx_close", {}])
    async with asyncio.timeout(5):
        while not any(line["event"] == "realtime.leave_failed" for line in logged):
            await asyncio.sleep(0.001)


@rule("JN-6")
async def test_three_joins_back_to_back(live: Any, wire: Any) -> None:
    await wire.send(*([ref, ref, "room:1", "phx_join", {}] for ref in ("1", "2", "3")))
    frames = [await wire.receive() for _ in range(5)]
    assert [frame for frame in frames if frame[3] == "phx_reply"] == [ok(ref, ref, "room:1") for ref in ("1", "2", "3")]
    assert sorted(frame[0] for frame in frames if frame[3] == "phx_close") == ["1", "2"]
    assert live.app.members("room:1") == 1
    await wire.send(["3", "4", "room:1", "echo", {}])
    await wire.expect(ok("3", "4", "room:1"))


@rule("JN-6")
@pytest.mark.parametrize("deny", [False, True])
async def test_what_queues_behind_a_join_that_waits_for_its_predecessor_is_handled(
    live: Any, wire: Any, deny: bool
) -> None:
    await wire.join("room:1", join_ref="1")
    await wire.send(
        ["1", "2", "room:1", "gated", {"gate": "first"}],
        ["5", "5", "room:1", "phx_join", {"deny": "no"} if deny else {}],
        ["5", "6", "room:1", "echo", {"n": 6}],
        ["5", "7", "room:1", "echo", {"n": 7}],
    )
    await wire.nothing_more()
    live.open("first")
    await wire.expect(
        failed("5", "5", "room:1", "no") if deny else ok("5", "5", "room:1"),
        ["1", "1", "room:1", "phx_close", {}],
        failed(None, "6", "room:1", "unmatched topic") if deny else ok("5", "6", "room:1", {"n": 6}),
        failed(None, "7", "room:1", "unmatched topic") if deny else ok("5", "7", "room:1", {"n": 7}),
    )


@pytest.mark.parametrize("end", ["phx_leave", "crash"])
async def test_what_queues_behind_an_end_does_not_wait_for_the_farewell(live: Any, wire: Any, end: str) -> None:
    topic = "room:slow_leave"
    await wire.send(
        ["1", "1", topic, "phx_join", {"gate": "first"}],
        ["1", "3", topic, end, {}],
        ["5", "5", topic, "phx_join", {}],
        ["5", "6", topic, "echo", {"n": 6}],
    )
    await wire.nothing_more()
    live.open("first")
    async with asyncio.timeout(5):
        while await wire.receive() != ok("5", "6", topic, {"n": 6}):
            pass
    assert live.ends.empty()
    live.open("leave")
    assert await live.ended() == (topic, "left" if end == "phx_leave" else "crashed")


@rule("JN-8")
async def test_leave_with_a_join_right_behind(wire: Any) -> None:
    await wire.join("room:1", join_ref="1")
    await wire.send(["1", "2", "room:1", "phx_leave", {}], ["3", "3", "room:1", "phx_join", {}])
    await wire.expect(ok("1", "2", "room:1"), ["1", "1", "room:1", "phx_close", {}], ok("3", "3", "room:1"))


@rule("JN-9")
async def test_a_join_without_join_ref_goes_by_its_ref(wire: Any) -> None:
    await wire.send([None, "4", "room:1", "phx_join", {}], ["other", "5", "room:1", "push", {}])
    await wire.expect(ok(None, "4", "room:1"), ["4", None, "room:1", "pushed", {}])
    await wire.send([None, "6", "room:1", "phx_leave", {}])
    await wire.expect(ok("4", "6", "room:1"), [None, None, "room:1", "phx_close", {}])


@rule("JN-10")
async def test_work_after_the_join_comes_after_its_reply(wire: Any) -> None:
    await wire.send(["1", "1", "room:after", "phx_join", {}], ["1", "2", "room:after", "echo", {}])
    await wire.expect(
        ok("1", "1", "room:after"),
        ["1", None, "room:after", "welcome", {"topic": "room:after"}],
        ok("1", "2", "room:after"),
    )


@rule("JN-11")
async def test_join_leave_join_of_a_client_that_lost_its_patience(live: Any, wire: Any) -> None:
    await wire.send(
        ["1", "1", "room:1", "phx_join", {"gate": "slow"}],
        ["1", "2", "room:1", "phx_leave", {}],
        ["3", "3", "room:1", "phx_join", {}],
        ["3", "4", "room:1", "echo", {}],
    )
    await wire.nothing_more()
    live.open("slow")
    await wire.expect(
        ok("1", "1", "room:1"),
        ok("1", "2", "room:1"),
        ["1", "1", "room:1", "phx_close", {}],
        ok("3", "3", "room:1"),
        ok("3", "4", "room:1"),
    )


@rule("JN-13")
async def test_a_client_that_leaves_during_its_join_cancels_it(live: Any, wire: Any) -> None:
    await wire.send(["1", "1", "room:1", "phx_join", {"gate": "never", "subscribe": True}])
    await live.reached("never")
    assert live.app.members("room:1") == 1
    await wire.connection.close()
    async with asyncio.timeout(5):
        while live.app.members("room:1"):
            await asyncio.sleep(0.001)
    assert live.ends.empty()


# --- leaving ------------------------------------------------------------------------------------------------------


@rule("LV-1")
@pytest.mark.parametrize("join_ref", ["1", None])
async def test_leave_is_answered_then_closed(live: Any, wire: Any, join_ref: Any) -> None:
    await wire.join("room:1")
    await wire.send([join_ref, "2", "room:1", "phx_leave", {}])
    await wire.expect(ok("1", "2", "room:1"), ["1", "1", "room:1", "phx_close", {}])
    assert await live.ended() == ("room:1", "left")


@rule("LV-3")
async def test_a_stale_leave_is_ignored(live: Any, wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(["old", "2", "room:1", "phx_leave", {}])
    await wire.nothing_more()
    assert live.app.members("room:1") == 1


@rule("LV-4")
async def test_leaving_what_was_never_joined(wire: Any) -> None:
    await wire.send(["7", "2", "room:1", "phx_leave", {}])
    await wire.expect(ok("7", "2", "room:1"))
    await wire.nothing_more()


@rule("LV-5")
@pytest.mark.parametrize("reply", [None, {"last": "word"}])
async def test_a_channel_that_stops_itself_closes(live: Any, wire: Any, reply: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "stop", {"reply": reply}])
    if reply:
        await wire.expect(ok("1", "2", "room:1", reply))
    await wire.expect(["1", "1", "room:1", "phx_close", {}])
    assert await live.ended() == ("room:1", "normal")


@rule("LV-5")
async def test_a_stop_for_another_reason_is_an_error(wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "stop", {"reason": "overload"}])
    await wire.expect(["1", "1", "room:1", "phx_error", {"reason": "channel_crash"}])


@rule("LV-6")
async def test_leaving_one_channel_leaves_the_others(wire: Any) -> None:
    await wire.join("room:1")
    await wire.join("room:2")
    await wire.send(["1", "2", "room:1", "phx_leave", {}], ["1", "3", "room:2", "echo", {}])
    await wire.expect(ok("1", "2", "room:1"), ["1", "1", "room:1", "phx_close", {}], ok("1", "3", "room:2"))


# --- crashing -----------------------------------------------------------------------------------------------------


@rule("ER-1", "ER-3")
async def test_a_crash_ends_the_channel_only_and_tells_nothing(live: Any, wire: Any) -> None:
    await wire.join("room:1")
    await wire.join("room:2")
    await wire.send(
        ["1", "2", "room:1", "crash", {}], ["1", "3", "room:1", "echo", {}], ["1", "4", "room:2", "echo", {}]
    )
    await wire.expect(
        ["1", None, "room:1", "before", {}],
        ["1", "1", "room:1", "phx_error", {"reason": "channel_crash"}],
        failed(None, "3", "room:1", "unmatched topic"),
        ok("1", "4", "room:2"),
    )
    assert await live.ended() == ("room:1", "crashed")
    assert b"antiphon_ws_channel_crashes_total 1.0" in live.metrics.render()


@rule("ER-3")
async def test_a_reply_that_is_no_json_crashes_the_channel(wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "unsendable", {}])
    await wire.expect(["1", "1", "room:1", "phx_error", {"reason": "channel_crash"}])


@rule("DC-1")
async def test_a_lost_connection_ends_every_channel(live: Any, wire: Any) -> None:
    await wire.join("room:1")
    await wire.join("room:2")
    wire.connection.transport.abort()
    assert sorted([await live.ended(), await live.ended()]) == [("room:1", "closed"), ("room:2", "closed")]
    assert live.app.members("room:1") == live.app.members("room:2") == 0


@rule("DC-1")
async def test_a_handler_that_runs_may_finish_when_the_connection_is_lost(live: Any, wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "gated", {"gate": "slow"}], ["1", "3", "room:1", "echo", {}])
    await live.reached("slow")
    wire.connection.transport.abort()
    async with asyncio.timeout(5):
        while live.app.members("room:1"):
            await asyncio.sleep(0.001)
    assert live.ends.empty()
    live.open("slow")
    assert await live.ended() == ("room:1", "closed")


# --- what is left -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("last", ["echo", "crash", "gated", "phx_leave"])
async def test_nothing_of_those_who_are_gone_waits_for_the_collector(
    serve: Any, compression: str | None, last: str
) -> None:
    live = await serve(compression=True)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            wire = await live.wire(compression=compression)
            await wire.join("room:1")
            await wire.send(["1", "2", "room:1", last, {"gate": "open"}])
            if last == "gated":
                await live.reached("open")
            await wire.nothing_more() if last == "gated" else await wire.receive()
            await wire.connection.close()
        live.open("open")
        for _ in range(10):
            await live.ended()
        async with asyncio.timeout(5):
            while len(live.app.sockets):
                await asyncio.sleep(0.001)
        kinds = WebSocketProtocol, Socket, Member, Channel
        left = [thing for thing in gc.get_objects() if isinstance(thing, kinds) and thing is not NOBODY]
        assert left == []
    finally:
        gc.enable()
