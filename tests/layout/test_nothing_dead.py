"""What is defined is used: an option that changes nothing, or a metric that stays zero, is a lie."""

import ast
from collections.abc import Iterator
from typing import Any

INSTRUMENTS = {"counter", "gauge", "histogram"}


def names_read(tree: ast.AST) -> set[str]:
    """Every name and attribute that code below `tree` reads."""
    read = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            read.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            read.add(node.id)
    return read


def settings_fields(modules: list[Any]) -> Iterator[tuple[str, str]]:
    """Each field of the pydantic models in `config.py` files and `settings.py`, with its place."""
    for module in modules:
        if module.path.name in {"config.py", "settings.py"}:
            for model in module.tree.body:
                if isinstance(model, ast.ClassDef) and model.bases:
                    yield from ((f"{module.path}: {model.name}.{name}", name) for name in annotated(model))


def annotated(model: ast.ClassDef) -> Iterator[str]:
    for item in model.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name = item.target.id
            if not name.startswith("_") and name != "model_config":
                yield name


def test_settings(modules: list[Any]) -> None:
    read = {node.attr for module in modules for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    fields = list(settings_fields(modules))
    assert fields, "no settings were found: this test looks in the wrong place"
    dead = [place for place, name in fields if name not in read]
    assert not dead, "\n".join(dead)


def test_errors(modules: list[Any]) -> None:
    (home,) = (module for module in modules if module.name == "antiphon.errors")
    classes = {node.name for node in home.tree.body if isinstance(node, ast.ClassDef)}
    used = set[str]().union(*(names_read(module.tree) for module in modules if module is not home))
    assert classes - used == set()


def metric_name(node: ast.AST) -> str | None:
    """The name in a call such as `metrics.counter("antiphon_turns_total", …)`, None for anything else."""
    match node:
        case ast.Call(func=ast.Attribute(attr=kind), args=[ast.Constant(value=str(name)), *_]) if kind in INSTRUMENTS:
            return name
    return None


def metrics_made(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The name of each metric and the statement or expression that it is made in."""
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            if name := metric_name(child):
                yield name, parent


def is_used(parent: ast.AST, read: set[str]) -> bool:
    """Whether what was made reaches somebody: its variable is read, or it is passed on or used where it was made."""
    match parent:
        case ast.Assign(targets=[ast.Attribute(attr=name)]) | ast.AnnAssign(target=ast.Attribute(attr=name)):
            return name in read
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name in read
    return not isinstance(parent, ast.Expr)


def test_metrics(modules: list[Any]) -> None:
    read = set[str]().union(*(names_read(module.tree) for module in modules))
    made = [(f"{module.path}: {name}", name, at) for module in modules for name, at in metrics_made(module.tree)]
    assert made, "no metrics were found: this test looks in the wrong place"
    assert [place for place, name, _ in made if not name.startswith("antiphon_")] == []
    dead = [place for place, _, parent in made if not is_used(parent, read)]
    assert not dead, "\n".join(dead)
