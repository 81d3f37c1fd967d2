"""docs/seeds.md says of each concept what the tests beside this one say, and each block is proof of one."""

import re
from collections import Counter
from pathlib import Path

import pytest

import antiphon
from tests.seeds.extract import DOCUMENTS, blocks
from tests.seeds.later import LATER
from tests.seeds.marks import decorated
from tests.seeds.running import PAGE, ROOT

WORKS, PART, NOT_YET = "Works now", "In part", "Not yet"
TITLES = ("PhiData", "PyPhoenix", "Simple AI Agent", "Accelerapp", "PepperPy")

Row = list[str]


def rows(heading: str) -> list[Row]:
    """The cells of the table below a heading."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def everything() -> list[Row]:
    return [*rows(WORKS), *rows(PART), *rows(NOT_YET)]


def proofs(row: Row) -> list[str]:
    """The blocks that a row names as its proof."""
    return [name for name in re.findall(r"\[([^\]]+)\]\(", row[-1]) if name in blocks()]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def waiting() -> dict[str, str]:
    """The blocks that are marked for later, and the part each waits for."""
    subjects = {test.name: subject for subject, test in decorated("later")}
    return {
        block_id: LATER[subjects[test.name]].partition(":")[0]
        for block_id, test in decorated("sample")
        if test.name in subjects
    }


def test_each_concept_stands_once_and_says_where_it_is_from() -> None:
    concepts = [row[0] for row in everything()]
    assert len(concepts) > 45
    assert [concept for concept, times in Counter(concepts).items() if times > 1] == []
    assert [concept for concept in concepts if not any(title in concept for title in TITLES)] == []
    assert len(TITLES) == len(DOCUMENTS)


def test_each_block_is_the_proof_of_one_concept() -> None:
    found = Counter(block_id for row in everything() for block_id in proofs(row))
    assert found == Counter(dict.fromkeys(blocks(), 1))


def test_a_block_is_linked_to_the_file_that_runs_it() -> None:
    for row in everything():
        for name, target in re.findall(r"\[([^\]]+)\]\(([^)]+)\)", row[-1]):
            if name in blocks():
                file = f"test_{blocks()[name].document.replace('-', '_')}.py"
                assert target == f"../tests/seeds/{file}"


@pytest.mark.parametrize("row", rows(WORKS), ids=lambda row: row[0][:50])
def test_what_works_can_be_imported_has_a_home_and_a_proof_and_waits_for_nothing(row: Row) -> None:
    assert names(row[1]) <= set(antiphon.__all__)
    for cell in row[2:]:
        links = re.findall(r"\]\(([^)]+)\)", cell)
        assert links
        assert [link for link in links if not (PAGE.parent / link).exists()] == []
    assert [block_id for block_id in proofs(row) if block_id in waiting()] == []


@pytest.mark.parametrize("row", rows(PART), ids=lambda row: row[0][:50])
def test_what_works_in_part_says_what_does_not(row: Row) -> None:
    concept, works, lacks, proof = row
    assert concept
    assert works
    assert lacks
    assert names(works) <= set(antiphon.__all__)
    assert names(lacks) & set(antiphon.__all__) == set()
    assert proof
    assert [link for link in re.findall(r"\]\(([^)]+)\)", works + proof) if not (PAGE.parent / link).exists()] == []


@pytest.mark.parametrize("row", rows(NOT_YET), ids=lambda row: row[0][:50])
def test_what_does_not_work_yet_says_what_it_waits_for(row: Row) -> None:
    _, name, part, _ = row
    assert part in {text.partition(":")[0] for text in LATER.values()}
    assert names(name) & set(antiphon.__all__) == set()
    assert {waiting().get(block_id) for block_id in proofs(row)} <= {part}


def test_no_part_is_waited_for_in_vain() -> None:
    """Every row of the table of later parts has something that waits for it."""
    said = {row[2] for row in rows(NOT_YET)} | set(waiting().values())
    assert {text.partition(":")[0] for text in LATER.values()} == said


def test_every_public_name_is_in_the_page_or_our_own() -> None:
    """Errors below the documents' tree, and names that complete tools and channels, are in none of the five."""
    text = PAGE.read_text(encoding="utf-8")
    errors = {name for name in antiphon.__all__ if name.endswith("Error")}
    client = {"ClientChannel", "ClientOptions", "ClientPresence", "PhoenixClient"}
    channels = client | {"Access", "Middleware", "RealtimeChannel", "Token"}
    ours = errors | channels | {"ToolContext", "tool"}
    assert {name for name in antiphon.__all__ if f"`{name}`" not in text} <= ours


def test_the_page_is_where_the_readme_says() -> None:
    assert Path("docs/seeds.md") == PAGE.relative_to(ROOT)
    assert "docs/seeds.md" in (ROOT / "README.md").read_text(encoding="utf-8")
