"""Decisions are numbered without gap or double, listed by their titles, and a page each."""

import re
from pathlib import Path
from typing import Any

FOLDER = "docs/decisions/"


def records(pages: list[Any]) -> list[Any]:
    return [each for each in pages if each.name.startswith(FOLDER) and each.path.name != "README.md"]


def test_the_list_is_what_there_is(pages: list[Any], page: Any) -> None:
    titles = {each.path.name: each.text.partition("\n")[0] for each in records(pages)}
    listed = [(row[0], row[1]) for row in page(f"{FOLDER}README.md").table("Decisions")]
    expected = []
    for number, name in enumerate(sorted(titles), 1):
        assert name.startswith(f"{number:04}-"), f"{name} should be number {number}"
        assert titles[name].startswith(f"# {number}. ")
        expected.append((f"[{number}]({name})", titles[name].partition(". ")[2]))
    assert listed == expected


def test_each_says_what_was_known_what_was_decided_and_what_follows(pages: list[Any]) -> None:
    for each in records(pages):
        parts = re.findall(r"^\*\*(\w+)\.\*\*", each.text, re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences"], each.name
        assert len(each.text.splitlines()) <= 40, each.name


def test_files_of_decisions_are_pages(root: Path, pages: list[Any]) -> None:
    assert {path.name for path in (root / FOLDER).iterdir()} == {each.path.name for each in records(pages)} | {
        "README.md"
    }
