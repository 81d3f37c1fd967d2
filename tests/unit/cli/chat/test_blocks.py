"""Blocks are the same however the text arrives, and nothing of it is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.cli.chat.blocks import CODE_LINES, PARAGRAPH_LENGTH, Block, Blocks

LINES = st.sampled_from(
    ["", "words of a paragraph", "# heading", "- item", "  inside", "3. three", "```py", "```", "~~~", "x = 1", "| a |"]
)


def cut(*pieces: str) -> list[Block]:
    blocks = Blocks()
    done = [block for piece in pieces for block in blocks.feed(piece)]
    return done + blocks.close()


@given(st.lists(LINES, max_size=80), st.data())
def test_any_chunking_gives_the_same_blocks(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join(lines)
    pieces, start = [], 0
    while start < len(text):
        length = data.draw(st.integers(1, 30))
        pieces.append(text[start : start + length])
        start += length
    assert cut(*pieces) == cut(text)


@given(st.lists(LINES.filter(lambda line: "`" not in line and "~" not in line), max_size=60))
def test_nothing_is_lost_and_nothing_is_doubled(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert "".join("".join(block.text for block in cut(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\n\ntwo", [Block("one\n"), Block("two")]),
        ("# Head\ntext", [Block("# Head\n"), Block("text")]),
        ("- a\n  - b\n- c\n", [Block("- a\n  - b\n"), Block("- c\n", continues=True)]),
        ("- a\n\n- b\n", [Block("- a\n\n"), Block("- b\n")]),
        ("- a\n\ntext", [Block("- a\n\n"), Block("text")]),
        ("text:\n```\na\n\nb\n```\nend", [Block("text:\n"), Block("```\na\n\nb\n```\n"), Block("end")]),
        ("- a\n  ```\n\n- no item\n  ```\n", [Block("- a\n  ```\n\n- no item\n  ```\n")]),
        ("````\n```\n````\n", [Block("````\n```\n````\n")]),
        ("\n\n", []),
    ],
)
def test_where_it_cuts(text: str, expected: list[Block]) -> None:
    assert cut(text) == expected


def test_long_code_is_finished_in_pieces_that_are_code_each() -> None:
    lines = [f"line {n}\n" for n in range(5 * CODE_LINES)]
    blocks = cut("```sh\n" + "".join(lines) + "```\n")
    assert len(blocks) == 5
    assert all(block.text.startswith("```sh\n") for block in blocks)
    assert [block.continues for block in blocks] == [False, True, True, True, True]
    assert [line for block in blocks for line in block.text.splitlines(keepends=True)[1:]] == [*lines, "```\n"]


def test_code_is_not_cut_beside_an_empty_line() -> None:
    blocks = cut("```\n" + "x\n\n" * 3 * CODE_LINES + "```\n")
    assert [block.text for block in blocks] == ["```\n" + "x\n\n" * 3 * CODE_LINES + "```\n"]


def test_a_paragraph_without_end_is_cut_after_sentences() -> None:
    sentence = "Some words that are said. "
    blocks = cut(*[sentence] * 400)
    assert len(blocks) > 5
    assert all(len(block.text) < 2 * PARAGRAPH_LENGTH for block in blocks)
    assert all(block.continues for block in blocks[1:])
    assert "".join(block.text for block in blocks).split() == (sentence * 400).split()


def test_the_tail_is_what_is_not_finished() -> None:
    blocks = Blocks()
    assert blocks.tail is None
    assert blocks.feed("one\n\ntw") == [Block("one\n")]
    assert blocks.tail == Block("tw")
