import itertools

from hypothesis import given
from hypothesis import strategies as st

from antiphon.providers.protocols.lines import LineReader

DATA = b'{"a": 1}\r\n\n{"b": "\xc3\xbc"}\n  \n{"c": 3}'


@given(st.lists(st.integers(0, len(DATA)), max_size=8))
def test_lines_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    reader = LineReader()
    edges = [0, *sorted(cuts), len(DATA)]
    events = [event for start, stop in itertools.pairwise(edges) for event in reader.feed(DATA[start:stop])]
    events += reader.end()
    assert [event.data for event in events] == [b'{"a": 1}', b'{"b": "\xc3\xbc"}', b'{"c": 3}']
    assert not reader.overflow


def test_a_line_has_a_limit_whether_it_ends_or_not() -> None:
    for data in (b"123456", b"12\n123456\n"):
        reader = LineReader(limit=5)
        reader.feed(data)
        assert reader.overflow
        assert reader.feed(b"1\n") == reader.end() == []
