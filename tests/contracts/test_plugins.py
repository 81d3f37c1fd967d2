"""What every plugin promises. Those that come with Antiphon are found here by themselves."""

import inspect
import re
from pathlib import Path

import pytest

import antiphon.plugins
from antiphon.errors import PluginError
from antiphon.plugins.base import BasePlugin, PluginHouse, PluginMetadata
from antiphon.plugins.config import PluginsSettings
from antiphon.plugins.discovery import known_plugins, load_plugins, survey
from antiphon.plugins.hooks import HOOKS, Hooks
from antiphon.runtime.base import Service
from tests.plugins import plugin

BUILT_IN = known_plugins(PluginsSettings()).names()


def made(name: str) -> BasePlugin:
    ((found, _),) = load_plugins(PluginsSettings(enabled=(name,)))
    return found


def test_every_file_of_the_folder_is_a_plugin_or_a_part_of_the_house() -> None:
    assert "voice" in BUILT_IN
    files = {path.stem for path in Path(antiphon.plugins.__path__[0]).glob("[a-z]*.py")}
    holding = {name for name in files if "(BasePlugin)" in Path(antiphon.plugins.__path__[0], f"{name}.py").read_text()}
    assert set(BUILT_IN) == holding


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_says_what_it_is(name: str) -> None:
    found = made(name)
    assert isinstance(found, Service)
    assert found.metadata.name == found.name == name
    assert re.fullmatch(r"\d+\.\d+\.\d+", found.metadata.version)
    assert found.metadata.description.endswith(".")
    assert found.metadata.capabilities
    assert not isinstance(found.metadata.capabilities, str)


@pytest.mark.parametrize("name", BUILT_IN)
def test_its_hooks_are_as_the_page_has_them(name: str) -> None:
    found = made(name)
    assert found.required <= set(found.listens) <= set(HOOKS)
    for hook in found.listens:
        ours, theirs = getattr(Hooks, hook), getattr(type(found), hook)
        assert inspect.iscoroutinefunction(theirs)
        assert list(inspect.signature(theirs).parameters) == list(inspect.signature(ours).parameters)
    assert found.seconds is None or found.seconds > 0


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_works_as_it_comes_and_refuses_what_is_no_setting_of_it(name: str) -> None:
    """Registering reads settings and adds; it opens nothing."""
    found = made(name)
    found.register(PluginHouse(settings=found.configured({})))
    assert found.section is not None
    for setting, field in found.section.model_fields.items():
        assert field.description, setting
    with pytest.raises(ValueError, match="no_such_setting"):
        found.configured({"no_such_setting": 1})


def test_what_can_be_switched_on_is_told_without_switching_it_on(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    plugin(folder, "quiet", "pass", about=', description="Says nothing."')
    folder.joinpath("broken.py").write_text("import nothing_of_this_name")
    (folder / "whole").mkdir()
    plugin(folder, "inside", "pass")
    folder.joinpath("inside.py").rename(folder / "whole" / "__init__.py")
    (folder / "whole" / "__init__.py").write_text(
        (folder / "whole" / "__init__.py").read_text().replace('"inside"', '"whole"')
    )
    (folder / "_hidden.py").write_text("raise RuntimeError")
    found = {each.name: each for each in survey(PluginsSettings(folders=(str(folder),), enabled=("quiet",)))}
    assert set(found) == {*BUILT_IN, "quiet", "broken", "whole"}
    assert found["quiet"].enabled
    assert found["quiet"].description == "Says nothing."
    assert "needs the package 'nothing_of_this_name'" in found["broken"].problem
    assert not found["whole"].problem


def test_one_without_metadata_is_none() -> None:
    class Nameless(BasePlugin):
        """Has forgotten who it is."""

    with pytest.raises(PluginError, match="Nameless has no metadata"):
        Nameless()
    assert Nameless(PluginMetadata(name="named", version="1")).name == "named"
