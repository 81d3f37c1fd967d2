"""`AIService`: assistants are found by what they can do, given the tasks that fit them, and hand over."""

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.dialogue import Dialogue
from antiphon.assistants.directory import AIService
from antiphon.errors import ConfigError
from antiphon.testing.models import ScriptedModel
from antiphon.tools.calculator import calculator


def service() -> AIService:
    made = AIService()
    made.register(Assistant("guide", description="Knows this house."))
    made.register(Assistant("cook", description="Knows how dishes are made.", capabilities=["Recipes", "menus"]))
    made.register(Assistant("clerk", description="Adds up bills.", capabilities=["menus"], tools=[calculator]))
    return made


@pytest.mark.parametrize(
    ("capability", "names"),
    [("recipes", ["cook"]), ("menus", ["cook", "clerk"]), ("calculator", ["clerk"]), ("flying", [])],
)
def test_they_are_found_by_what_they_can_do(capability: str, names: list[str]) -> None:
    assert [assistant.name for assistant in service().discover(capability)] == names


@pytest.mark.parametrize(
    ("task", "capability", "name"),
    [
        ("How is this dish made?", None, "cook"),
        ("Please add up the bill", None, "clerk"),
        ("Please add up the bill", "recipes", "cook"),
        ("Xyzzy", None, "guide"),
        ("Xyzzy", "menus", "cook"),
    ],
)
def test_a_task_goes_to_whom_it_fits(task: str, capability: str | None, name: str) -> None:
    assert service().route(task, capability=capability).name == name


def test_what_nobody_can_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"No assistant has the capability .recipies.\. Did you mean Recipes"):
        service().route("x", capability="recipies")
    with pytest.raises(ConfigError, match="There is no assistant"):
        AIService().route("x")
    with pytest.raises(ConfigError, match="called cook already"):
        service().register(Assistant("cook"))


async def test_a_task_is_processed_by_the_demo_model_where_there_is_no_other() -> None:
    reply = await service().process("Hello")
    assert (reply.status, bool(reply.text)) == ("answered", True)


async def test_an_assistant_that_takes_over_knows_what_was_said() -> None:
    model = ScriptedModel().says("I add up.").says("I cook.")
    dialogue = Dialogue(Assistant("clerk", instructions="Add."), model, "m")
    await dialogue.process_message("One")
    dialogue.hand_over(Assistant("cook", instructions="Cook."))
    assert (await dialogue.process_message("Two")).text == "I cook."
    assert [message.text for message in model.requests[-1].messages] == ["Cook.", "One", "I add up.", "Two"]
