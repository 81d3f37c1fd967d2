"""What each command answers, and what it asks the house to change."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal, Protocol

import pytest
from msgspec import structs

from antiphon.commands import approve, deny, experiments, model, reset, status, why
from antiphon.commands import help as helping
from antiphon.commands.base import Command, CommandCall, CommandOutcome, Commands
from antiphon.domain import Assignment, Conversation, Person, Target, Turn, TurnRecord, Usage, now
from antiphon.errors import ConfigError, ModuleError, ValidationError
from antiphon.runtime.container import ServiceContainer


class House:
    """Knows two models, the last turn, and one thing that waits for a permission."""

    def __init__(self, last: TurnRecord | None = None, models: Sequence[str] = ("demo", "openai:gpt-5")) -> None:
        self.last = last
        self._models = models
        self.bound: set[str] = set()

    def commands(self) -> Sequence[Command]:
        return [helping.command, model.command]

    async def models(self) -> Sequence[str]:
        return self._models

    async def known_model(self, name: str) -> str:
        if name not in self._models:
            raise ModuleError(f"There is no model “{name}” here.")
        return name

    def selection(self, conversation: Conversation, person: Person) -> tuple[str, str]:
        return "demo", "system"

    def may_choose(self, person: Person) -> bool:
        return person.id not in self.bound

    async def decide(self, call: CommandCall, verdict: Literal["approved", "denied"]) -> str:
        if call.argument not in {"", "k7"}:
            raise ValidationError(f"Nothing waits here with the code “{call.argument}”.")
        return f"The call is {verdict}."

    async def last_turn(self, conversation_id: str) -> TurnRecord | None:
        return self.last

    async def status(self) -> Mapping[str, str]:
        return {"Turns": "1 running, 0 waiting"}


async def ask(command: Command, argument: str = "", house: House | None = None) -> CommandOutcome:
    stamp = now()
    call = CommandCall(
        argument=argument,
        turn=Turn(
            id="t", conversation_id="c", message_id="m", ticket=1, person_id="p", text="", created_at=stamp,
            target=Target(adapter="web", place="c"),
        ),
        conversation=Conversation(
            id="c", title="", assistant="guide", created_at=stamp, updated_at=stamp, person_id="p"
        ),
        person=Person(id="p", name="Ada", created_at=stamp),
        house=house or House(),
    )  # fmt: skip
    return await command.answer(call)


async def test_help_lists_what_can_be_typed() -> None:
    text = (await ask(helping.command)).text
    assert "- `/help`: shows what you can type." in text
    assert "- `/model [name] [always]`" in text


@pytest.mark.parametrize(
    ("argument", "changes"),
    [
        ("openai:gpt-5", {"model": "openai:gpt-5"}),
        ("openai:gpt-5 ALWAYS", {"preferred_model": "openai:gpt-5"}),
        ("default", {"model": ""}),
        ("auto always", {"preferred_model": ""}),
        ("always", {"refused": True}),
        ("gpt-9", {"refused": True}),
        ("gpt-9 always", {"refused": True}),
        ("", {}),
    ],
)
async def test_model_changes_what_it_says(argument: str, changes: dict[str, object]) -> None:
    outcome = await ask(model.command, argument)
    unchanged = {"model": None, "preferred_model": None, "reset_context": False, "refused": False}
    assert {name: getattr(outcome, name) for name in unchanged} == unchanged | changes
    assert outcome.text


@pytest.mark.parametrize("argument", ["openai:gpt-5", "openai:gpt-5 always", "default"])
async def test_who_may_not_choose_a_model_is_told_and_changes_nothing(argument: str) -> None:
    house = House()
    house.bound.add("p")
    outcome = await ask(model.command, argument, house)
    assert (outcome.refused, outcome.model, outcome.preferred_model) == (True, None, None)
    assert "The operator chooses" in outcome.text
    assert "/model <name>" not in (await ask(model.command, "", house)).text


async def test_model_shows_thirty_and_counts_the_rest() -> None:
    outcome = await ask(model.command, "", House(models=[f"many:{number}" for number in range(100)]))
    assert outcome.text.count("- `many:") == 30
    assert "- and 70 more" in outcome.text


@pytest.mark.parametrize(("command", "verdict"), [(approve.command, "approved"), (deny.command, "denied")])
async def test_a_permission_is_given_or_refused_and_what_waits_not_is_said(command: Command, verdict: str) -> None:
    given = await ask(command, "k7")
    assert (given.text, given.refused) == (f"The call is {verdict}.", False)
    strange = await ask(command, "q9")
    assert (strange.text, strange.refused) == ("Nothing waits here with the code “q9”.", True)


async def test_reset_changes_the_context_only() -> None:
    outcome = await ask(reset.command)
    assert (outcome.reset_context, outcome.model) == (True, None)


async def test_status_shows_the_facts_in_their_order() -> None:
    lines = (await ask(status.command)).text.splitlines()
    assert lines == [
        "- **Assistant**: guide",
        "- **Model**: `demo` (chosen by: system)",
        "- **Turns**: 1 running, 0 waiting",
    ]


async def test_why_tells_every_step_and_the_price() -> None:
    assert (await ask(why.command)).text == "No model has answered in this conversation yet."
    record = TurnRecord(
        outcome="interrupted", assistant="guide", model="openai:gpt-5", chosen_by="person", reason="It was cut off.",
        considered=(("conversation", "says nothing"), ("person", "prefers `openai:gpt-5`")),
        usage=Usage(input_tokens=12, output_tokens=3, cost=0.25), elapsed_ms=1234.0,
    )  # fmt: skip
    text = (await ask(why.command, "", House(record))).text
    assert "`openai:gpt-5`, as **guide**; chosen by: person" in text
    assert "1. conversation: says nothing" in text
    assert "It read 12 and wrote 3 tokens ($0.2500). It took 1.2 s." in text
    assert text.endswith("It ended as interrupted: It was cut off.")


class Weather(Protocol):
    async def today(self) -> str: ...


class Sunny:
    async def today(self) -> str:
        return "sunny"


async def tell(call: CommandCall, weather: Weather, *, unit: str = "°C") -> CommandOutcome:
    return CommandOutcome(text=f"{await weather.today()}, 21 {unit} in {call.argument}")


WEATHER = Command(name="weather", usage="/weather <city>", summary="tells the weather.", run=tell)


async def test_a_command_is_given_the_services_that_it_is_annotated_with() -> None:
    services = ServiceContainer()
    (served,) = Commands([WEATHER], services).all()
    services.register_singleton(Weather, Sunny())
    assert (await ask(served, "Lisbon")).text == "sunny, 21 °C in Lisbon"


def test_a_command_whose_service_is_missing_fails_the_build() -> None:
    services = ServiceContainer()
    Commands([WEATHER], services)
    with pytest.raises(ConfigError, match="The command /weather needs Weather for 'weather', which nobody provides"):
        services.build()


async def test_why_names_the_variant_of_an_experiment() -> None:
    assigned = Assignment(experiment="tone", variant="warm")
    record = TurnRecord(outcome="answered", assistant="guide", model="demo", chosen_by="system", assignment=assigned)
    text = (await ask(why.command, "", House(record))).text
    assert "Its prompt was `warm`, a variant of the experiment `tone`." in text


async def test_experiments_are_for_operators() -> None:
    """Who is none learns nothing, not even whether there are any: the experiments are never asked."""
    outcome = await ask(structs.replace(experiments.command, run=partial(experiments.run, experiments=None)))  # type: ignore[arg-type]
    assert outcome.refused
    assert "Only an operator" in outcome.text
