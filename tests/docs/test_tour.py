"""The tour names every folder of the package in the order of the arrows, and ten files that are there."""

import re
import tomllib
from pathlib import Path
from typing import Any

TOUR = "docs/tour.md"


def test_the_tree_is_that_of_the_arrows(page: Any, root: Path) -> None:
    contract = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    expected = []
    for layer in contract["layers"]:
        there = re.findall(r"[a-z]+", re.sub(r"\([^)]*\)", "", layer))
        if there:
            folders = [f"{name}/" if (root / "src/antiphon" / name).is_dir() else f"{name}.py" for name in there]
            expected.append(set(folders))
    assert [set(re.findall(r"`([^`]+)`", row[0])) for row in page(TOUR).table("The tree")] == expected


def test_ten_files_in_order_each_with_its_reason(page: Any) -> None:
    begun = re.findall(
        r"^\*\*(\d+)\. \[`[^`]+`\]\(([^)]+)\), because", page(TOUR).section("The ten files"), re.MULTILINE
    )
    assert [int(number) for number, _ in begun] == list(range(1, 11))
    assert len({link for _, link in begun}) == 10
