"""Who may import whom, and what an import costs."""

import ast
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import antiphon


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        stdin=subprocess.DEVNULL,
    ).stdout


def test_the_arrows_point_down(root: Path, tmp_path: Path) -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    command = [str(linter), "--cache-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_pulls_in_nothing_of_others() -> None:
    program = (
        "import json, sys; before = set(sys.modules); import antiphon\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    assert set(json.loads(run(program))) - sys.stdlib_module_names == {"antiphon"}


def cost(module: str) -> float:
    """CPU seconds of an import in a fresh interpreter, the median of several."""
    program = f"import time; began = time.process_time(); import {module}; print(time.process_time() - began)"
    return statistics.median(float(run(program)) for _ in range(5))


def test_importing_the_package_costs_less_than_a_part_of_the_standard_library() -> None:
    ours, theirs = cost("antiphon"), cost("asyncio")
    assert ours < theirs, f"import antiphon takes {ours * 1000:.0f} ms, import asyncio {theirs * 1000:.0f} ms"
    assert ours < 0.1


def test_each_public_name_exists_and_has_the_type_that_checkers_see() -> None:
    assert sorted(antiphon.__all__) == list(antiphon.__all__)
    assert len(set(antiphon.__all__)) == len(antiphon.__all__)
    for name in antiphon.__all__:
        assert getattr(antiphon, name) is not None
    tree = ast.parse(Path(antiphon.__file__).read_text())
    checked = {
        alias.asname or alias.name
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert checked | {"__version__"} == set(antiphon.__all__) | {"__version__"}


def test_nothing_is_pickled(modules: list[Any]) -> None:
    forbidden = {"pickle", "shelve", "marshal"}
    found = []
    for module in modules:
        for node in ast.walk(module.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{module.path}: {name}" for name in names if name.partition(".")[0] in forbidden]
    assert found == []
