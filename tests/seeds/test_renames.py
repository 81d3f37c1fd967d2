"""Between a block and what is run differs what the table says, and nothing else."""

import re

import pytest

import antiphon
from tests.seeds.extract import DOCUMENTS, FOLDER, Block, blocks
from tests.seeds.renames import IMPORTS, NAMES, renamed
from tests.seeds.running import promised

PYTHON = [block for block in blocks().values() if block.language == "python"]
TEXTS = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in DOCUMENTS.values())


def lines(block: Block) -> list[tuple[str, str]]:
    """The lines that differ, before and after."""
    before, after = block.text.splitlines(), renamed(block.text).splitlines()
    return [(old, new) for old, new in zip(before, after, strict=True) if old != new]


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.id)
def test_only_words_of_the_table_change(block: Block) -> None:
    for old, new in lines(block):
        said = re.fullmatch(r"(\s*from )(\S+)( import .+)", old)
        expected = f"{said[1]}{IMPORTS[said[2]]}{said[3]}" if said else old
        for name, ours in NAMES.items():
            expected = re.sub(rf"\b{name}\b", ours, expected)
        assert new == expected


def test_every_import_line_becomes_ours() -> None:
    imports = [line for block in PYTHON for line in renamed(block.text).splitlines() if "import " in line]
    assert {line.split()[1] for line in imports} == {"antiphon"}


def test_every_row_is_used() -> None:
    imported = set(re.findall(r"^\s*from (\S+) import", "\n".join(block.text for block in PYTHON), re.MULTILINE))
    assert imported == set(IMPORTS)
    assert {name for name in NAMES if not re.search(rf"\b{name}\b", TEXTS)} == set()


def test_no_name_is_ours_twice_and_each_has_a_place() -> None:
    """A renamed thing has no second public name, and its name is built or promised."""
    assert set(NAMES) & set(antiphon.__all__) == set()
    assert set(NAMES.values()) - set(antiphon.__all__) - promised() == set()


def test_strings_comments_and_longer_words_stay() -> None:
    text = 'IService2 = "IService"  # IService\nfrom . import IService\nyield_from = x.IService\n'
    assert renamed(text) == 'IService2 = "IService"  # IService\nfrom . import Service\nyield_from = x.Service\n'
    assert renamed("from accelerapp.other import A\n") == "from accelerapp.other import A\n"
    assert (
        renamed("    # phidata.app.async\nraise A from pyphoenix\n")
        == "    # phidata.app.async\nraise A from pyphoenix\n"
    )
