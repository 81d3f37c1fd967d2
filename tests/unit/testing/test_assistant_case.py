"""The case for `unittest` and the fixtures for pytest: an assistant to talk to, a model that obeys."""

import unittest
from collections.abc import Callable
from typing import Protocol

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.dialogue import Dialogue
from antiphon.errors import ToolError
from antiphon.runtime.base import Services
from antiphon.runtime.container import ServiceContainer
from antiphon.testing.assistant_case import AssistantTestCase
from antiphon.testing.fixtures import scripted_model, talk
from antiphon.testing.models import ScriptedModel
from antiphon.tools.base import tool

__all__ = ["scripted_model", "talk"]  # pytest finds fixtures by their names here

LIFE: list[str] = []


class Sky(Protocol):
    rain: bool


class Grey:
    rain = True


@tool
async def weather(city: str, sky: Sky) -> str:
    """The weather."""
    if city == "Atlantis":
        raise ToolError("It lies under the sea.")
    return "rain" if sky.rain else "sun"


class WithSky(AssistantTestCase):
    def make_assistant(self) -> Assistant:
        made = Assistant("guide", instructions="Be kind.", tools=[weather])

        @made.on_event("start")
        async def begins(sky: Sky) -> None:
            LIFE.append("start")

        @made.on_event("stop")
        async def ends() -> None:
            LIFE.append("stop")

        return made

    def make_services(self) -> Services:
        services = ServiceContainer()
        services.register_singleton(Sky, Grey())
        return services

    async def test_a_tool_is_called(self) -> None:
        self.model.calls("weather", city="Oslo").says("It ", "rains.")
        reply = await self.assistant.process_message("And in Oslo?")
        assert str(reply) == "It rains."
        assert self.assert_called(reply, "weather", city="Oslo").result == "rain"
        self.assert_not_called(reply, "calculator")
        assert self.model.left == 0
        assert self.model.requests[0].messages[0].text == "Be kind."

    async def test_the_second_message_knows_the_first(self) -> None:
        self.model.calls("weather", city="Oslo").says("Rain.").says("I said so.")
        await self.assistant.process_message("One")
        await self.assistant.process_message("Two")
        roles = [message.role for message in self.model.requests[-1].messages]
        assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]

    async def test_a_failure_is_a_reply(self) -> None:
        self.model.fails("quota", after="It")
        reply = await self.assistant.process_message("And?")
        assert (reply.status, reply.text) == ("interrupted", "It")

    async def test_what_was_not_called_is_told_with_what_was(self) -> None:
        self.model.calls("weather", city="Atlantis").says("No idea.")
        reply = await self.assistant.process_message("And?")
        with pytest.raises(AssertionError, match=r"weather\(city='Oslo'\) was not called; called was: weather\("):
            self.assert_called(reply, "weather", city="Oslo")
        with pytest.raises(AssertionError):
            self.assert_not_called(reply, "weather")
        assert reply.calls[0].status == "failed"


def test_handlers_are_called_around_each_test() -> None:
    LIFE.clear()
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(WithSky).run(result)
    assert (result.testsRun, result.failures, result.errors) == (4, [], [])
    assert LIFE == ["start", "stop"] * 4


async def test_the_demo_model_answers_where_nothing_is_laid_down(talk: Callable[..., Dialogue]) -> None:
    assert (await talk(Assistant("guide")).process_message("Hello")).text


async def test_a_fixture_gives_the_model_of_the_conversation(
    talk: Callable[..., Dialogue], scripted_model: ScriptedModel
) -> None:
    scripted_model.says("Yes.")
    assert (await talk(Assistant("guide")).process_message("Is it?")).text == "Yes."
    assert scripted_model.requests[0].messages[-1].text == "Is it?"
    assert [info.id for info in await scripted_model.models()] == ["scripted"]
    await scripted_model.stop()
