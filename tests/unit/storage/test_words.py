"""The words of a query are the same for every database, and any text has some or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.storage.sql.words import folded, marked, words_of


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", ""),
        ("?! -- \0", ""),
        ("CAFÉ café cafe\u0301", "cafe"),
        ("snake_case a/b", "snake case a b"),
        ("İstanbul", "istanbul"),
        ("日本語 한국어", "日本語 한국어"),
        ("\u0301", ""),
        ("x" * 5_000, "x" * 4_000),
    ],
)
def test_words_are_folded_and_told_once(query: str, words: str) -> None:
    assert words_of(query) == words


def test_a_query_has_an_end() -> None:
    assert len(words_of(" ".join(str(number) for number in range(1_000))).split()) == 32


def test_words_are_marked_where_they_stand_as_they_are_written() -> None:
    assert marked("Le Café, the cafe\u0301 and cafés", "cafe") == "Le «Café», the «cafe\u0301» and cafés"
    assert marked("nothing", "") == "nothing"


@given(st.text())
def test_what_is_found_can_be_found_again(text: str) -> None:
    words = words_of(text)
    assert words_of(words).split() == words.split()
    assert all(folded(word) == word for word in words.split())
    assert marked(text, words).replace("«", "").replace("»", "") == text.replace("«", "").replace("»", "")
