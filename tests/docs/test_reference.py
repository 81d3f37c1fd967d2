"""The reference is the code: every setting, command, error and metric is there, and nothing else.

A table that is not as it should be fails with the rows to paste; `…` is for a person to write.
"""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer
from pydantic import BaseModel, SecretStr

import antiphon
from antiphon import Config, errors
from antiphon.cli.main import app
from antiphon.providers.base import ErrorKind
from antiphon.providers.config import ProviderSettings, ProvidersSettings, key_variables
from antiphon.providers.demo.config import DemoSettings
from antiphon.providers.registry import ProviderRegistry
from antiphon.settings.config import ENVIRONMENTS
from antiphon.settings.schema import leaves, live_part

Row = tuple[str | None, ...]

SETTINGS, COMMANDS = "docs/reference/settings.md", "docs/reference/commands.md"
ERRORS, METRICS = "docs/reference/errors.md", "docs/reference/metrics.md"


# --- settings -----------------------------------------------------------------------------------------------------


def sections() -> dict[str, type[BaseModel]]:
    """The sections of the configuration that are alike everywhere, by name."""
    found = {name: field.annotation for name, field in Config.model_fields.items()}
    return {name: kind for name, kind in found.items() if inspect.isclass(kind) and issubclass(kind, BaseModel)}


def fields(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, field in model.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, (*path, name))
        else:
            yield (*path, name), field


def shown(value: Any) -> str:
    match value:
        case None | "" | () | {}:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case float():
            return f"`{value:g}`"
        case int() | str():
            return f"`{value}`"
        case tuple():
            return f"`{', '.join(map(str, value))}`"
    raise AssertionError(f"no way to show the default {value!r}")


def variable(path: tuple[str, ...]) -> str:
    return f"ANTIPHON_{'__'.join(path).upper()}"


def rows(model: type[BaseModel], *path: str) -> list[Row]:
    found: list[Row] = []
    for name, field in fields(model, path):
        found.append((f"`{'.'.join(name)}`", f"`{variable(name)}`", shown(field.default), None))
    return found


@pytest.mark.parametrize("name", sorted(set(sections()) - {"providers"}))
def test_the_settings_of_each_section(page: Any, name: str) -> None:
    page(SETTINGS).holds(f"`{name}`", rows(sections()[name], name))


def test_the_settings_of_the_whole(page: Any) -> None:
    whole = [row for row in rows(Config) if "." not in str(row[0])]
    page(SETTINGS).holds("The whole", whole)


def test_what_each_environment_changes(page: Any) -> None:
    expected = [
        (f"`{environment}`", f"`{'.'.join(path)}`", shown(value), None)
        for environment, changes in ENVIRONMENTS.items()
        for path, value in leaves(changes)
    ]
    found = page(SETTINGS).table("Environments")
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    assert all(row[3] for row in found)


def test_which_settings_a_running_server_takes(page: Any) -> None:
    """What is declared as live is named, and nothing else."""
    live = {".".join(part) for path, _ in fields(Config, ()) if (part := live_part(Config, path))}
    assert set(re.findall(r"^- `([a-z_.]+)`", page(SETTINGS).section("While it runs"), re.MULTILINE)) == live


def test_the_settings_of_providers(page: Any) -> None:
    page(SETTINGS).holds("`providers`", rows(ProviderSettings, "providers", "<name>"))
    page(SETTINGS).holds("The demo model", rows(DemoSettings, "providers", "demo"))


def test_the_providers_that_are_built_in(page: Any) -> None:
    resource = {"azure": {"base_url": "https://name.openai.azure.com"}}
    registry = ProviderRegistry(ProvidersSettings.model_validate(resource), environ={}, plugged=())
    expected: list[Row] = []
    for name in registry.names():
        if name in {*ProvidersSettings.model_fields, "pydantic-ai"}:
            continue
        vendor: Any = registry.get(name)
        while "_provider" in vars(vendor):  # what is around it
            vendor = vars(vendor)["_provider"]
        address = vendor.default_url
        variable = ", ".join(f"`{variable}`" for variable in key_variables(name))
        where = f"`{address}`" if address else "that of your resource"
        expected.append((f"`{name}`", where, variable or "none needed"))
    page(SETTINGS).holds("The providers that are built in", expected)


def test_what_may_be_chosen_is_named(page: Any) -> None:
    """A setting with a list of choices has each of them in its row."""
    meanings = {
        row[0]: row[3]
        for heading in ("The whole", *(f"`{name}`" for name in set(sections()) - {"providers"}))
        for row in page(SETTINGS).table(heading)
    }
    for path, field in fields(Config, ()):
        for kind in (field.annotation, *get_args(field.annotation)):
            for choice in get_args(kind) if get_origin(kind) is Literal else ():
                meaning = meanings[f"`{'.'.join(path)}`"]
                assert f"`{choice}`" in meaning, f"{'.'.join(path)} does not name {choice}"


def test_every_variable_that_is_named_is_read(page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {}
    for path, field in (*fields(Config, ()), *fields(ProviderSettings, ("providers", "office"))):
        value = "http://127.0.0.1:9/v1" if path[-1] == "base_url" else field.default
        if value is not None:
            environ[variable(path)] = value if isinstance(value, str) else json.dumps(value)
    config = Config.load(environ=environ)
    office = config.providers.named("office")
    assert office is not None
    assert office.base_url == "http://127.0.0.1:9/v1"
    assert config.model_dump(exclude={"providers"}) == Config().model_dump(exclude={"providers"})


def test_the_examples_of_settings_are_accepted(page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = {block.language: block.text for block in page(SETTINGS).blocks}
    (tmp_path / "antiphon.yaml").write_text(blocks["yaml"])
    lines = [line.split("=", 1) for line in blocks["sh"].splitlines() if line.startswith("ANTIPHON_")]
    config = Config.load(environ={name: value.strip("'") for name, value in lines})
    office = config.providers.named("office")
    assert office is not None
    assert isinstance(office.api_key, SecretStr)
    assert config.server.port == 4001
    assert config.realtime.security.origins == ("https://example.com",)
    assert config.assistants.platform_models == {"web": "office:large-chat"}


def test_every_file_of_settings_that_is_shown_is_accepted(
    pages: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = [block for each in pages for block in each.blocks if block.language == "yaml"]
    assert len(shown) > 5
    for block in shown:
        (tmp_path / "antiphon.yaml").write_text(block.text)
        assert Config.load(environ={}).read_from, block.at


# --- commands -----------------------------------------------------------------------------------------------------


def test_what_people_type_after_a_slash(page: Any) -> None:
    package = importlib.import_module("antiphon.commands")
    modules = [
        importlib.import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    ]
    commands = [module.command for module in modules if hasattr(module, "command")]
    page(COMMANDS).holds("In a conversation", [(f"`{command.usage}`", None) for command in commands])


def options(command: Any) -> list[Row]:
    found: list[Row] = []
    for option in command.params:
        default = "" if option.default is None or option.default is False else f" Default `{option.default}`."
        found.append((f"`{option.opts[-1]}`", f"{option.help}{default}"))
    return found


def test_the_command_line(page: Any) -> None:
    group: Any = typer.main.get_command(app)
    page(COMMANDS).holds(
        "On the command line", [(f"`antiphon {name}`", command.help) for name, command in group.commands.items()]
    )
    for name, command in group.commands.items():
        page(COMMANDS).holds(f"`antiphon {name}`", options(command))


def test_the_words_for_make(page: Any, root: Path) -> None:
    targets = re.findall(r"^([a-z]+):.*## ", (root / "Makefile").read_text(), re.MULTILINE)
    expected: list[Row] = [(f"`make {target}`", None) for target in targets if target != "help"]
    page(COMMANDS).holds("In a clone of the repository", expected)


# --- errors -------------------------------------------------------------------------------------------------------


def error_classes() -> list[type[errors.AntiphonError]]:
    """Every error of the package, wherever it is defined."""
    for module in pkgutil.walk_packages(antiphon.__path__, "antiphon."):
        if not module.name.endswith(("__main__", ".env")):
            importlib.import_module(module.name)

    def below(kind: type[errors.AntiphonError]) -> Iterator[type[errors.AntiphonError]]:
        yield kind
        for child in kind.__subclasses__():
            if child.__module__.startswith("antiphon."):
                yield from below(child)

    return list(dict.fromkeys(below(errors.AntiphonError)))


def test_the_tree_of_errors(page: Any) -> None:
    assert errors.__doc__ is not None
    tree = textwrap.dedent("\n".join(line for line in errors.__doc__.splitlines() if line.startswith("    ")))
    assert tree in [block.text.rstrip("\n") for block in page(ERRORS).blocks], f"the tree is to be\n{tree}"


def test_each_error(page: Any) -> None:
    expected: list[Row] = []
    for kind in error_classes():
        takes = inspect.signature(kind.__init__).parameters
        again = "it says" if "retryable" in takes else "yes" if kind.retryable else "no"
        expected.append((f"`{kind.__name__}`", f"`{kind.code}`", again, None))
    page(ERRORS).holds("Each error", expected)


def test_what_a_vendor_may_have_done(page: Any) -> None:
    page(ERRORS).holds("What a vendor may have done", [(f"`{kind}`", None, None) for kind in get_args(ErrorKind)])


# --- metrics ------------------------------------------------------------------------------------------------------


def instruments(root: Path) -> Iterator[Row]:
    """Each instrument that the source makes: name, kind, labels, what it counts."""
    for path in sorted((root / "src" / "antiphon").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="counter" | "gauge" | "histogram" as kind),
                    args=[ast.Constant(value=str(name)), ast.Constant(value=str(what)), *rest],
                ):
                    labels = ast.literal_eval(rest[0]) if rest else ()
                    yield f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels) or "none", what


def test_every_metric_with_its_labels(page: Any, root: Path) -> None:
    page(METRICS).holds("Ours", sorted(set(instruments(root)), key=str))


def test_every_label_has_its_values(page: Any) -> None:
    used = {label for row in page(METRICS).table("Ours") for label in re.findall(r"`(\w+)`", row[2])}
    assert {row[0].strip("`") for row in page(METRICS).table("Values of labels")} == used


def test_a_server_shows_every_metric(page: Any, fetch: Any) -> None:
    told = fetch("metrics").text
    for name, kind, *_ in page(METRICS).table("Ours"):
        assert f"# TYPE {name.strip('`')} {kind}\n" in told
