"""One home for each concept, and a name that says what it is."""

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

VAGUE = {"util", "utils", "helper", "helpers", "common", "misc", "shared", "core", "lib", "tools2", "stuff"}
DOORS = {"antiphon", "antiphon.cli"}
"""Packages whose `__init__` is more than a sentence."""


def test_a_public_class_is_defined_once(modules: list[Any]) -> None:
    homes = defaultdict(list)
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(module.name)
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def test_no_name_says_nothing(modules: list[Any]) -> None:
    assert [module.name for module in modules if VAGUE & set(module.name.split("."))] == []


def test_every_package_says_what_it_is(modules: list[Any]) -> None:
    for module in modules:
        if module.path.name != "__init__.py":
            continue
        assert ast.get_docstring(module.tree), f"{module.path} has no sentence"
        if module.name.removesuffix(".__init__") not in DOORS:
            assert len(module.tree.body) == 1, f"{module.path} holds more than its sentence"


def test_every_folder_with_code_is_a_package(root: Path) -> None:
    folders = {path.parent for path in (root / "src" / "antiphon").rglob("*.py")}
    bare = [folder for folder in folders if not (folder / "__init__.py").exists()]
    assert [folder.relative_to(root) for folder in bare if "migrations" not in folder.parts] == []


def test_the_root_holds_no_litter(tracked: list[Path], root: Path) -> None:
    prose = {path.name for path in tracked if path.parent == root and path.suffix in {".md", ".rst", ".txt"}}
    assert prose <= {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}


def test_nothing_is_left_for_later(tracked: list[Path], root: Path) -> None:
    words = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b|(?:#|//|\*).*\bfor now\b|\bNotImplementedError\b")
    found = []
    for path in tracked:
        if path.suffix not in {".py", ".ts", ".tsx", ".css", ".md", ".toml"} or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if match := words.search(line):
                found.append(f"{path.relative_to(root)}:{number} {match[0]}")
    assert found == []


def test_no_file_names_the_machine_it_was_written_on(tracked: list[Path], root: Path) -> None:
    here = str(root).encode()
    assert [str(path.relative_to(root)) for path in tracked if here in path.read_bytes()] == []
