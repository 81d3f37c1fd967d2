"""Pages are short, say what is, and speak one English."""

import re
from typing import Any

LINES, README_LINES = 300, 110
REFERENCE_LINES = 500
"""Of tables that are looked up and not read: they grow with what there is."""

ADVERTISING = (
    "amazing|awesome|best-in-class|blazing|bleeding|breathtaking|cutting-edge|effortless|enterprise-grade|game-chang|"
    "groundbreaking|incredibl|industry-leading|lightning|magical|next-gen|powerful|revolution|robust|seamless|"
    "state-of-the-art|supercharge|unleash|unmatched|unparalleled|world-class|blazingly|ultimate"
)
AMERICAN = "behavior|color|favorite|honor|center|catalog|analyz|organiz|recogniz|customiz|initializ|normaliz"


def found(pages: list[Any], words: str) -> list[str]:
    pattern = re.compile(rf"\b(?:{words})\w*", re.IGNORECASE)
    return [
        f"{each.name}: {match}"
        for each in pages
        for match in pattern.findall(re.sub(r"`[^`]*`|\]\([^)]*\)", "", each.prose))
        if not match.lower().startswith("catalogue")
    ]


def test_nothing_is_advertised(pages: list[Any]) -> None:
    assert found(pages, ADVERTISING) == []


def test_the_english_is_british(pages: list[Any]) -> None:
    assert found(pages, AMERICAN) == []


def test_pages_are_short(pages: list[Any]) -> None:
    lengths = {each.name: len(each.text.splitlines()) for each in pages}
    most = {name: REFERENCE_LINES if name.startswith("docs/reference/") else LINES for name in lengths}
    assert {name: lines for name, lines in lengths.items() if lines > most[name]} == {}
    assert lengths["README.md"] <= README_LINES


def test_every_page_begins_with_its_name(pages: list[Any]) -> None:
    headings = {each.name: each.text.partition("\n")[0] for each in pages}
    assert [name for name, heading in headings.items() if not re.match(r"# \S", heading)] == []


def test_every_block_of_code_says_its_language(pages: list[Any]) -> None:
    assert [block.at for each in pages for block in each.blocks if not block.language] == []
