import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.providers.protocols.sse import ServerEvent, SseReader


def read(data: bytes, cuts: list[int] | None = None, limit: int = 1 << 20) -> tuple[list[ServerEvent], bool]:
    """What a reader makes of `data` when it comes in pieces cut at `cuts`."""
    reader = SseReader(limit)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    events = [event for start, stop in itertools.pairwise(edges) for event in reader.feed(data[start:stop])]
    return events + reader.end(), reader.overflow


def plain(data: bytes) -> list[tuple[str, bytes]]:
    return [(event.name, event.data) for event in read(data)[0]]


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_of_the_format(eol: bytes) -> None:
    assert plain(eol.join([b"data: a", b"", b"data: b", b"", b""])) == [("", b"a"), ("", b"b")]


def test_comments_and_unknown_fields_say_nothing() -> None:
    assert plain(b": PROCESSING\n\nid: 7\nretry: 10\nfoo\ndata: a\n: more\n\n") == [("", b"a")]


def test_data_lines_of_one_event_are_joined() -> None:
    assert plain(b"data: a\ndata\ndata:b\ndata:  c\n\n") == [("", b"a\n\nb\n c")]


def test_an_event_name_holds_for_one_event() -> None:
    assert plain(b"event: error\ndata: a\n\ndata: b\n\n") == [("error", b"a"), ("", b"b")]
    assert plain(b"event: error\n\ndata: b\n\n") == [("", b"b")]


def test_a_byte_order_mark_is_skipped_only_at_the_start() -> None:
    assert plain(b"\xef\xbb\xbfdata: a\n\n") == [("", b"a")]
    assert plain(b"data: a\n\n\xef\xbb\xbfdata: b\n\n") == [("", b"a")]


@pytest.mark.parametrize("tail", [b"", b"\n", b"\n\n", b"\r", b"\r\n"])
def test_the_last_event_needs_no_blank_line(tail: bytes) -> None:
    assert plain(b"data: [DONE]" + tail) == [("", b"[DONE]")]


def test_no_other_character_ends_a_line() -> None:
    assert plain("data: a\u2028b\x0bc\x0c\x85\x1c\n\n".encode()) == [("", "a\u2028b\x0bc\x0c\x85\x1c".encode())]


def test_a_line_without_end_is_an_error_and_no_memory() -> None:
    reader = SseReader(limit=100)
    for _ in range(1000):
        reader.feed(b"data: aaaaaaaaaa")
        if reader.overflow:
            break
    assert reader.overflow
    assert len(reader._tail) < 200
    assert reader.feed(b"\n\ndata: b\n\n") == []


def test_an_event_of_many_lines_has_a_bound_too() -> None:
    events, overflow = read(b"data: a\n\n" + b"data: b\n" * 100 + b"\n", limit=100)
    assert [event.data for event in events] == [b"a"]
    assert overflow


@given(
    st.lists(
        st.sampled_from(
            [b"data: x", b"data:", b"event: e", b": c", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\xff", b" "]
        )
    ),
    st.lists(st.integers(0, 1000)),
)
def test_cuts_change_nothing(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    assert read(data, cuts) == read(data)


@given(st.integers(0, 40), st.lists(st.integers(0, 100)), st.sampled_from([b"data: ", b": ", b"data:"]))
def test_cuts_do_not_change_what_is_too_long(size: int, cuts: list[int], field: bytes) -> None:
    data = b"data: a\n\n" + field + b"x" * size + b"\n\ndata: b\n\n"
    assert read(data, cuts, limit=25) == read(data, limit=25)
