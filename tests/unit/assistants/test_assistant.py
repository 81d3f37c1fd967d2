"""Assistants: checked when they are made, never changed afterwards, found by name."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.config import AssistantSettings
from antiphon.assistants.directory import Directory, built_in
from antiphon.assistants.prompts import Prompt
from antiphon.errors import ConfigError
from antiphon.tools.base import tool


async def weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}"


def test_functions_become_tools_and_tools_stay_what_they_are() -> None:
    made = tool(name="forecast")(weather)
    assistant = Assistant("guide", tools=[weather, made])
    assert [item.name for item in assistant.tools] == ["weather", "forecast"]
    assert assistant.tool("forecast") is made
    assert assistant.tool("nothing") is None
    assert [spec.name for spec in assistant.specs] == ["weather", "forecast"]
    assert assistant.specs[0].description == "The weather in a city."
    assert assistant.specs[0].parameters["required"] == ["city"]


def test_without_instructions_the_default_prompt_is_used() -> None:
    assert Assistant("guide").instructions == Prompt("helpful")
    assert Assistant("guide", instructions="Be kind.").instructions == "Be kind."


def test_an_assistant_cannot_be_changed() -> None:
    assistant = Assistant("guide")
    with pytest.raises(FrozenInstanceError):
        assistant.model = "one:m"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "begins with a letter"),
        ({"name": "Guide"}, "begins with a letter"),
        ({"name": "a b"}, "begins with a letter"),
        ({"name": "a" * 64}, "up to 63"),
        ({"model": " "}, "provider:model"),
        ({"temperature": 3}, "between 0 and 2"),
        ({"temperature": float("nan")}, "between 0 and 2"),
        ({"max_tokens": 0}, "greater than 0"),
        ({"max_steps": 0}, "greater than 0"),
        ({"tools": [weather, weather]}, "two tools are called weather"),
        ({"tools": ["weather"]}, "'weather' is no tool"),
        ({"tools": [lambda: None]}, "a name has"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_made(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Assistant(**{"name": "guide", **fields})
    assert said in str(refused.value)


def test_the_first_assistant_is_the_default_and_names_are_taken_once() -> None:
    directory = Directory()
    with pytest.raises(ConfigError, match="There is no assistant"):
        _ = directory.default
    guide, poet = directory.add(Assistant("guide")), directory.add(Assistant("poet"))
    assert directory.default is guide
    assert directory.all() == (guide, poet)
    assert directory.get("poet") is poet
    assert len(directory) == 2
    with pytest.raises(ConfigError, match="another name"):
        directory.add(Assistant("poet"))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    directory = Directory()
    with pytest.raises(ConfigError, match="There is: none"):
        directory.get("guide")
    directory.add(Assistant("guide"))
    with pytest.raises(ConfigError, match="Did you mean guide"):
        directory.get("giude")
    with pytest.raises(ConfigError, match="There is: guide"):
        directory.get("xyz")


def test_the_built_in_assistant_is_as_the_settings_say() -> None:
    settings = AssistantSettings(name="butler", description="Serves.", instructions="Be brief.", max_steps=3)
    butler = built_in(settings, [weather])
    assert (butler.name, butler.description, butler.instructions, butler.max_steps) == (
        "butler",
        "Serves.",
        "Be brief.",
        3,
    )
    assert butler.tool("weather") is not None
    assert butler.model is None
