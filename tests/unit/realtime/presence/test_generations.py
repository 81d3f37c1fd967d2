"""Recent changes, kept within bounds."""

from antiphon.realtime.presence.generations import BOUNDS, Generations
from antiphon.realtime.presence.spans import Spans
from antiphon.realtime.presence.state import Entry, Knowledge, Replica
from tests.rules import rule

A, B = Replica("a", "1"), Replica("b", "1")


def delta(low: int, high: int) -> Knowledge:
    return Knowledge(
        Spans([(low, high)]),
        {clock: Entry("t", "p", "k", {"phx_ref": str(clock)}, 10) for clock in range(low, high + 1)},
    )


def covered(generations: Generations, clock: int, newest: int) -> list[int] | None:
    found = generations.covering(A, clock, newest)
    return None if found is None else sorted(found.entries)


@rule("TK-9", "TK-10")
def test_the_smallest_generation_that_reaches_back_far_enough() -> None:
    generations = Generations()
    for start in range(1, 2001, 50):
        generations.push(A, delta(start, start + 49))
    assert BOUNDS == (100, 1_000, 10_000)
    assert covered(generations, 1990, 2000) == list(range(1951, 2001)), "99 entries and a range are the most"
    assert len(covered(generations, 1900, 2000) or []) in range(100, 1000)
    assert len(covered(generations, 500, 2000) or []) == 2000
    assert covered(generations, 0, 2000) == list(range(1, 2001))
    assert covered(generations, 0, 2001) is None
    assert generations.covering(B, 0, 1) is None


@rule("TK-10")
def test_no_generation_grows_beyond_its_bound() -> None:
    generations = Generations()
    for start in range(1, 40_001, 400):
        generations.push(A, delta(start, start + 399))
        sizes = [kept.size for kept in generations._kept[A]]
        assert all(size <= bound for size, bound in zip(sizes, BOUNDS, strict=True))
    assert covered(generations, 39_999, 40_000) is not None


@rule("TK-6")
def test_what_lies_before_a_gap_is_let_go() -> None:
    generations = Generations()
    generations.push(A, delta(1, 10))
    generations.push(A, delta(12, 20))
    assert covered(generations, 11, 20) == list(range(12, 21))
    assert covered(generations, 0, 20) is None
    generations.push(A, delta(11, 11))
    assert covered(generations, 10, 20) == list(range(11, 21))


def test_what_is_too_large_for_all_is_not_kept_and_nothing_is_kept_of_the_forgotten() -> None:
    generations = Generations()
    generations.push(A, delta(1, 20_000))
    assert covered(generations, 0, 20_000) is None
    generations.push(A, delta(20_001, 20_002))
    assert covered(generations, 20_000, 20_002) == [20_001, 20_002]
    generations.forget(A)
    generations.forget(A)
    assert covered(generations, 20_000, 20_002) is None
