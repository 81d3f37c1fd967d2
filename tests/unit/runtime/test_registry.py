import logging
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from antiphon.errors import ModuleError
from antiphon.runtime import registry as registry_module
from antiphon.runtime.registry import Registry


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An extension folder of a package that nobody has imported."""
    package = tmp_path / "house_of_tests"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "base.py").write_text("raise RuntimeError('base is no extension')")
    (package / "_private.py").write_text("")
    (package / "http.py").write_text("")
    (package / "demo.py").write_text("extension = 'the demo'")
    (package / "vendor.py").write_text("import a_package_nobody_has")
    (package / "broken.py").write_text("from os import no_such_name")
    (package / "empty.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield package.name
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


def pick(module: ModuleType) -> str:
    extension: str = module.extension
    return extension


def entry_point(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    points = [EntryPoint(name=name, value=value, group="antiphon.providers")]
    monkeypatch.setattr(registry_module, "entry_points", lambda *, group: points if group == points[0].group else [])


def test_files_are_known_without_being_imported(folder: str) -> None:
    registry = Registry("provider", pick, package=folder, without={"http"})
    assert registry.names() == ["broken", "demo", "empty", "vendor"]
    assert "demo" in registry
    assert "base" not in registry
    assert f"{folder}.demo" not in sys.modules


def test_a_file_is_loaded_when_it_is_asked_for(folder: str) -> None:
    assert Registry("provider", pick, package=folder).get("demo") == "the demo"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("dmo", "There is no provider named 'dmo'. Did you mean demo?"),
        ("zzz", "There is no provider named 'zzz'. Known are: broken, demo, empty, vendor."),
        ("vendor", "The provider 'vendor' needs the package 'a_package_nobody_has'; install it and start again."),
    ],
)
def test_what_cannot_be_had_is_said_in_a_sentence(folder: str, name: str, sentence: str) -> None:
    registry = Registry("provider", pick, package=folder, without={"http"})
    with pytest.raises(ModuleError) as caught:
        registry.get(name)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("name", ["broken", "empty"])
def test_a_file_that_is_no_extension_is_named(folder: str, name: str) -> None:
    with pytest.raises(ModuleError, match=f"The provider '{name}' cannot be loaded"):
        Registry("provider", pick, package=folder).get(name)


def test_an_added_extension_comes_before_a_file_and_is_added_once(folder: str) -> None:
    registry = Registry("provider", pick, package=folder)
    registry.add("demo", "mine")
    assert registry.get("demo") == "mine"
    with pytest.raises(ModuleError, match="registered already"):
        registry.add("demo", "another")


def test_entry_points_give_an_object_or_a_module(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    for value in (f"{folder}.demo:extension", f"{folder}.demo"):
        entry_point(monkeypatch, "foreign", value)
        registry = Registry("provider", pick, group="antiphon.providers")
        assert registry.names() == ["foreign"]
        assert registry.get("foreign") == "the demo"


def test_an_installed_package_cannot_take_the_name_of_ours(
    monkeypatch: pytest.MonkeyPatch, folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    entry_point(monkeypatch, "demo", "os:getcwd")
    registry = Registry("provider", pick, package=folder, group="antiphon.providers")
    with caplog.at_level(logging.WARNING):
        assert registry.get("demo") == "the demo"
    assert "registry.shadowed" in caplog.text


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(ModuleError, match="Known are: none"):
        Registry("provider", pick).get("anything")
