"""One ranking out of many: nothing is lost, nothing comes twice, and nobody has to stand first."""

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from antiphon.search.base import Passage
from antiphon.search.fusion import fuse, plain

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def passage(text: str, source: str = "messages", name: str = "1", when: datetime | None = None) -> Passage:
    return Passage(source=source, id=name, title="", text=text, when=when)


@st.composite
def rankings(draw: st.DrawFn) -> list[list[Passage]]:
    """Of several sources; texts repeat within and between them, marked or not."""
    texts = st.sampled_from(["a b", "a  B", "«a» b", "c", "«c»", "d", "É", "e"]) | st.text(min_size=1, max_size=3)
    moments = st.none() | st.integers(0, 3).map(lambda hours: NOON + timedelta(hours=hours))
    return [
        [passage(draw(texts), f"s{number}", str(place), draw(moments)) for place in range(draw(st.integers(0, 6)))]
        for number in range(draw(st.integers(0, 4)))
    ]


def same(text: str) -> str:
    return " ".join(plain(text).casefold().split())


@given(rankings())
def test_every_text_is_there_once(lists: list[list[Passage]]) -> None:
    shown = [same(item.text) for item in fuse(lists)]
    assert sorted(shown) == sorted({same(item.text) for ranking in lists for item in ranking})


@given(rankings(), st.randoms())
def test_the_order_of_the_sources_does_not_matter(lists: list[list[Passage]], chance: Random) -> None:
    shuffled = list(lists)
    chance.shuffle(shuffled)
    assert fuse(shuffled) == fuse(lists)


@given(rankings())
def test_the_best_come_first_and_of_equals_the_newest(lists: list[list[Passage]]) -> None:
    def worth(item: Passage) -> tuple[float, float]:
        return item.score, item.when.timestamp() if item.when else 0.0

    fused = [worth(item) for item in fuse(lists)]
    assert fused == sorted(fused, reverse=True)


@given(rankings())
def test_one_ranking_of_different_texts_stays_as_it_is(lists: list[list[Passage]]) -> None:
    for ranking in lists:
        unlike = list({same(item.text): item for item in reversed(ranking)}.values())
        assert [item.id for item in fuse([unlike])] == [item.id for item in unlike]


def test_what_stands_in_two_rankings_goes_before_what_stands_first_in_one() -> None:
    one = [passage("first", "a", "1"), passage("both", "a", "2")]
    other = [passage("else", "b", "1"), passage("«both»", "b", "2")]
    fused = fuse([one, other])
    assert [(item.text, item.source) for item in fused] == [("both", "a"), ("first", "a"), ("else", "b")]
    assert fused[0].score == 1 / 62 + 1 / 62
    assert fused[1].score == 1 / 61


def test_the_same_said_often_counts_once_in_a_ranking() -> None:
    often = [passage("hello", name=str(number)) for number in range(9)]
    assert [(item.id, item.score) for item in fuse([[*often, passage("other", name="x")]])] == [
        ("0", 1 / 61),
        ("x", 1 / 62),
    ]


def test_it_is_shown_as_it_stood_highest() -> None:
    low = [passage("other", "a", "1"), passage("tea", "a", "2")]
    high = [passage("«tea»", "b", "1")]
    assert next(item for item in fuse([low, high]) if plain(item.text) == "tea").source == "b"


def test_plain_text_has_no_marks() -> None:
    assert plain("The «lighthouse» and the «café».") == "The lighthouse and the café."
    assert plain("« left open") == "« left open"
