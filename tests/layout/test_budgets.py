"""Small things stay small. When a limit hurts, the thing wants to be two things."""

import ast
from pathlib import Path
from typing import Any

import pytest

MODULE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 8
CONTRACT_METHODS = 8
BROAD_HANDLERS_PER_THOUSAND_LINES = 1.0
TESTS_PER_LINE = 0.9

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def functions(modules: list[Any]) -> list[tuple[str, FunctionNode]]:
    return [
        (f"{module.path}:{node.lineno} {node.name}", node)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, FunctionNode)
    ]


def test_modules(modules: list[Any]) -> None:
    assert [f"{m.path}: {m.lines} lines" for m in modules if m.lines > MODULE_LINES] == []


def test_functions(modules: list[Any]) -> None:
    def length(node: FunctionNode) -> int:
        return (node.end_lineno or node.lineno) - node.lineno + 1

    assert [f"{at}: {length(f)} lines" for at, f in functions(modules) if length(f) > FUNCTION_LINES] == []


def test_parameters(modules: list[Any]) -> None:
    def count(node: FunctionNode) -> int:
        names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        return len(names) - (names[:1] in (["self"], ["cls"]))

    assert [f"{at}: {count(f)} parameters" for at, f in functions(modules) if count(f) > PARAMETERS] == []


def test_contracts(modules: list[Any]) -> None:
    """A protocol of more methods is a burden on whoever implements it."""
    large = []
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith("Protocol") for base in node.bases):
                methods = [item for item in node.body if isinstance(item, FunctionNode)]
                if len(methods) > CONTRACT_METHODS:
                    large.append(f"{module.path}: {node.name} has {len(methods)}")
    assert large == []


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches everything and does not raise again."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {"everything" if kind is None else ast.unparse(kind) for kind in caught}
    broad = bool(names & {"everything", "Exception", "BaseException"})
    return broad and not isinstance(handler.body[-1], ast.Raise)


def test_broad_handlers(modules: list[Any]) -> None:
    found = [
        f"{module.path}:{node.lineno}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and swallows(node)
    ]
    allowed = BROAD_HANDLERS_PER_THOUSAND_LINES * sum(module.lines for module in modules) / 1000
    assert len(found) <= allowed, found


def test_tests(modules: list[Any], root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def written(text: str) -> int:
        return sum(bool(line.strip()) for line in text.splitlines())

    code = sum(written(module.text) for module in modules)
    own = [path for path in (root / "tests").rglob("*.py") if ".venv" not in path.parts]
    tests = sum(written(path.read_text()) for path in own)
    with capsys.disabled():
        print(f"\n{code} lines of code, {tests} of tests: {tests / code:.2f} a line")  # noqa: T201 - the account
    assert tests >= TESTS_PER_LINE * code
