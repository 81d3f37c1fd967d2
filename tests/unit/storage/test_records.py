"""Rows, titles, texts and the joining of chunks."""

from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.domain import FORMAT, ReasoningPart, TextPart, ToolPart, TurnRecord
from antiphon.errors import ServiceError
from antiphon.storage.sql.records import (
    PARTS,
    dump,
    load_record,
    message_of,
    micros,
    moment,
    parts_of,
    storable,
    storable_data,
    title_of,
)

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS)
def test_a_time_comes_back_to_the_microsecond(at: datetime) -> None:
    assert moment(micros(at)) == at


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    assert moment(micros(at)) == at
    assert moment(micros(at)).tzinfo is UTC


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_number_of_a_column_is_a_time(value: int) -> None:
    assert micros(moment(value)) == min(max(value, micros(moment(-(2**63)))), micros(moment(2**63 - 1)))


@given(st.text(st.characters()))
def test_storable_text_is_what_every_database_takes(text: str) -> None:
    kept = storable(text)
    kept.encode()
    assert "\0" not in kept
    assert storable(kept) == kept
    if "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text):
        assert kept == text


def test_two_halves_of_a_character_become_it() -> None:
    assert storable("\ud83d\ude00") == "😀"


def test_parts_are_copied_only_when_they_must_change() -> None:
    clean = (TextPart(text="a"), ReasoningPart(text="b", opaque={"k": ["v"]}))
    assert storable_data(clean, PARTS) is clean
    dirty = (TextPart(text="a\0"), ReasoningPart(text="b", opaque={"k\0": ["v\ud83d"]}))
    assert storable_data(dirty, PARTS) == (
        TextPart(text="a\ufffd"),
        ReasoningPart(text="b", opaque={"k\ufffd": ["v\ufffd"]}),
    )


@given(st.text(st.characters()))
def test_each_text_of_a_struct_is_as_it_would_be_alone(text: str) -> None:
    parts = (TextPart(text="a"), ReasoningPart(text=text, opaque={"k": [text]}))
    kept = storable(text)
    assert storable_data(parts, PARTS) == (TextPart(text="a"), ReasoningPart(text=kept, opaque={"k": [kept]}))


def test_what_only_looks_like_an_escaped_nul_stays() -> None:
    written = (TextPart(text="\\u0000 and \\\\u0000"),)
    assert storable_data(written, PARTS) is written


@given(st.text())
def test_a_title_is_one_short_line(text: str) -> None:
    title = title_of(text)
    assert len(title) <= 61
    assert title == " ".join(title.split())
    command = text.startswith("/") and text[1:2].isalpha()
    assert bool(title) == (bool(text.split()) and not command)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello", "Hello"),
        (" two\n lines ", "two lines"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 60 + "…"),
        ("word " * 20, "word " * 11 + "word…"),
        ("a " + "x" * 100, "a " + "x" * 58 + "…"),
    ],
)
def test_titles_are_cut_between_words(text: str, title: str) -> None:
    assert title_of(text) == title


def test_a_record_of_a_newer_format_is_refused_and_not_guessed() -> None:
    record = TurnRecord(outcome="answered")
    assert load_record(dump(record), "T1") == record
    newer = dump(record).replace(f'"format":{FORMAT}', f'"format":{FORMAT + 1}')
    with pytest.raises(ServiceError, match="update Antiphon"):
        load_record(newer, "T1")


DAMAGED = ["", "{", "[]", "null", '{"format":1}', '{"format":1,"value":[{"type":"text"}]}', '{"format":1,"value":{"x":']


@pytest.mark.parametrize("text", DAMAGED)
def test_a_record_that_was_damaged_costs_itself_alone(text: str) -> None:
    assert load_record(text, "T1") is None
    row = ("M1", "C1", 1, 1, "assistant", "hello", "T1", "answered", 0, text, None, 1, None)
    assert message_of(row, text) == message_of((*row[:9], None, *row[10:]))
    assert message_of(row).text == "hello"


@pytest.mark.parametrize("chunk", [("tool", "{"), ("tool", '{"name":"n"}'), ("odd", "x"), ("tool", "")])
def test_a_damaged_chunk_is_left_out_and_named_in_the_log(
    chunk: tuple[str, str], logged: list[MutableMapping[str, Any]]
) -> None:
    assert parts_of([("text", "a"), chunk, ("text", "b")], "T1") == (TextPart(text="ab"),)
    assert [(line["event"], line["id"]) for line in logged] == [("store.record_damaged", "T1")]


def tool(call_id: str, status: str) -> ToolPart:
    return ToolPart(call_id=call_id, name="n", arguments="{}", status=status)  # type: ignore[arg-type]


CHUNKS = st.lists(
    st.tuples(st.sampled_from(["text", "reasoning"]), st.text())
    | st.builds(
        lambda call_id, status: ("tool", msgspec.json.encode(tool(call_id, status)).decode()),
        st.sampled_from("abc"),
        st.sampled_from(["running", "done", "failed"]),
    )
)


@given(CHUNKS)
def test_joined_chunks_lose_and_reorder_nothing(chunks: list[tuple[str, str]]) -> None:
    parts = parts_of(chunks, "T1")
    for kind, cls in (("text", TextPart), ("reasoning", ReasoningPart)):
        said = "".join(part.text for part in parts if isinstance(part, cls))
        assert said == "".join(text for of, text in chunks if of == kind)
    calls = [msgspec.json.decode(text, type=ToolPart) for kind, text in chunks if kind == "tool"]
    last = {call.call_id: call for call in calls}
    shown = [part for part in parts if isinstance(part, ToolPart)]
    assert [part.call_id for part in shown] == list(last)
    for part in shown:
        status = last[part.call_id].status
        assert part.status == ("cancelled" if status == "running" else status)


def test_joining_many_chunks_is_not_quadratic() -> None:
    [part] = parts_of([("text", "token ")] * 100_000, "T1")
    assert isinstance(part, TextPart)
    assert len(part.text) == 600_000
