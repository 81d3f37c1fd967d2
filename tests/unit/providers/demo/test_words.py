"""Words, stems, sentences and tokens."""

from hypothesis import given
from hypothesis import strategies as st

from antiphon.providers.demo.words import content_stems, content_words, count, rank, sentences, stems, tokens


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    pieces = tokens(text)
    assert "".join(pieces) == text
    assert all(pieces)
    assert count(text) == len(pieces)


def test_long_words_are_streamed_in_pieces() -> None:
    assert [len(piece) for piece in tokens("a" * 150)] == [64, 64, 22]


def test_content_words_are_what_a_question_is_about() -> None:
    assert content_words("How do I connect the Ollama, please? And what's Ollama's 42?") == [
        "connect",
        "ollama",
        "ollama's",
    ]
    assert content_words("what is it?") == []


def test_names_of_tools_are_taken_apart() -> None:
    assert stems("searchManual set_lights") == ["search", "manual", "set", "light"]


def test_stems_bring_forms_together() -> None:
    assert content_stems("connecting tools") == content_stems("connect tool")


def test_sentences_end_where_people_end_them() -> None:
    assert sentences("One. Two? Three!\nfour 3.5 five") == ["One.", "Two?", "Three!", "four 3.5 five"]


def test_rank_prefers_the_rarer_word() -> None:
    scores = rank("red server", ["a server", "a server", "a red one", "nothing"])
    assert scores[2] > scores[0] > scores[3] == 0.0
