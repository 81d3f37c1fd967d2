"""Answers of tools, ours and foreign ones, as excerpts; and which of them answer a question."""

import json

import pytest

from antiphon.providers.demo.evidence import Excerpt, best, passages, quote


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "[]",
        "{}",
        "Nothing found.",
        "No results found",
        "nothing was found for that query.",
        '{"results": []}',
    ],
)
def test_nothing_is_nothing(text: str) -> None:
    assert passages(text) == []


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"title": "Cats", "text": "They purr.", "source": "a.md#cats"}]),
        json.dumps({"results": [{"heading": "Cats", "content": "They purr.", "path": "a.md#cats"}], "total": 1}),
        json.dumps({"title": "Cats", "snippet": "They purr.", "file": "a.md#cats"}),
    ],
)
def test_json_of_any_usual_shape_is_read(text: str) -> None:
    assert passages(text) == [Excerpt(text="They purr.", title="Cats", source="a.md#cats")]


def test_markdown_is_read_by_headings_items_or_paragraphs() -> None:
    headed = "## Cats\nThey purr.\n```sh\n# no heading\n```\n## Dogs\nThey bark."
    assert [(found.title, found.text[:10]) for found in passages(headed)] == [
        ("Cats", "They purr."),
        ("Dogs", "They bark."),
    ]
    assert [found.text for found in passages("- one\n- two\n3. three")] == ["one", "two", "three"]
    assert [found.text for found in passages("one\ntwo\n\nthree")] == ["one\ntwo", "three"]


def test_broken_json_is_read_as_text() -> None:
    assert [found.text for found in passages('{"results": [')] == ['{"results": [']


def test_a_label_links_only_what_is_a_safe_address() -> None:
    assert Excerpt(text="x", title="A", source="https://a.example/b").label == "[A](https://a.example/b)"
    assert Excerpt(text="x", title="A", source="a.md#b").label == "*A* (`a.md#b`)"
    assert "](javascript" not in Excerpt(text="x", title="A", source="javascript:alert(1)").label
    assert "](" not in Excerpt(text="x", title="A](http://evil) [", source="").label


def test_the_heading_that_asks_the_question_comes_first() -> None:
    long = Excerpt(text="model answers model answers model", title="Other › Commands")
    right = Excerpt(text="The first there is.", title="Models › Which model answers?")
    assert best("which model answers?", [long, right])[0] == right


def test_half_of_the_words_must_be_there() -> None:
    found = [Excerpt(text="A server speaks."), Excerpt(text="A red server speaks slowly.")]
    assert best("server red slowly purple", found) == [found[1]]
    assert best("capital france", found) == []
    assert best("server purple", found) == found
    assert best("server purple", found, strict=True) == []
    assert best("server purple", [Excerpt(text="x", title="Server")], strict=True) != []


def test_quotes_are_whole_sentences_with_the_first_one() -> None:
    text = "First things\nfirst. Filler here. More filler. Ports are set\nwith PORT.\n\n| a | b |\n| - | - |\n| c | d |"
    excerpt = Excerpt(text=text)
    assert quote("port", excerpt) == ["First things first.", "Ports are set with PORT."]
    assert excerpt.table == "| a | b |\n| - | - |\n| c | d |"
