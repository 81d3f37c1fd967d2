"""The five documents are those that were given, and each of their blocks is proved once or has a reason not to run."""

import ast
import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.seeds.extract import DOCUMENTS, FOLDER, Block, blocks
from tests.seeds.later import LATER
from tests.seeds.marks import decorated

HERE = Path(__file__).parent

NO_PROGRAM = {
    "pyphoenix-6": "one frame as it goes over the wire, which is sent as it stands",
    "simple-ai-agent-1": "an order of four steps, in words",
    "simple-ai-agent-2": "a diagram: one process, its database and its cache",
    "simple-ai-agent-3": "a diagram: many processes behind a balancer",
    "accelerapp-1": "a diagram: layers and the parts in each",
    "accelerapp-11": "a command for a shell",
    "pepperpy-1": "a tree of folders",
    "pepperpy-2": "a tree of folders",
    "pepperpy-3": "a tree of classes",
}
"""Blocks that are no Python to run, and what they are. The test that has their id proves what they claim."""


def test_no_document_was_changed() -> None:
    lines = (HERE / "digests.txt").read_text(encoding="utf-8").splitlines()
    table = {name: digest for digest, name in (line.split() for line in lines)}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("[!.]*")}
    assert found == table
    assert set(found) == set(DOCUMENTS.values())


def test_every_block_has_one_test_and_every_test_a_block() -> None:
    proved = Counter(block_id for block_id, _ in decorated("sample"))
    assert proved == Counter(dict.fromkeys(blocks(), 1))


def test_no_test_of_a_block_does_without_it() -> None:
    assert [test.name for _, test in decorated("sample") if "block" not in test.reads] == []


def test_the_tests_of_a_document_are_in_its_file() -> None:
    for block_id, test in decorated("sample"):
        assert test.file == f"test_{blocks()[block_id].document.replace('-', '_')}"


def test_what_does_not_run_says_why() -> None:
    other = {block.id for block in blocks().values() if block.language != "python"}
    assert set(NO_PROGRAM) - other == {"pyphoenix-6"}
    assert other <= set(NO_PROGRAM)


def test_every_program_compiles_where_it_stands() -> None:
    """Nothing that is shown as Python is left out because it could not be read."""
    for block in blocks().values():
        if block.language == "python":
            ast.parse(block.text.replace("app.async", "app.async_"))


def test_only_what_a_known_part_will_bring_is_marked_for_later() -> None:
    marked = list(decorated("later"))
    assert marked
    assert {subject for subject, _ in marked} <= set(LATER)
    assert [test.name for _, test in marked if "sample" not in test.marks] == []


# --- the extraction is complete -----------------------------------------------------------------------------------


def test_blocks_are_the_lines_of_the_document() -> None:
    """But for the indentation of the whole, and for spaces on empty lines."""
    for block in blocks().values():
        lines = (FOLDER / DOCUMENTS[block.document]).read_text(encoding="utf-8").splitlines()[block.line - 1 :]
        for there, line in zip(lines, block.text.splitlines(), strict=False):
            assert there.endswith(line)
            assert there.strip() == line.strip()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_fence_directive_or_indented_block_is_passed_over(document: str) -> None:
    text = (FOLDER / DOCUMENTS[document]).read_text(encoding="utf-8")
    fences = re.findall(r"^ *(?:```|~~~)", text, re.MULTILINE)
    directives = re.findall(r"^\.\. code-block::|::$", text, re.MULTILINE)
    indented = re.findall(r"\n\n {4}\S", text)
    mine = [block for block in blocks().values() if block.document == document]
    assert len(mine) == len(fences) / 2 + len(directives) + len(indented)
    assert [block.number for block in mine] == list(range(1, len(mine) + 1))


@pytest.mark.parametrize(
    ("block_id", "heading", "language", "line", "begins"),
    [
        ("phidata-18", "3. Async Operations", "python", 250, "from phidata.app.async import AsyncProcessor"),
        ("pyphoenix-2", "Channels", "python", 54, '@app.channel("room:*")'),
        ("simple-ai-agent-1", "Model Selection Priority", "", 129, "1. Conversation.model_override"),
        ("accelerapp-11", "From Phase 1 to Phase 2", "bash", 443, "pip install"),
        ("pepperpy-3", "Hierarchy", "", 87, "PepperPyError"),
    ],
)
def test_a_block_says_where_it_stands(block_id: str, heading: str, language: str, line: int, begins: str) -> None:
    block: Block = blocks()[block_id]
    assert (block.heading[-1], block.language, block.line) == (heading, language, line)
    assert block.text.startswith(begins)
