"""What a page names (methods, log events, metrics, settings, commands) is what the code calls so."""

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

import antiphon
from antiphon import Config, ServiceContainer, Workspace
from antiphon.cli.main import app


@pytest.fixture(scope="module")
def trees(root: Path) -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in sorted((root / "src" / "antiphon").rglob("*.py"))]


def members(trees: list[ast.Module]) -> set[str]:
    """Every `Class.attribute` that a class defines."""
    found = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                for item in node.body:
                    if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                        found.add(f"{node.name}.{item.name}")
                    elif isinstance(item, ast.AnnAssign):
                        found.add(f"{node.name}.{ast.unparse(item.target)}")
    return found


def test_methods_exist(pages: list[Any], trees: list[ast.Module]) -> None:
    known = members(trees)
    named = re.compile(r"([A-Z]\w+\.[a-z]\w*)(?:\(.*\))?")
    found = [(each.name, match[1]) for each in pages for span in each.spans if (match := named.fullmatch(span))]
    assert len(found) > 10
    assert [(name, method) for name, method in found if method not in known] == []


def test_a_workspace_has_what_pages_name(pages: list[Any], root: Path) -> None:
    """`ws.assistants`, in a sentence or in a program."""
    source = (root / "src" / "antiphon" / "workspace.py").read_text()
    known = set(re.findall(r"self\.([a-z]\w*)(?:: [^=\n]+)? = ", source)) | set(
        re.findall(r"def ([a-z]\w*)\(self", source)
    )
    named = {(each.name, part) for each in pages for part in re.findall(r"\bws\.([a-z_]+)", each.text)}
    assert len(named) > 10
    assert {(name, part) for name, part in named if part not in known} == set()


def test_log_events_are_logged(pages: list[Any], page: Any, log_events: set[str]) -> None:
    """What looks like an event is one: on the page that follows a message all of it, elsewhere what begins like one."""
    kinds = {event.partition(".")[0] for event in log_events}
    measured = {"workspace.start", "monitoring.sample"}
    settings = set(page("docs/reference/settings.md").spans)
    others = settings | {name.removeprefix("realtime.") for name in settings} | measured
    named = {
        (each.name, span)
        for each in pages
        for span in each.spans
        if re.fullmatch(r"[a-z_]+\.[a-z_]+", span) and not span.endswith((".py", ".yaml", ".db"))
        if each.name == "docs/life-of-a-message.md" or span.partition(".")[0] in kinds
    }
    assert len(named) > 30
    assert {(name, span) for name, span in named if span not in log_events | others} == set()


def test_metrics_are_made(pages: list[Any], page: Any) -> None:
    known = {row[0].strip("`") for row in page("docs/reference/metrics.md").table("Ours")}
    named = {(each.name, word) for each in pages for word in re.findall(r"`(antiphon_[a-z_]+?)(?:_count)?`", each.text)}
    assert {(name, word) for name, word in named if word not in known and word != "antiphon_"} == set()


def test_settings_are_read(pages: list[Any], page: Any, log_events: set[str]) -> None:
    """A path such as `server.port` is in the reference, and so is a variable."""
    reference = page("docs/reference/settings.md")
    known = set(reference.spans) | log_events
    sections = "server|database|realtime|assistants|providers"
    for each in pages:
        for span in each.spans:
            if re.fullmatch(rf"(?:{sections})\.[a-z_.]+(?<!\.py)", span) and "add(" not in span:
                generic = re.sub(r"^providers\.(?!demo)[a-z]+", "providers.<name>", span)
                assert generic in known or generic == "providers.<name>", f"{each.name}: {span}"
        for variable in re.findall(r"ANTIPHON_[A-Z_]*[A-Z]", each.text):
            generic = re.sub(r"PROVIDERS__(?!DEMO)[A-Z]+", "PROVIDERS__<NAME>", variable)
            tests = {"ANTIPHON_SKIP_UI", *(f"ANTIPHON_TEST_{name}" for name in ("REQUIRE", "POSTGRES", "REDIS"))}
            assert generic in known | tests or f"`{variable}" in reference.text, f"{each.name}: {variable}"


def typed(pages: list[Any]) -> list[tuple[str, list[str]]]:
    """Every line that the pages tell people to type in a shell, as words."""
    lines = []
    for each in pages:
        shells = [line for block in each.blocks if block.language == "sh" for line in block.text.splitlines()]
        for text in (*shells, *each.spans):
            for line in re.split(r"&&|\|", text.partition(" #")[0]):
                words = line.split() if "'" in line or '"' in line else shlex.split(line)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                if words:
                    lines.append((each.name, words))
    return lines


def test_make_knows_its_words(pages: list[Any], root: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    asked = [(name, words[1]) for name, words in typed(pages) if words[0] == "make" and len(words) > 1]
    assert asked
    assert [(name, target) for name, target in asked if target not in targets] == []


def test_the_command_line_knows_its_words(pages: list[Any]) -> None:
    group: Any = typer.main.get_command(app)
    asked = [
        (name, words[1:])
        for name, words in typed(pages)
        if words[0] in {"antiphon", ".venv/bin/antiphon"} and len(words) > 1
    ]
    assert asked
    for name, (command, *rest) in asked:
        assert command in group.commands, f"{name}: antiphon {command}"
        options = {option for item in group.commands[command].params for option in item.opts}
        assert {word for word in rest if word.startswith("--")} <= options, f"{name}: antiphon {command} {rest}"


def test_what_is_built_is_public_and_what_is_not_is_not(page: Any) -> None:
    seeds = page("docs/seeds.md")
    built = {name for row in seeds.table("Works now") for name in re.findall(r"`(\w+)`", row[1])}
    missing = {name for row in seeds.table("Not yet") for name in re.findall(r"`(\w+)`", row[1])}
    public = set(antiphon.__all__)
    assert built <= public
    assert missing & public == set()
    # `get_…` and classes of the package that no document names are our own.
    said = {
        name for each in (seeds.section("Works now"), seeds.section("In part")) for name in re.findall(r"`(\w+)`", each)
    }
    ours = {name for name in public if name.endswith("Error")} | {"Middleware", "Token", "ToolContext", "tool"}
    ours |= {"Access", "ClientChannel", "ClientOptions", "ClientPresence", "PhoenixClient", "RealtimeChannel"}
    assert public - said - ours == set()


async def test_every_part_that_can_be_asked_for_is_named(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: set[str] = set()
    register = ServiceContainer.register_singleton

    def keep(container: ServiceContainer, kind: type, part: object) -> None:
        kinds.add(kind.__name__)
        register(container, kind, part)

    monkeypatch.setattr(ServiceContainer, "register_singleton", keep)
    await Workspace(Config(environment="testing")).stop()
    section = page("docs/guides/services.md").section("Which parts of the house can I ask for?")
    assert set(re.findall(r"`(\w+)`", section)) == kinds | {"ServiceContainer"}
