"""Facts for a prompt: a few, within bounds, and never at the price of an answer."""

import asyncio

import pytest

from antiphon.assistants.config import AssistantSettings
from antiphon.assistants.memory import fitting
from antiphon.assistants.memory.config import MemorySettings
from antiphon.assistants.memory.fitting import MOST, FittingFacts
from antiphon.assistants.memory.memory import Memory
from antiphon.errors import ServiceError
from antiphon.search.facts import FactFinder
from antiphon.storage.facts import Fact


class Broken(FactFinder):
    """Fails with an error, or hangs without one."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def find(self, person_id: str, query: str, *, limit: int) -> list[tuple[Fact, float]]:
        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()
        return []


def of(finder: FactFinder, tokens: int = 400) -> FittingFacts:
    return FittingFacts(finder, MemorySettings(prompt_tokens=tokens), AssistantSettings())


async def test_a_few_that_fit_are_given_within_the_budget() -> None:
    memory = Memory()
    for number in range(20):
        await memory.add(f"Tea number {number} tastes good", person="ada")
    block = await of(memory.finder).block("ada", "Which tea?")
    assert block.count("\n- Tea number") == MOST
    small = await of(memory.finder, tokens=60).block("ada", "Which tea?")
    assert 0 < small.count("\n- ") < MOST
    assert len(small) <= 60 * 4
    for question, tokens in (("Which tea?", 0), ("Which tea?", 10), ("zebra", 400), ("  ", 400)):
        assert await of(memory.finder, tokens).block("ada", question) == ""
    assert await of(memory.finder).block("eve", "Which tea?") == ""


async def test_a_memory_that_fails_or_hangs_keeps_no_answer_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await of(Broken(ServiceError("The disk is full."))).block("ada", "Which tea?") == ""
    monkeypatch.setattr(fitting, "SECONDS", 0.01)
    assert await of(Broken(None)).block("ada", "Which tea?") == ""
