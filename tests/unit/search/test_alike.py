"""Words that look like others, as PostgreSQL's pg_trgm measures it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.search.alike import LEAST, alike

WORDS = st.lists(st.text("abcd", min_size=1, max_size=6), max_size=8).map(" ".join)


def pieces(word: str) -> set[str]:
    padded = f"  {word} "
    return {padded[at : at + 3] for at in range(len(padded) - 2)}


def similarity(one: str, other: str) -> float:
    return len(pieces(one) & pieces(other)) / len(pieces(one) | pieces(other))


@given(WORDS, WORDS)
def test_each_word_counts_as_its_nearest_one_in_the_text(query: str, text: str) -> None:
    wanted, there = list(dict.fromkeys(query.split())), text.split()
    best = [max((similarity(one, other) for other in there), default=0.0) for one in wanted]
    mean = sum(each for each in best if each >= LEAST) / len(wanted) if wanted else 0.0
    assert alike(query, text) == pytest.approx(mean)


def test_a_slip_of_the_pen_is_near_and_another_word_is_not() -> None:
    assert alike("Lighthuose", "the LIGHTHOUSE stands") > LEAST
    assert alike("light", "lighthouse") > 0
    assert alike("not", "nothing") == 0
    assert alike("", "a") == alike("a", "") == 0
