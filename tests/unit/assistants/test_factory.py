"""Assistants out of a configuration."""

from pathlib import Path
from typing import Any

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.config import AssistantSection, AssistantSettings
from antiphon.assistants.factory import AssistantFactory, configured
from antiphon.assistants.strategies import Instructed
from antiphon.errors import ConfigError, ModuleError
from antiphon.settings.config import Config
from antiphon.workspace import Workspace


class Chefs(AssistantFactory):
    def create_assistant(self, config: AssistantSection) -> Assistant:
        dish = config.options["dish"]
        return Assistant(config.name, instructions=f"You cook {dish}.", tools=[self.find_tool("calculator")])


class Nobody(AssistantFactory):
    def create_assistant(self, config: AssistantSection) -> Any:
        return None


class Other(AssistantFactory):
    def create_assistant(self, config: AssistantSection) -> Assistant:
        return Assistant("other")


def double(number: int) -> int:
    """Doubles a number."""
    return 2 * number


def make(**section: Any) -> Assistant:
    (made,) = configured(AssistantSettings(named={"chef": section}))
    return made


def test_everything_that_is_written_there_is_in_it() -> None:
    made = make(
        description="Cooks.",
        instructions="You cook.",
        model=("one:a", "two:b"),
        tools=("calculator", "remember", f"{__name__}:double"),
        temperature=0.5,
        max_steps=3,
        strategy="brief",
    )
    assert (made.name, made.description, made.instructions) == ("chef", "Cooks.", "You cook.")
    assert (made.model, made.fallbacks) == ("one:a", ("two:b",))
    assert [tool.name for tool in made.tools] == ["calculator", "remember", "double"]
    assert (made.temperature, made.max_tokens, made.max_steps) == (0.5, None, 3)
    assert isinstance(made.strategy, Instructed)


def test_a_factory_of_ones_own_is_given_the_section() -> None:
    made = make(factory=f"{__name__}:Chefs", options={"dish": "soup"})
    assert made.instructions == "You cook soup."
    assert [tool.name for tool in made.tools] == ["calculator"]


@pytest.mark.parametrize(
    ("section", "error", "match"),
    [
        ({"factory": f"{__name__}:Nobody"}, ConfigError, "made no assistant"),
        ({"factory": f"{__name__}:Other"}, ConfigError, "another name, other"),
        ({"factory": f"{__name__}:make"}, ConfigError, "no AssistantFactory"),
        ({"factory": "no_such_module:Factory"}, ConfigError, "Write module:name"),
        ({"factory": "unknown"}, ModuleError, "no factory named 'unknown'"),
        ({"tools": ["calculater"]}, ModuleError, "Did you mean calculator"),
        ({"tools": ["antiphon.domain:nothing"]}, ConfigError, "The tool antiphon.domain:nothing cannot be loaded"),
        ({"options": {"dish": "soup"}}, ConfigError, "for a factory of its own"),
        ({"strategy": "bref"}, ConfigError, "Did you mean brief"),
    ],
)
def test_what_is_wrong_is_named(section: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make(**section)


def test_a_file_is_enough_for_an_assistant(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.yaml"
    file.write_text(
        "database: {url: 'sqlite:///:memory:'}\n"
        "assistants:\n  named:\n    chef: {description: Cooks., tools: [calculator], strategy: formal}\n    smith: {}\n"
    )
    workspace = Workspace(Config.load(file, environ={}))
    assert [assistant.name for assistant in workspace.assistants.all()] == ["chef", "smith"]
    assert workspace.assistants.default.description == "Cooks."
