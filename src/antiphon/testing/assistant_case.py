"""A `unittest` case with an assistant to talk to, and a model that says what the test wants."""

import json
import unittest
from typing import Any

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.dialogue import AssistantReply, Dialogue
from antiphon.domain import ToolPart
from antiphon.runtime.base import Services
from antiphon.runtime.container import ServiceContainer
from antiphon.testing.models import ScriptedModel


class AssistantTestCase(unittest.IsolatedAsyncioTestCase):
    """Talks with the assistant that `make_assistant` gives, each test with a new one:

        class TestWeather(AssistantTestCase):
            def make_assistant(self):
                return Assistant("guide", tools=[weather])

            async def test_it_looks_out_of_the_window(self):
                self.model.calls("weather", city="Oslo").says("It rains in Oslo.")
                reply = await self.assistant.process_message("And in Oslo?")
                self.assert_called(reply, "weather", city="Oslo")

    Handlers of "start" and "stop" are called around each test. Where `model` is told nothing, the built-in demo model
    answers; nothing goes over a network.
    """

    assistant: Dialogue
    model: ScriptedModel

    def make_assistant(self) -> Assistant:
        return Assistant("assistant")

    def make_services(self) -> Services:
        """What the assistant's tools and handlers may ask for."""
        return ServiceContainer()

    async def asyncSetUp(self) -> None:
        made, services = self.make_assistant(), self.make_services()
        self.model = ScriptedModel()
        self.assistant = Dialogue(made, self.model, "scripted", services=services)
        await made.events.start(services)
        self.addAsyncCleanup(made.events.stop, services)

    def assert_called(self, reply: AssistantReply, tool: str, /, **arguments: Any) -> ToolPart:
        """The reply's first call of `tool` with at least these arguments; fails where there is none."""
        for call in reply.calls:
            if call.name == tool and arguments.items() <= json.loads(call.arguments).items():
                return call
        wanted = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        found = "; ".join(f"{call.name}({call.arguments})" for call in reply.calls) or "nothing"
        raise self.failureException(f"{tool}({wanted}) was not called; called was: {found}.")

    def assert_not_called(self, reply: AssistantReply, tool: str) -> None:
        if tool in (call.name for call in reply.calls):
            raise self.failureException(f"{tool} was called.")
