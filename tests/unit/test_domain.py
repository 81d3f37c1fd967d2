import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.domain import AnyPart, ChannelMessage, Message, NoticePart, Target, TextPart, ToolPart, Usage, new_id, now

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

TOKENS = st.integers(0, 10**9)
USAGES = st.builds(
    Usage,
    input_tokens=TOKENS,
    output_tokens=TOKENS,
    cached_tokens=TOKENS,
    reasoning_tokens=TOKENS,
    cost=st.none() | st.integers(0, 2**20).map(float),
    estimated=st.booleans(),
)


def milliseconds(ulid: str) -> int:
    value = 0
    for letter in ulid:
        value = value * 32 + ALPHABET.index(letter)
    return value >> 80


def test_an_id_is_a_ulid_of_this_moment() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    ulid = new_id()
    assert len(ulid) == 26
    assert before.timestamp() * 1000 <= milliseconds(ulid) <= datetime.now(UTC).timestamp() * 1000 + 1


def test_ids_only_grow_and_never_repeat() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_ids_grow_even_when_the_clock_runs_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_id()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600_000_000_000)
    later = [new_id() for _ in range(3)]
    assert [first, *later] == sorted({first, *later})


def test_threads_never_get_the_same_id() -> None:
    barrier, ids = threading.Barrier(8), list[str]()

    def take() -> None:
        barrier.wait()
        ids.extend([new_id() for _ in range(2000)])

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 16_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
def test_a_forked_process_draws_its_own_ids() -> None:
    program = """
import os, sys
from unittest import mock
from antiphon.domain import new_id
with mock.patch("time.time_ns", return_value=1_800_000_000_000_000_000):
    new_id()
    child = os.fork()
    sys.stdout.write(new_id() + "\\n")
    sys.stdout.flush()
    if child:
        os.waitpid(child, 0)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, second = told.stdout.split()
    assert first[:10] == second[:10], "the clock stands still"
    assert first != second


@given(USAGES, USAGES, USAGES)
def test_usage_adds_up_in_any_order(one: Usage, two: Usage, three: Usage) -> None:
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    total = one + two
    assert total.input_tokens == one.input_tokens + two.input_tokens
    assert (total.cost is None) == (one.cost is None or two.cost is None)
    assert total.estimated == (one.estimated or two.estimated)


def test_parts_survive_storage_and_tell_their_type() -> None:
    parts: tuple[AnyPart, ...] = (
        TextPart(text="a"),
        ToolPart(call_id="c", name="clock", arguments="{}", status="done", result="12:00", elapsed_ms=1.5),
        NoticePart(code="interrupted", text="Stopped."),
    )
    stored = msgspec.json.encode(parts)
    assert b'"type":"tool"' in stored
    assert msgspec.json.decode(stored, type=tuple[AnyPart, ...]) == parts


def test_a_reader_refuses_a_part_that_it_does_not_know() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'[{"type":"hologram"}]', type=tuple[AnyPart, ...])


def test_values_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Usage().input_tokens = 1  # type: ignore[misc]


def test_the_target_is_frozen_into_the_message_that_arrives() -> None:
    message = ChannelMessage(adapter="telegram", place="42", account="7", key="k", text="hi", thread="t", reply_to="r")
    assert message.target == Target(adapter="telegram", place="42", thread="t", reply_to="r")


def test_times_are_utc_on_the_wire() -> None:
    message = Message(
        id="m", conversation_id="c", position=1, ticket=1, role="user", text="hi", turn_id="t", status="accepted",
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(message))["created_at"] == "2026-01-02T03:04:05Z"
    assert now().utcoffset() == timedelta(0)
