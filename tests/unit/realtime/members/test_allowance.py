"""How much one socket may ask for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.members.bucket import Bucket

TIMES = st.lists(st.floats(0, 5), min_size=1, max_size=60)


@given(TIMES, st.floats(0.1, 20), st.floats(1, 10))
def test_no_more_pass_than_the_burst_and_the_rate_allow(pauses: list[float], rate: float, burst: float) -> None:
    now, passed, bucket = 0.0, 0, Bucket(rate, burst, 0.0)
    for pause in pauses:
        now += pause
        passed += bucket.take(now) == 0
        assert passed <= burst + now * rate + 1e-6


@given(TIMES, st.floats(0.1, 20), st.floats(1, 10))
def test_who_waits_as_long_as_told_passes(pauses: list[float], rate: float, burst: float) -> None:
    now, bucket = 0.0, Bucket(rate, burst, 0.0)
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        if wait:
            now += wait + 1e-6
            assert bucket.take(now) == 0


@given(TIMES, st.floats(0.1, 20), st.floats(1, 200))
def test_who_takes_on_loan_gets_nothing_that_one_who_asks_each_time_would_not(
    pauses: list[float], rate: float, burst: float
) -> None:
    now, free, lent = 0.0, 0, 0
    lender, exact = Bucket(rate, burst, 0.0), Bucket(rate, burst + 1e-6, 0.0)
    for pause in pauses * 3:
        now += pause
        if free:
            free -= 1
            assert exact.take(now) == 0
            continue
        wait = lender.take(now, lent)
        assert wait or exact.take(now) == 0
        free = lent = 0 if wait else lender.to_lend(32)
        assert lent <= burst / 16


async def test_messages_above_the_rate_are_answered_with_an_error_and_do_nothing(serve: Any) -> None:
    live = await serve(max_messages_per_second=0.5)
    wire, neighbour = await live.wire(), await live.wire()
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "broadcast", {"n": 1}], [None, "3", "phoenix", "heartbeat", {}])
    answer = await wire.receive()
    assert answer[:4] == ["1", "2", "room:1", "phx_reply"]
    assert answer[4]["status"] == "error"
    assert answer[4]["response"]["reason"] == "too many messages"
    assert 0 < answer[4]["response"]["retry_after_ms"] <= 2000
    assert (await wire.receive())[4]["status"] == "error"
    await neighbour.join("room:1")
    assert b'antiphon_ws_rate_limited_total{limit="messages"} 2.0' in live.metrics.render()


async def test_many_sockets_that_send_too_much_are_one_line_a_second(serve: Any, logged: list[Any]) -> None:
    live = await serve(max_messages_per_second=0.5)
    for _ in range(20):
        wire = await live.wire()
        for ref in range(3):
            await wire.send([None, str(ref), "phoenix", "heartbeat", {}])
            await wire.receive()
    said = [line for line in logged if line["event"] == "realtime.rate_limited"]
    assert 1 <= len(said) < 10
    assert said[0]["reason"] == "too many messages"


async def test_a_burst_is_as_long_as_it_may_be(serve: Any) -> None:
    live = await serve(max_messages_per_second=32)
    wire = await live.wire()
    await wire.join("room:1")
    await wire.send(*(["1", str(number), "room:1", "echo", {}] for number in range(200)))
    statuses = [(await wire.receive())[4]["status"] for _ in range(200)]
    # The join was the first of 64; while they come some more become free.
    assert statuses[:63] == ["ok"] * 63
    assert "error" in statuses


async def test_joins_have_a_rate_of_their_own(serve: Any) -> None:
    live = await serve(max_joins_per_second=0.5, max_channels=1)
    wire = await live.wire()
    await wire.join("room:0")
    await wire.join("room:0")
    await wire.receive()  # the end of the first
    reply = await wire.join("room:0", join_ref="7")
    assert reply[4]["response"]["reason"] == "too many joins"
    await wire.send(["1", "8", "room:0", "echo", {"still": "here"}])
    await wire.expect(["1", "8", "room:0", "phx_reply", {"status": "ok", "response": {"still": "here"}}])
    assert b'antiphon_ws_rate_limited_total{limit="joins"} 1.0' in live.metrics.render()


@pytest.mark.parametrize("setting", ["max_messages_per_second", "max_joins_per_second"])
async def test_both_can_be_lifted(serve: Any, setting: str) -> None:
    live = await serve(rate_limit_enabled=False, max_channels=1, **{setting: 0.01})
    wire = await live.wire()
    for _ in range(5):
        await wire.send(["1", "1", "room:1", "phx_join", {}], ["1", "1", "room:1", "phx_leave", {}])
        assert [(await wire.receive())[3] for _ in range(3)] == ["phx_reply", "phx_reply", "phx_close"]
