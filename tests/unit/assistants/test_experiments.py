"""Who is given which prompt: by weight, the same everywhere, kept, and as few people moved as can be."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from antiphon.assistants import experiments
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.config import AssistantSettings, ExperimentSection
from antiphon.assistants.directory import Directory
from antiphon.assistants.experiments import Experiments, assign
from antiphon.assistants.prompts import Experiment, Prompt, PromptManager, Variant
from antiphon.domain import Assignment
from antiphon.errors import ConfigError, NotFoundError
from antiphon.storage.experiments import ExperimentStore, Tally
from tests.serving import environment

PEOPLE = [f"person-{number}" for number in range(4_000)]
TODAY = datetime(2026, 11, 21, tzinfo=UTC)


def experiment(name: str = "tone", **weights: float) -> Experiment:
    shares = weights or {"plain": 1.0, "warm": 1.0}
    return Experiment(
        name=name, variants=tuple(Variant(name=each, prompt=each, weight=share) for each, share in shares.items())
    )


class Kept(ExperimentStore):
    """What a store keeps of people, and how often it was asked."""

    def __init__(self, **variants: str) -> None:
        self.variants = variants
        self.asked = 0

    async def assigned(self, experiment: str, person_id: str) -> str | None:
        self.asked += 1
        return self.variants.get(person_id)

    async def release(self, experiment: str, person_id: str, variant: str) -> None:
        assert self.variants.pop(person_id) == variant

    async def tallies(self, experiment: str) -> list[Tally]:
        return []

    async def names(self) -> list[str]:
        return []


def serving(
    store: Kept, *assistants: Assistant, prompts: PromptManager | None = None, **sections: Any
) -> tuple[Experiments, Directory]:
    directory = Directory(assistants or [Assistant("guide"), Assistant("cook")])
    settings = AssistantSettings(experiments=sections).experiments
    made = Experiments(prompts or PromptManager(), directory, store, settings, today=lambda: TODAY)
    made.check()
    return made, directory


TONE = {"assistant": "guide", "variants": {"plain": {}, "warm": {"text": "Be warm."}}}


# --- who has what ---------------------------------------------------------------------------------------------------


def test_people_are_shared_out_by_weight() -> None:
    found = [assign(experiment(plain=3, warm=1), person).name for person in PEOPLE]
    assert found.count("warm") == pytest.approx(len(PEOPLE) / 4, rel=0.1)
    assert {assign(experiment(plain=1, warm=0), person).name for person in PEOPLE} == {"plain"}


def test_experiments_do_not_know_of_one_another() -> None:
    both = [(assign(experiment("size"), person).name, assign(experiment("tone"), person).name) for person in PEOPLE]
    assert both.count(("plain", "plain")) == pytest.approx(len(PEOPLE) / 4, rel=0.12)


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=6), st.floats(0.1, 10))
def test_a_further_variant_moves_only_those_who_are_given_it(weights: list[float], further: float) -> None:
    before = experiment("tone", **{f"v{number}": weight for number, weight in enumerate(weights)})
    after = structs.replace(before, variants=(*before.variants, Variant(name="new", prompt="", weight=further)))
    for person in PEOPLE[:50]:
        assert assign(after, person).name in {assign(before, person).name, "new"}


@given(st.text(), st.text())
def test_anybody_can_be_assigned_and_the_order_of_variants_does_not_matter(person: str, other: str) -> None:
    there = experiment()
    back = structs.replace(there, variants=there.variants[::-1])
    assert assign(there, person).name == assign(back, person).name
    assert assign(there, other + "\ud800") in there.variants


def test_another_process_assigns_the_same(tmp_path: Path) -> None:
    tone = experiment(plain=2, warm=1)
    program = (
        "from antiphon.assistants.experiments import assign; from antiphon.assistants.prompts import *;"
        "tone = Experiment(name='tone', variants=(Variant(name='plain', prompt='', weight=2), "
        "Variant(name='warm', prompt='')));"
        "print(*(assign(tone, f'person-{number}').name for number in range(200)))"
    )
    command = [sys.executable, "-c", program]
    there = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment(tmp_path))
    assert there.stdout.split() == [assign(tone, person).name for person in PEOPLE[:200]]


# --- what an assistant is told --------------------------------------------------------------------------------------


async def test_without_an_experiment_nothing_is_asked() -> None:
    store = Kept()
    made, directory = serving(store, tone=TONE)
    cook = directory.get("cook")
    assert await made.serving(cook, "ann") == (cook, None)
    assert store.asked == 0


async def test_a_person_has_the_variant_that_is_kept_and_it_is_read_once() -> None:
    store = Kept(ann="warm")
    made, directory = serving(store, tone=TONE)
    for _ in range(3):
        told, assignment = await made.serving(directory.get("guide"), "ann")
        assert told.instructions == "Be warm."
        assert assignment == Assignment(experiment="tone", variant="warm")
    assert store.asked == 1
    assert directory.get("guide").instructions == Prompt("helpful")


async def test_before_a_turn_has_ended_nothing_is_kept_and_the_hash_decides() -> None:
    store = Kept()
    made, directory = serving(store, tone=TONE)
    for _ in range(2):
        _, assignment = await made.serving(directory.get("guide"), "bob")
        assert assignment is not None
        assert assignment.variant == assign(made.of(directory.get("guide")) or experiment(), "bob").name
    assert store.asked == 2
    assert store.variants == {}


async def test_a_variant_that_is_gone_is_given_up() -> None:
    store = Kept(ann="dry")
    made, directory = serving(store, tone=TONE)
    for _ in range(2):
        _, assignment = await made.serving(directory.get("guide"), "ann")
        assert assignment is not None
        assert assignment.variant in {"plain", "warm"}
    assert store.variants == {}


async def test_only_so_many_are_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "KEPT", 2)
    store = Kept(ann="warm", bob="warm", cid="warm")
    made, directory = serving(store, tone=TONE)
    for person in ("ann", "bob", "ann", "cid", "ann", "bob"):
        await made.serving(directory.get("guide"), person)
    assert store.asked == 4  # whoever was away for longest is asked for again


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ({"paused": True}, "plain"),
        ({"until": TODAY}, "plain"),
        ({"winner": "warm"}, "warm"),
        ({"winner": "warm", "paused": True}, "warm"),
    ],
)
async def test_when_it_is_over_all_are_told_the_same_and_nothing_is_counted(ending: dict[str, Any], told: str) -> None:
    prompts = PromptManager()
    tone = prompts.experiment("tone", {"plain": "Be plain.", "warm": "Be warm."})
    store = Kept(ann="warm", bob="plain")
    guide = Assistant("guide", instructions=tone)
    made, _ = serving(store, guide, prompts=prompts)
    assert {(await made.serving(guide, person))[0].instructions for person in ("ann", "bob")} == {
        "Be warm.",
        "Be plain.",
    }
    made.take({"tone": ExperimentSection(**ending)})
    for person in ("ann", "bob"):
        given, assignment = await made.serving(guide, person)
        assert (given.instructions, assignment) == (f"Be {told}.", None)
    made.take({})
    assert (await made.serving(guide, "ann"))[0].instructions == "Be warm."


async def test_a_turn_goes_on_with_the_prompt_that_it_began_with() -> None:
    made, directory = serving(Kept(), tone=TONE)
    guide, cook = directory.get("guide"), directory.get("cook")
    assert made.again(guide, Assignment(experiment="tone", variant="warm")).instructions == "Be warm."
    assert made.again(guide, Assignment(experiment="tone", variant="dry")).instructions == Prompt("helpful")
    assert made.again(guide, None).instructions == Prompt("helpful")
    assert made.again(cook, None) is cook
    made.take({"tone": ExperimentSection(**TONE | {"winner": "warm"})})
    assert made.again(guide, None).instructions == "Be warm."
    assert made.again(guide, Assignment(experiment="tone", variant="plain")).instructions == Prompt("helpful")


# --- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"tone": {}}, "name its variants"),
        ({"tone": {"variants": {"plain": {}}}}, "two variants or more"),
        ({"tone": {"variants": {"plain": {}, "a b": {}}}}, "'a b' is no name"),
        ({"to/ne": {"variants": {"plain": {}, "warm": {}}}}, "'to/ne' is no name"),
        ({"tone": {"variants": {"plain": {"weight": 0}, "warm": {"weight": 0}}}}, "one of them is above 0"),
        ({"tone": TONE | {"winner": "wram"}}, "Did you mean warm?"),
        ({"tone": TONE | {"assistant": "guid"}}, "tone: There is no assistant called 'guid'. Did you mean guide?"),
        ({"tone": TONE, "size": TONE}, "tone and size are both about guide"),
        ({"tone": TONE, "size": TONE | {"assistant": ""}}, "tone and size are both about guide"),
        ({"tone": {"variants": {"plain": {}, "warm": {"prompt": "helpfull"}}}}, "Did you mean helpful?"),
        ({"mine": {"variants": {"plain": {}, "warm": {}}}}, "the program names the variants of mine"),
    ],
)
def test_what_an_operator_got_wrong_is_said(sections: dict[str, Any], said: str) -> None:
    prompts = PromptManager()
    prompts.experiment("mine", {"a": "A", "b": "B"})
    with pytest.raises(ConfigError) as caught:
        serving(Kept(), prompts=prompts, **sections)
    assert said in str(caught.value)


async def test_what_is_wrong_changes_nothing() -> None:
    made, directory = serving(Kept(ann="warm"), tone=TONE)
    with pytest.raises(ConfigError):
        made.take({"size": ExperimentSection()})
    assert made.of(directory.get("guide")) is not None
    assert [report.name for report in await made.reports()] == ["tone"]
    with pytest.raises(NotFoundError, match="Did you mean tone"):
        await made.report("tune")
