"""Which tests prove which blocks, and which wait, read from their decorators without running anything."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Marked(NamedTuple):
    """A test: its file, the names of its decorators, and the names that its body reads."""

    file: str
    name: str
    marks: tuple[str, ...]
    reads: frozenset[str]


@cache
def _tests() -> list[tuple[Marked, list[ast.Call]]]:
    found = []
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [call for call in node.decorator_list if isinstance(call, ast.Call)]
                marks = tuple(ast.unparse(call.func) for call in calls)
                inside = [each for statement in node.body for each in ast.walk(statement)]
                reads = frozenset(each.id for each in inside if isinstance(each, ast.Name))
                found.append((Marked(path.stem, node.name, marks, reads), calls))
    return found


def decorated(mark: str) -> Iterator[tuple[str, Marked]]:
    """The argument of each decorator of that name, and the test that it stands on."""
    for test, calls in _tests():
        for call, name in zip(calls, test.marks, strict=True):
            if name == mark:
                yield ast.literal_eval(call.args[0]), test
