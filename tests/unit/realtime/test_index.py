"""The index of topics finds what a look at every pattern would find, in the same order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.index import TopicIndex
from antiphon.realtime.members.topics import TopicPattern

TEXT = st.text("ab:é", max_size=5)
PATTERNS = st.one_of(TEXT.filter(bool), TEXT.map(lambda text: f"{text}*"))
STEPS = st.lists(st.tuples(st.booleans(), PATTERNS, TEXT), max_size=40)


@given(STEPS)
def test_it_finds_what_a_look_at_all_of_them_finds(steps: Any) -> None:
    """The model: a list of all patterns, each asked in turn."""
    index: TopicIndex[int] = TopicIndex()
    model: list[tuple[TopicPattern, int, int]] = []
    for step, (adds, text, topic) in enumerate(steps):
        if adds or not model:
            pattern = TopicPattern(text)
            model.append((pattern, step, index.add(pattern, step)))
        else:
            pattern, target, number = model.pop(step % len(model))
            assert index.remove(pattern, number) == target
        assert index.find(topic) == [target for pattern, target, _ in model if pattern.matches(topic)]
        assert sorted(index) == [target for _, target, _ in model]


def test_what_was_removed_is_not_removed_again() -> None:
    index: TopicIndex[str] = TopicIndex()
    pattern = TopicPattern("room:*")
    number = index.add(pattern, "x")
    index.remove(pattern, number)
    with pytest.raises(KeyError):
        index.remove(pattern, number)
    assert index.find("room:1") == []


def test_the_cost_of_a_look_up_is_that_of_what_it_finds() -> None:
    looked_at: list[str] = []

    class Watched(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            looked_at.append(str(self))
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    index: TopicIndex[int] = TopicIndex()
    for number in range(1000):
        index.add(TopicPattern(Watched(f"person:{number}")), number)
        index.add(TopicPattern(f"room:{number:04}:*"), number)
    looked_at.clear()
    assert index.find("person:77") == [77]
    assert index.find("room:0077:x") == [77]
    assert len(looked_at) < 10
