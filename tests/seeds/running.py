"""Runs a block as it stands but for the renames, with what it takes for granted around it."""

import ast
import builtins
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import antiphon
from tests.seeds.extract import DOCUMENTS, FOLDER, Block, blocks
from tests.seeds.later import NotBuiltError
from tests.seeds.renames import renamed

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "antiphon"
PAGE = ROOT / "docs" / "seeds.md"


def sample(block_id: str) -> pytest.MarkDecorator:
    """The test proves this block and is given it as `block`."""
    return pytest.mark.parametrize("block", [pytest.param(blocks()[block_id], id=block_id)])


def run(block: Block, **given: Any) -> dict[str, Any]:
    """Runs the block and returns its names. `given` is what it presupposes; other names are our public ones.

    Raises `NotBuiltError` when the block needs a public name that does not exist yet.
    """
    program, names = prepare(block, given)
    assert program() is None, f"{block.id} awaits something: use run_async"
    return names


async def run_async(block: Block, **given: Any) -> dict[str, Any]:
    """As `run`, for blocks that await."""
    program, names = prepare(block, given)
    await program()
    return names


def prepare(block: Block, given: Mapping[str, Any]) -> tuple[FunctionType, dict[str, Any]]:
    """The block as a function, and the names that it reads and writes."""
    if ours := sorted(given.keys() & set(antiphon.__all__)):
        raise LookupError(f"{', '.join(ours)}: the block is to use ours, and nothing in its place")
    text = renamed(block.text)
    tree = ast.parse(text)
    for name in _imported(tree):
        public(name)
    names = {"__name__": f"antiphon.{block.document.replace('-', '_')}", **given}
    names |= {name: public(name) for name in _free(tree) if name not in names}
    # The empty lines in front let a traceback name the line of the document.
    program = compile(
        "\n" * (block.line - 1) + text,
        str(FOLDER / DOCUMENTS[block.document]),
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
    )
    return FunctionType(program, names), names


def public(name: str) -> Any:
    """Our public object of that name. Raises `NotBuiltError` when there is none yet."""
    if name in antiphon.__all__:
        return getattr(antiphon, name)
    if name in promised():
        raise NotBuiltError(f"antiphon has no {name} yet")
    raise LookupError(f"{name} is neither given by the test, nor public, nor promised by docs/seeds.md")


def having(thing: Any, *methods: str) -> Any:
    """The thing, when it has these methods. Raises `NotBuiltError` when it has not yet."""
    if missing := [name for name in methods if not hasattr(thing, name)]:
        raise NotBuiltError(f"{type(thing).__name__} has no {', '.join(missing)} yet")
    return thing


def home(place: str, *, below: Path = PACKAGE) -> Path:
    """A file or folder of the package. Raises `NotBuiltError` when it is not there yet."""
    path = below / place
    if not path.exists():
        raise NotBuiltError(f"there is no {place} yet")
    return path


@cache
def promised() -> set[str]:
    """Every name that the page of the five documents mentions."""
    return set(re.findall(r"`@?(\w+)[^`\n]*`", PAGE.read_text(encoding="utf-8")))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "antiphon":
            yield from (alias.name for alias in node.names)


def _free(tree: ast.Module) -> set[str]:
    """The names that are read and bound nowhere in the block."""
    read, bound = set(), set(dir(builtins))
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                read.add(name)
            case ast.Name(id=name) | ast.arg(arg=name):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.alias(name=name, asname=other):
                bound.add(other or name)
            case _:
                pass
    return read - bound
