"""What a socket does with frames, whatever channel they are for."""

import asyncio
from typing import Any

import pytest

from tests.rules import rule


def ok(join_ref: Any, ref: Any, topic: str, response: Any = None) -> list[Any]:
    return [join_ref, ref, topic, "phx_reply", {"status": "ok", "response": response or {}}]


@rule("HB-1", "HB-2")
@pytest.mark.parametrize("ref", ["1", None, 5])
async def test_a_heartbeat_is_answered_with_a_null_join_ref(wire: Any, ref: Any) -> None:
    await wire.send(["ignored", ref, "phoenix", "heartbeat", {"any": 1}])
    await wire.expect(ok(None, ref, "phoenix"))


@rule("HB-3")
async def test_other_events_of_the_control_topic_are_ordinary(wire: Any) -> None:
    await wire.send([None, "1", "phoenix", "other", {}])
    error = {"status": "error", "response": {"reason": "unmatched topic"}}
    await wire.expect([None, "1", "phoenix", "phx_reply", error])


@rule("MD-1")
async def test_one_socket_carries_many_topics(wire: Any) -> None:
    for n in range(20):
        assert await wire.join(f"room:{n}", join_ref=str(n)) == ok(str(n), str(n), f"room:{n}")
    await wire.send(*([str(n), "x", f"room:{n}", "echo", {"n": n}] for n in range(20)))
    await wire.expect(*(ok(str(n), "x", f"room:{n}", {"n": n}) for n in range(20)))


@rule("MD-3")
async def test_frames_of_a_topic_stay_in_order_behind_a_slow_join_and_others_pass(live: Any, wire: Any) -> None:
    await wire.send(
        ["1", "1", "room:1", "phx_join", {"gate": "join"}],
        ["1", "2", "room:1", "echo", {"n": 1}],
        ["1", "3", "room:1", "gated", {"gate": "handler"}],
        ["1", "4", "room:1", "echo", {"n": 2}],
        ["2", "2", "room:2", "phx_join", {}],
        [None, "5", "phoenix", "heartbeat", {}],
    )
    await wire.expect(ok("2", "2", "room:2"), ok(None, "5", "phoenix"))
    live.open("join")
    await wire.expect(ok("1", "1", "room:1"), ok("1", "2", "room:1", {"n": 1}))
    live.open("handler")
    await wire.expect(ok("1", "3", "room:1", {"after": "handler"}), ok("1", "4", "room:1", {"n": 2}))


@rule("MD-3")
async def test_frames_behind_a_refused_join_find_no_channel(live: Any, wire: Any) -> None:
    await wire.send(
        ["1", "1", "room:1", "phx_join", {"gate": "join", "deny": "no"}],
        ["1", "2", "room:1", "echo", {}],
        ["3", "3", "room:1", "phx_join", {}],
        ["3", "4", "room:1", "echo", {}],
    )
    await live.reached("join")
    live.open("join")
    error = {"status": "error", "response": {"reason": "no"}}
    unmatched = {"status": "error", "response": {"reason": "unmatched topic"}}
    await wire.expect(
        ["1", "1", "room:1", "phx_reply", error],
        [None, "2", "room:1", "phx_reply", unmatched],
        ok("3", "3", "room:1"),
        ok("3", "4", "room:1"),
    )


@rule("MD-4")
async def test_a_broadcast_during_the_join_never_reaches_the_joiner(live: Any, wire: Any) -> None:
    await wire.send(["1", "1", "room:1", "phx_join", {"gate": "join"}])
    await live.reached("join")
    live.app.broadcast("room:1", "message", {"n": 1})
    live.open("join")
    await wire.expect(ok("1", "1", "room:1"))
    live.app.broadcast("room:1", "message", {"n": 2})
    await wire.expect([None, None, "room:1", "message", {"n": 2}])


@rule("MD-4")
async def test_a_channel_that_subscribes_early_misses_nothing(live: Any, wire: Any) -> None:
    live.app.broadcast("room:1", "message", {"n": 0})
    await wire.send(["1", "1", "room:1", "phx_join", {"subscribe": True, "gate": "join"}])
    await live.reached("join")
    live.app.broadcast("room:1", "message", {"n": 1})
    await wire.nothing_more()
    live.app.broadcast("room:1", "message", {"n": 2})
    live.open("join")
    await wire.expect(
        ok("1", "1", "room:1"),
        [None, None, "room:1", "message", {"n": 1}],
        [None, None, "room:1", "message", {"n": 2}],
    )
    live.app.broadcast("room:1", "message", {"n": 3})
    await wire.expect([None, None, "room:1", "message", {"n": 3}])


@rule("MD-4")
async def test_what_was_kept_for_a_refused_join_is_dropped(live: Any, wire: Any) -> None:
    await wire.send(["1", "1", "room:1", "phx_join", {"subscribe": True, "gate": "join", "deny": "no"}])
    await live.reached("join")
    live.app.broadcast("room:1", "message", {"n": 1})
    live.open("join")
    assert (await wire.receive())[4]["status"] == "error"
    await wire.nothing_more()
    assert live.app.members("room:1") == 0


@rule("MD-4")
async def test_a_join_that_falls_too_far_behind_is_given_up(serve: Any) -> None:
    live = await serve(blocked_bytes=2048)
    wire = await live.wire()
    await wire.send(["1", "1", "room:1", "phx_join", {"subscribe": True, "gate": "never"}])
    await live.reached("never")
    for _ in range(3):
        live.app.broadcast("room:1", "message", {"text": "x" * 1000})
        await asyncio.sleep(0)
    assert await wire.closed() == 1013


@rule("LM-3")
async def test_a_flood_behind_a_busy_channel_stops_the_reading_and_loses_nothing(serve: Any) -> None:
    live = await serve(max_queued_frames=10, idle_seconds=0.5)
    wire = await live.wire()
    await wire.join("room:1")
    await wire.send(["1", "0", "room:1", "gated", {"gate": "slow"}])
    await live.reached("slow")
    sending = asyncio.create_task(
        wire.send(*(["1", str(n), "room:1", "echo", {"n": n, "text": "x" * 4000}] for n in range(2000)))
    )
    # Not being read is no reason to be closed as silent.
    await asyncio.sleep(0.8)
    live.open("slow")
    await wire.expect(ok("1", "0", "room:1", {"after": "slow"}))
    for n in range(2000):
        assert (await wire.receive())[4]["response"]["n"] == n
    await sending


@rule("ER-6", "ER-8")
@pytest.mark.parametrize(
    "text",
    [
        "{}", "5", "null", '"x"', "[]", '["1","1","room:1","echo"]', "not json", "", "[1,2", '["1","1",5,"echo",{}]',
        '["1","1","room:1",7,{}]', '["1","1",null,"echo",{}]', '["1","1","room:1","echo",{}] x', "\ufeff[]",
        '["1","1","room:1","echo",NaN]', '["1","1","room:1","echo","\\ud800"]',
    ],
)  # fmt: skip
async def test_bad_input_ends_the_whole_socket(live: Any, wire: Any, text: str) -> None:
    await wire.join("room:1")
    await wire.connection.send(text)
    assert await wire.closed() == 1011
    assert await live.ended() == ("room:1", "closed")


@rule("ER-6")
async def test_frames_before_the_bad_one_are_handled(wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "echo", {}])
    await wire.connection.send("bad")
    await wire.expect(ok("1", "2", "room:1"))
    assert await wire.closed() == 1011


@rule("ER-7")
@pytest.mark.parametrize("depth", [101, 5_000, 50_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
async def test_depth_bombs_are_bad_input(wire: Any, depth: int, brackets: str) -> None:
    opening = "[" if brackets == "[]" else '{"a":'
    await wire.connection.send(f'["1","1","room:1","echo",{opening * depth}1{brackets[1] * depth}]')
    assert await wire.closed() == 1011


@rule("ER-7")
async def test_many_brackets_that_are_not_deep_are_fine(wire: Any) -> None:
    await wire.join("room:1")
    payload = {"rows": [[n, {"n": n}] for n in range(500)], "text": "[" * 500}
    await wire.send(["1", "2", "room:1", "echo", payload])
    await wire.expect(ok("1", "2", "room:1", payload))


@rule("V2-1")
async def test_extra_elements_are_ignored(wire: Any) -> None:
    await wire.send([None, "1", "phoenix", "heartbeat", {}, "extra", 7])
    await wire.expect(ok(None, "1", "phoenix"))


@rule("DC-2")
async def test_a_socket_is_closed_by_its_id(live: Any) -> None:
    ann, also_ann, bob = [await live.wire(f"vsn=2.0.0&id={name}") for name in ("ann", "ann", "bob")]
    await ann.join("room:1")
    live.app.broadcast("ann", "other", {})
    live.app.broadcast("ann", "disconnect", {})
    assert await ann.closed() == 1001
    assert await also_ann.closed() == 1001
    await bob.nothing_more()
    assert await live.ended() == ("room:1", "closed")
    assert live.app.disconnect("bob") == 1
    assert await bob.closed() == 1001
    async with asyncio.timeout(5):
        while live.app.disconnect("bob"):
            await asyncio.sleep(0.001)
