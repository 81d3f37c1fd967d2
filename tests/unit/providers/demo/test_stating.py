"""The demo model notes what people say of themselves by rules, and nothing else."""

import json

import pytest

from antiphon.assistants.memory.stated import question
from antiphon.providers.base import ModelRequest, TextDelta
from antiphon.providers.demo.engine import perform


def noted(*said: str) -> list[tuple[int, str]]:
    request = ModelRequest(model="demo", messages=question(said[:-1], said[-1]))
    text = "".join(event.text for event in perform(request).events if isinstance(event, TextDelta))
    return [(fact["message"], fact["text"]) for fact in json.loads(text)["facts"]]


@pytest.mark.parametrize(
    ("said", "facts"),
    [
        ("Hello! I live in Berlin. How are you?", ["I live in Berlin"]),
        ("my name is Ada.", ["my name is Ada"]),
        ("I'm allergic to nuts!", ["I'm allergic to nuts"]),
        ("Do I live in Berlin?", []),
        ("You live in Berlin. It rains.", []),
        ("!echo I live in Rome", []),
        ("I like aa. I like bb. I like cc. I like dd.", ["I like aa", "I like bb", "I like cc"]),
        ("", []),
    ],
)
def test_sentences_that_begin_as_a_rule_knows(said: str, facts: list[str]) -> None:
    assert noted(said) == [(1, fact) for fact in facts]


def test_only_of_the_newest_message() -> None:
    assert noted("I live in Berlin", "I like tea", "I work in a mill") == [(3, "I work in a mill")]
