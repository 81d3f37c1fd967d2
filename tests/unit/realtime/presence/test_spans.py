"""Sets of clocks as ranges, against plain sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.presence.spans import Spans

NUMBERS = st.sets(st.integers(1, 60))
RANGES = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 10)).map(lambda pair: (pair[0], pair[0] + pair[1])))


def spans_of(numbers: set[int]) -> Spans:
    return Spans((number, number) for number in numbers)


def numbers_of(spans: Spans) -> set[int]:
    return {number for low, high in spans for number in range(low, high + 1)}


@given(ranges=RANGES)
def test_ranges_in_any_order_become_the_fewest_that_say_the_same(ranges: list[tuple[int, int]]) -> None:
    spans = Spans(ranges)
    expected = {number for low, high in ranges for number in range(low, high + 1)}
    assert numbers_of(spans) == expected
    assert [number in spans for number in range(70)] == [number in expected for number in range(70)]
    assert spans.width == len(expected)
    assert len(spans) == sum(number - 1 not in expected for number in expected)


@given(one=NUMBERS, other=NUMBERS)
def test_union_and_difference_are_those_of_sets(one: set[int], other: set[int]) -> None:
    first, second = spans_of(one), spans_of(other)
    assert numbers_of(first.union(second)) == one | other
    assert list(first.union(second)) == list(second.union(first))
    assert numbers_of(first.without(other)) == one - other
    assert (numbers_of(first), numbers_of(second)) == (one, other)


@given(numbers=NUMBERS)
def test_tk_3_the_context_ends_where_the_first_number_is_missing(numbers: set[int]) -> None:
    spans = spans_of(numbers)
    assert spans.context == next(number for number in range(61) if number + 1 not in numbers)
    assert spans.newest[1] == max(numbers, default=0)


@given(numbers=NUMBERS, low=st.integers(1, 60), high=st.integers(1, 60))
def test_covers_means_all_of_them(numbers: set[int], low: int, high: int) -> None:
    if low <= high:
        assert spans_of(numbers).covers(low, high) == (set(range(low, high + 1)) <= numbers)


@given(numbers=NUMBERS)
def test_the_flat_form_comes_back_the_same(numbers: set[int]) -> None:
    spans = spans_of(numbers)
    assert list(Spans.read(spans.flat())) == list(spans)


@pytest.mark.parametrize("flat", [[1], [0, 3], [-1, 2], [3, 2], [1, 2, 3, 4], [1, 5, 4, 8], [5, 6, 1, 2]])
def test_what_is_no_flat_form_is_refused(flat: list[int]) -> None:
    with pytest.raises(ValueError):
        Spans.read(flat)


def test_a_copy_is_another_set() -> None:
    spans = Spans([(1, 3)])
    copy = spans.copy()
    copy.add(9, 9)
    assert repr(spans) == "Spans([(1, 3)])"
    assert repr(copy) == "Spans([(1, 3), (9, 9)])"
