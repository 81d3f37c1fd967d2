import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.search.lexical import LexicalIndex, fold, mark, stem, words

WORDS = st.lists(st.sampled_from(["cat", "dog", "bird", "fish", "tree", "stone", "river", "cloud"]), max_size=12)
DOCUMENTS = st.lists(WORDS.map(" ".join), max_size=8)


def found(documents: list[str], query: str, limit: int = 10) -> list[int]:
    return [match.position for match in LexicalIndex(documents).search(query, limit)]


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café", "CAFE"),
        ("Straße", "STRASSE"),
        ("ﬁle", "file"),
        ("Ｗｉｄｅ", "wide"),
        ("I\u0307stanbul", "istanbul"),
        ("e\u0301te\u0301", "été"),
        ("한국어", "한국어"),
    ],
)
def test_spellings_that_people_mix_are_one(one: str, other: str) -> None:
    assert list(words(one)) == list(words(other)) != []


@pytest.mark.parametrize(
    "family",
    [
        ("configure", "configures", "configured", "configuring"),
        ("run", "runs", "running"),
        ("query", "queries"),
        ("stop", "stopped", "stopping", "stops"),
        ("call", "calls", "called", "calling"),
        ("use", "uses"),
        ("message", "messages"),
        ("class",),
    ],
)
def test_english_endings_do_not_matter(family: tuple[str, ...]) -> None:
    assert len({stem(word) for word in family}) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("red", "r"), ("thing", "th"), ("bus", "bu"), ("this", "thi"), ("das", "da")]
)
def test_short_words_keep_their_ends(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_identifiers_and_punctuation_are_taken_apart() -> None:
    assert list(words("search_manual(query=1.5) — v2!")) == ["search", "manual", "query", "1", "5", "v2"]


def test_scripts_without_spaces_give_pairs() -> None:
    assert list(words("東京都")) == ["東京", "京都"]
    assert list(words("水")) == ["水"]
    assert list(words("日本abcカナ")) == ["日本", "カナ", "abc"]
    assert found(["東京の天気", "大阪の天気"], "大阪") == [1]


@given(st.text())
def test_any_text_has_words_that_fold_to_themselves(text: str) -> None:
    assert all(word and fold(word) == word for word in words(text))


# --- ranking ------------------------------------------------------------------------------------------------------


def test_rare_words_count_more_than_common_ones() -> None:
    documents = ["the cat and the dog and the bird", "the zebra", "the the the the", "the dog"]
    assert found(documents, "the zebra")[0] == 1


def test_more_occurrences_and_shorter_documents_rank_higher() -> None:
    assert found(["cat dog dog", "cat cat dog"], "cat") == [1, 0]
    assert found(["cat " + "filler " * 50, "cat"], "cat") == [1, 0]


def test_only_documents_that_share_a_word_are_found() -> None:
    assert found(["cat", "dog"], "bird") == []
    assert found([], "cat") == []
    assert found(["", " "], "cat") == []
    assert found(["cat"], "") == []


def test_equals_keep_their_order_and_the_limit_holds() -> None:
    assert found(["cat"] * 5, "cat", limit=3) == [0, 1, 2]
    assert found(["cat"], "cat", limit=0) == []


def test_the_score_is_the_published_formula() -> None:
    documents = ["cat dog", "cat cat fish stone", "river"]
    lengths, k, b = [2, 4, 1], 1.2, 0.75
    rarity = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    expected = [
        rarity * count * (k + 1) / (count + k * (1 - b + b * lengths[position] / (7 / 3)))
        for position, count in ((0, 1), (1, 2))
    ]
    matches = LexicalIndex(documents).search("cat", 9)
    assert {match.position: match.score for match in matches} == pytest.approx(dict(enumerate(expected)))


@given(DOCUMENTS, WORDS)
def test_what_is_found_shares_a_word_and_is_sorted(documents: list[str], query: list[str]) -> None:
    matches = LexicalIndex(documents).search(" ".join(query), 100)
    expected = {at for at, document in enumerate(documents) if set(document.split()) & set(query)}
    assert {match.position for match in matches} == expected
    assert all(match.score > 0 for match in matches)
    assert all(
        (-first.score, first.position) < (-second.score, second.position)
        for first, second in itertools.pairwise(matches)
    )


@given(DOCUMENTS, WORDS)
def test_searching_changes_nothing(documents: list[str], query: list[str]) -> None:
    index = LexicalIndex(documents)
    first = index.search(" ".join(query), 5)
    index.search("something else", 5)
    assert index.search(" ".join(query), 5) == first


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("Two Cafés, one café.", "CAFE", "Two «Cafés», one «café»."),
        ("cafe\u0301 here", "café", "«cafe\u0301» here"),
        ("docs/harbour.md", "harbours", "docs/«harbour».md"),
        ("日本語 here", "本語", "«日本語» here"),
        ("nothing", "", "nothing"),
        ("a\0b \ud83d", "b", "a\0«b» \ud83d"),
    ],
)
def test_shared_words_are_marked_as_they_are_written(text: str, query: str, marked: str) -> None:
    assert mark(text, query) == marked


@given(st.text(), st.text())
def test_marking_adds_nothing_else(text: str, query: str) -> None:
    bare = text.replace("«", "").replace("»", "")
    assert mark(bare, query).replace("«", "").replace("»", "") == bare
