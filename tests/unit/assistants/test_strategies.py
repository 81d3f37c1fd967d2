"""Strategies shape what a model is asked, or answer themselves; nobody else pays for it."""

from collections.abc import AsyncIterator

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.dialogue import Dialogue
from antiphon.assistants.state import State
from antiphon.assistants.strategies import BRIEF, FORMAL, ResponseContext
from antiphon.domain import Usage
from antiphon.errors import ConfigError
from antiphon.providers.base import Error, Finish, TextDelta, UsageReport
from antiphon.testing.models import ScriptedModel
from antiphon.tools.base import tool


class Count(State):
    asked: int


class Pirate:
    async def generate_response(self, context: ResponseContext) -> str:
        return f"Arr, {context.question}!"


class Slowly:
    async def generate_response(self, context: ResponseContext) -> AsyncIterator[str]:
        return self.pieces(context.question)

    async def pieces(self, text: str) -> AsyncIterator[str]:
        for word in text.split():
            yield f"{word} "


class Critic:
    """Drafts, has the draft judged, and lets the model write with that in mind."""

    async def generate_response(self, context: ResponseContext) -> None:
        async with context.state(Count) as count:
            count.asked += 1
            asked = count.asked
        flaws = await context.ask(f"What is wrong with {context.question}?", instructions="You judge.")
        context.instruct(f"Avoid: {flaws} ({asked})")
        context.temperature = 0.1
        context.max_tokens = 50


class Broken:
    async def generate_response(self, context: ResponseContext) -> str:
        raise ValueError(context.question)


@tool
def look() -> str:
    """Looks."""
    return "seen"


def begin(strategy: object, model: ScriptedModel, **more: object) -> Dialogue:
    options = {"instructions": "Be kind.", "strategy": strategy, **more}
    return Dialogue(Assistant("guide", **options), model, "m")  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "told"), [("formal", FORMAL), ("brief", BRIEF)])
async def test_a_named_strategy_tells_the_model_more_on_every_call_of_the_turn(name: str, told: str) -> None:
    model = ScriptedModel().calls("look").says("Yes.")
    reply = await begin(name, model, tools=[look]).process_message("Look")
    assert reply.text == "Yes."
    first, second = model.requests
    assert first.messages[0].text == second.messages[0].text == f"Be kind.\n\n{told}"
    assert [message.role for message in second.messages] == ["system", "user", "assistant", "tool"]


async def test_the_plain_one_is_no_strategy_at_all() -> None:
    model = ScriptedModel().says("Yes.")
    assert Assistant("guide", strategy="plain").strategy is None
    await begin("plain", model).process_message("Look")
    assert model.requests[0].messages[0].text == "Be kind."


async def test_a_strategy_may_answer_without_any_model() -> None:
    model = ScriptedModel()
    dialogue = begin(Pirate(), model)
    reply = await dialogue.process_message("hello")
    assert (reply.text, reply.status, reply.usage) == ("Arr, hello!", "answered", Usage())
    assert (await begin(Slowly(), model).process_message("one two")).text == "one two "
    assert model.requests == []
    assert (await dialogue.process_message("again")).text == "Arr, again!"


async def test_a_strategy_asks_on_the_side_and_shapes_what_is_asked() -> None:
    spent = UsageReport(Usage(input_tokens=3, output_tokens=1))
    model = ScriptedModel()
    for text in ("haste", "Well done."):
        model.plays(TextDelta(text), spent, Finish("stop"))
    reply = await begin(Critic(), model).process_message("this")
    assert reply.text == "Well done."
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (6, 2)
    side, asked = model.requests
    assert [message.text for message in side.messages] == ["You judge.", "What is wrong with this?"]
    assert asked.messages[0].text == "Be kind.\n\nAvoid: haste (1)"
    assert (asked.temperature, asked.max_tokens) == (0.1, 50)


async def test_the_state_is_there_for_the_next_turn() -> None:
    model = ScriptedModel().says("a").says("b").says("c").says("d")
    dialogue = begin(Critic(), model)
    await dialogue.process_message("one")
    await dialogue.process_message("two")
    assert model.requests[-1].messages[0].text.endswith("(2)")


async def test_a_strategy_that_fails_costs_the_answer_and_not_the_program() -> None:
    reply = await begin(Broken(), ScriptedModel()).process_message("my diary entry")
    assert (reply.status, reply.parts) == ("refused", reply.parts)
    assert "my diary" not in (reply.reason or "")
    reply = await begin(Critic(), ScriptedModel().fails("quota")).process_message("this")
    assert (reply.status, reply.reason) == ("refused", "The model failed, as this test wants it.")


@pytest.mark.parametrize(
    ("wish", "hint"), [("formel", "Did you mean formal"), (Pirate, "is no strategy"), (object(), "is no strategy")]
)
def test_what_is_no_strategy_is_refused(wish: object, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        Assistant("guide", strategy=wish)  # type: ignore[arg-type]


def test_an_option_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean temperature"):
        Assistant("guide", temprature=1)  # type: ignore[call-arg]


async def test_a_strategy_shapes_what_is_asked_again_with_less() -> None:
    too_long = Error("too_long", "m", "It is too long.")
    model = ScriptedModel().says("One.").says("Two.").plays(too_long).calls("look").says("Three.")
    dialogue = begin("brief", model, tools=[look])
    for text in ("one", "two"):
        await dialogue.process_message(text)
    assert (await dialogue.process_message("three")).text == "Three."
    refused, less, behind = model.requests[2:]
    assert [message.text for message in refused.messages][1:] == ["one", "One.", "two", "Two.", "three"]
    assert len(less.messages) < len(refused.messages)
    assert less.messages[0].text == behind.messages[0].text == f"Be kind.\n\n{BRIEF}"
    assert behind.messages[: len(less.messages)] == less.messages
