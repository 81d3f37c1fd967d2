"""Which model answers, step by step, and how it is explained."""

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.selector import Choice, ModelSelector
from antiphon.domain import Conversation, Person, now
from antiphon.errors import ConfigError
from tests.unit.assistants.conftest import PROVIDERS, choose

CONVERSATION = Conversation(id="c", title="", assistant="guide", created_at=now(), updated_at=now(), person_id="p")
PERSON = Person(id="p", name="Ada", created_at=now())
MODELS = {
    "conversation": "one:c",
    "user": "one:u",
    "channel": "two:p",
    "assistant": "two:a:b",
    "system": "demo",
}


def test_what_people_chose_does_not_count_for_those_who_may_not_choose() -> None:
    conversation = Conversation(
        id="c", title="", assistant="guide", created_at=now(), updated_at=now(), person_id="p", model="one:c"
    )
    selector = ModelSelector(lambda: "demo", PROVIDERS, may_choose=lambda person: person.id != "p")
    for person, expected in (("p", ("demo", "system")), ("q", ("one:c", "conversation"))):
        asking = Person(id=person, name="Ada", created_at=now(), preferred_model="one:u")
        choice = selector.choose(conversation, asking, Assistant("guide"))
        assert (choice.model, choice.chosen_by) == expected


@pytest.mark.parametrize("number", range(len(MODELS)))
def test_the_first_step_that_is_set_decides_and_says_what_was_not(number: int) -> None:
    steps = list(MODELS)
    choice = choose(dict(list(MODELS.items())[number:]))
    assert (choice.model, choice.chosen_by) == (MODELS[steps[number]], steps[number])
    assert choice.considered == (
        *((step, "not set") for step in steps[:number]),
        (steps[number], MODELS[steps[number]]),
    )


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("gone:x", "there is no provider gone here"),
        ("gpt-5", "there is no provider gpt-5 here"),
        ("one", "it names no model; write one:model"),
        ("one:", "it names no model; write one:model"),
        (":x", "there is no provider"),
    ],
)
def test_a_model_that_cannot_be_used_is_passed_over_with_the_reason(model: str, why: str) -> None:
    choice = choose({"conversation": model, "user": "one:u", "system": "demo"})
    assert choice.chosen_by == "user"
    step, finding = choice.considered[0]
    assert step == "conversation"
    assert finding.startswith(f"{model}: ")
    assert why in finding


def test_when_nothing_is_left_the_sentence_says_what_to_do() -> None:
    with pytest.raises(ConfigError) as refused:
        choose({"conversation": "one:c", "system": "demo"}, providers=())
    assert "one:c: there is no provider one here" in str(refused.value)
    assert "/model" in refused.value.public


def with_resting(resting: dict[str, float], model: str, *fallbacks: str) -> Choice:
    selector = ModelSelector(lambda: "demo", PROVIDERS, fallbacks=("two:house",), resting=resting.get)
    return selector.choose(CONVERSATION, PERSON, Assistant("guide", model=(model, *fallbacks)))


def test_the_assistants_fallbacks_come_before_those_of_the_house() -> None:
    assert with_resting({}, "one:a", "two:a", "one:b").fallbacks == ("two:a", "one:b")
    assert with_resting({}, "one:a").fallbacks == ("two:house",)
    assert with_resting({}, "one:a", "one:a", "gone:x", "two:a").fallbacks == ("two:a",)


def test_a_provider_that_rests_is_passed_over_as_long_as_there_is_another() -> None:
    choice = with_resting({"one": 8.0}, "one:a")
    assert (choice.model, choice.chosen_by, choice.fallbacks) == ("two:house", "fallback", ())
    assert ("assistant", "one:a: it keeps failing and is left alone for 8 s") in choice.considered
    both = with_resting({"one": 8.0, "two": 3.0}, "one:a")
    assert (both.model, both.chosen_by, both.fallbacks) == ("one:a", "assistant", ("two:house",))


def test_rules_do_not_stand_in_for_a_model_that_somebody_chose() -> None:
    selector = ModelSelector(lambda: "demo", PROVIDERS, resting={"one": 8.0}.get)
    choice = selector.choose(CONVERSATION, PERSON, Assistant("guide", model="one:a"))
    assert choice.model == "one:a"


def test_fallbacks_that_rest_are_asked_last() -> None:
    choice = with_resting({"one": 8.0}, "one:a", "one:b", "two:a", "two:b")
    assert (choice.model, choice.fallbacks) == ("two:a", ("two:b", "one:b"))


def test_a_model_whose_rate_limit_is_used_up_is_passed_over_as_long_as_there_is_another() -> None:
    selector = ModelSelector(lambda: "demo", PROVIDERS, exhausted={"one:a": 42.0}.get)
    choice = selector.choose(CONVERSATION, PERSON, Assistant("guide", model=("one:a", "one:b")))
    assert (choice.model, choice.chosen_by) == ("one:b", "fallback")
    assert ("assistant", "one:a: its rate limit is used up for 42 s") in choice.considered
    assert selector.choose(CONVERSATION, PERSON, Assistant("guide", model="one:a")).model == "one:a"
