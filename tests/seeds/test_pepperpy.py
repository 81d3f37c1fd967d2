"""The blocks of PepperPy's architecture, all of them trees: what stands in each has one home here."""

import re

import antiphon
from tests.seeds.extract import Block
from tests.seeds.later import later
from tests.seeds.renames import renamed
from tests.seeds.running import PACKAGE, home, sample

CORE = {
    "config": "settings",
    "registry": "runtime/registry.py",
    "logging": "telemetry/logs.py",
    "cache": "cache",
}
MODULES = {
    "ai": ("assistants", "providers"),
    "console": ("adapters/console.py", "cli"),
    "files": ("files",),
    "ui": ("web",),
}


def drawn(block: Block) -> list[str]:
    """The names at the branches of a tree."""
    return re.findall(r"[├└]── (\w+)", block.text)


@sample("pepperpy-1")
def test_each_part_of_the_core_has_a_home_and_shared_utilities_have_none(block: Block) -> None:
    assert set(drawn(block)) == {*CORE, "utils"}
    for place in CORE.values():
        home(place)
    assert [path for path in PACKAGE.rglob("*") if path.stem in {"util", "utils", "helper", "helpers"}] == []


@sample("pepperpy-2")
@later("files")
def test_each_module_has_a_home(block: Block) -> None:
    assert set(drawn(block)) == set(MODULES)
    for places in MODULES.values():
        for place in places:
            home(place)


@sample("pepperpy-3")
def test_the_errors_are_one_tree(block: Block) -> None:
    root = getattr(antiphon, renamed(block.text).split()[0])
    below = [getattr(antiphon, name) for name in drawn(block)]
    assert len(below) == 4
    assert [error.__base__ for error in below] == [root] * 4
    assert root.__base__ is Exception
    ours = [getattr(antiphon, name) for name in antiphon.__all__ if name.endswith("Error")]
    assert [error for error in ours if not issubclass(error, root)] == []
