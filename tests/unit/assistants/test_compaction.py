"""Summaries beside the turns: one at a time, bounded, paid, and whatever goes wrong, only a summary is missing."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from antiphon.assistants import compaction as module
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.beside import BesideTurns
from antiphon.assistants.budgets import Budgets
from antiphon.assistants.compaction import Compaction
from antiphon.assistants.config import AssistantSettings, BudgetSettings, DayBudget
from antiphon.assistants.context import ContextBuilder, seen
from antiphon.assistants.private import personal_data
from antiphon.assistants.prompts import PromptManager
from antiphon.domain import ChannelMessage, Conversation, Person, Turn, TurnRecord, new_id, now
from antiphon.providers.base import Error, Event, Finish, ModelInfo, ModelRequest, TextDelta
from antiphon.providers.chain import Chain, ModelLink
from antiphon.runtime.tasks import Tasks
from antiphon.storage.base import Store, TurnReply
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store
from antiphon.telemetry.metrics import Metrics

GUIDE = Assistant("guide", instructions="Be kind.")
RECORD = TurnRecord(outcome="answered", assistant="guide", model="acme:m")


class Model:
    """Answers with `events`, once `may` is set; it is the registry of a house that has it alone, too."""

    name = "acme"

    def __init__(self, *events: Event) -> None:
        self.events = events or (TextDelta("## Facts\n\n- All of it."), Finish("stop"))
        self.asked: list[ModelRequest] = []
        self.may = asyncio.Event()
        self.may.set()

    def chain(self, models: tuple[str, ...]) -> Chain:
        given_up = Metrics().counter("given_up_total", "", ("provider", "reason"))
        return Chain([ModelLink(model, self, "m") for model in models], given_up)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        self.asked.append(request)
        await self.may.wait()
        for event in self.events:
            yield event

    async def models(self) -> tuple[ModelInfo, ...]:
        return ()

    async def stop(self) -> None: ...


class House:
    """A conversation in a house that begins to sum up behind nine messages."""

    def __init__(self, store: Store, model: Model, budget: DayBudget | None = None, **more: Any) -> None:
        self.store, self.model, self.tasks = store, model, Tasks()
        settings = AssistantSettings(**{"history_messages": 12} | more.pop("settings", {}))
        self.context = ContextBuilder(PromptManager(), settings)
        self.metrics = Metrics()
        budgets = Budgets(store.ledger, BudgetSettings(house=budget or DayBudget()), self.metrics)
        registry: Any = model
        beside = BesideTurns(registry, budgets, **more)
        self.compaction = Compaction(
            store.summaries, store.conversations, self.context, beside, self.tasks, self.metrics
        )
        self.conversation: Conversation | None = None

    async def turn(self, text: str) -> tuple[Turn, str]:
        """A whole turn; returns what the model saw of the past, as `/why` tells it."""
        message = ChannelMessage(adapter="telegram", place="p", account="ada", key=new_id(), text=text)
        accepted = await self.store.inbox.accept(message, assistant="guide")
        turn, self.conversation = accepted.turn, accepted.conversation
        known = await self.compaction.known(accepted.conversation, turn)
        news = await self.store.inbox.begin(turn, RECORD, context=12, after=known.upto)
        history = self.context.histories.extend(known, turn, news or [])
        person = Person(id=turn.person_id, name="Ada", created_at=now())
        prompt = self.context.build(turn, GUIDE, accepted.conversation, person, history, "acme:m")
        await self.store.inbox.finish(turn, RECORD, TurnReply(id=new_id(), role="assistant", text=f"{text}!"))
        self.compaction.consider(turn, RECORD)
        return turn, seen(history, prompt)

    async def turns(self, count: int) -> None:
        for number in range(count):
            await self.turn(f"question {number}")

    async def rest(self) -> None:
        """Waits until nothing runs beside."""
        async with asyncio.timeout(10):
            while len(self.tasks):
                await asyncio.sleep(0)

    def count(self, outcome: str) -> float:
        counter = self.metrics.counter("antiphon_summaries_total", "", ("outcome",))
        return float(counter.labels(outcome)._value.get())

    async def summary(self) -> str | None:
        assert self.conversation is not None
        found = await self.store.summaries.get(self.conversation.id, self.conversation.context_from)
        return found.text if found else None


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = open_store(DatabaseSettings(url="sqlite:///:memory:"))
    await made.start()
    yield made
    await made.stop()


async def test_it_is_made_before_anything_falls_out_and_stands_for_it(store: Store) -> None:
    house = House(store, Model())
    await house.turns(5)
    await house.rest()
    assert house.model.asked == []
    await house.turns(1)
    await house.rest()
    (asked,) = house.model.asked
    assert "[person] question 0\n[assistant] question 0!\n[person] question 1" in asked.messages[1].text
    assert "question 4" not in asked.messages[1].text
    assert (asked.max_tokens, asked.tools) == (600, ())
    assert (await house.summary(), house.count("made")) == ("## Facts\n\n- All of it.", 1)
    assert (await house.turn("next"))[1] == "a summary of what came before, and the 6 newest messages"


async def test_the_next_one_includes_it(store: Store) -> None:
    house = House(store, Model())
    for _ in range(12):
        await house.turns(1)
        await house.rest()
    assert len(house.model.asked) == 2 + (house.count("made") > 2)
    assert "<summary>\n## Facts\n\n- All of it.\n</summary>" in house.model.asked[1].messages[1].text
    assert "question 0\n[assistant] question 0!\n[person] question 0" in house.model.asked[1].messages[1].text


async def test_one_at_a_time_and_a_turn_that_began_before_it_does_not_lose_it(store: Store) -> None:
    house = House(store, Model())
    house.model.may.clear()
    await house.turns(9)
    await asyncio.sleep(0)
    assert len(house.model.asked) == 1
    message = ChannelMessage(adapter="telegram", place="p", account="ada", key="late", text="late")
    accepted = await store.inbox.accept(message, assistant="guide")
    known = await house.compaction.known(accepted.conversation, accepted.turn)
    news = await store.inbox.begin(accepted.turn, RECORD, context=12, after=known.upto)
    house.model.may.set()
    await house.rest()
    assert known.summary is None
    history = house.context.histories.extend(known, accepted.turn, news or [])
    assert history.summary is not None
    assert min(one.ticket for one in history.past) > history.summary.upto


async def test_another_process_finds_it(store: Store) -> None:
    house = House(store, Model())
    await house.turns(6)
    await house.rest()
    another = House(store, Model())
    assert "a summary of what came before" in (await another.turn("next"))[1]


@pytest.mark.parametrize(
    "events",
    [
        (Error("server", "m", "It failed."),),
        (TextDelta("half a "), Error("interrupted", "m", "It was cut.")),
        (TextDelta(" \n"), Finish("stop")),
    ],
)
async def test_a_model_that_fails_leaves_everything_as_it_was(store: Store, events: tuple[Event, ...]) -> None:
    house = House(store, Model(*events))
    await house.turns(9)
    await house.rest()
    assert (await house.summary(), house.count("failed"), len(house.model.asked)) == (None, 1, 1)
    assert (await house.turn("next"))[1] == ""


async def test_a_budget_that_is_used_up_pays_for_no_summary(store: Store) -> None:
    house = House(store, Model(), budget=DayBudget(tokens_per_day=10))
    await house.turns(6)
    await house.rest()
    assert (await house.summary(), house.count("failed"), house.model.asked) == (None, 1, [])


async def test_one_that_never_comes_is_given_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.01)
    house = House(store, Model())
    house.model.may.clear()
    await house.turns(6)
    await house.rest()
    assert (await house.summary(), house.count("failed")) == (None, 1)


async def test_a_stop_ends_it_and_nothing_begins_behind_it(store: Store) -> None:
    house = House(store, Model())
    house.model.may.clear()
    await house.turns(6)
    await asyncio.sleep(0)
    await house.tasks.stop()
    assert await house.summary() is None


async def test_one_that_talks_without_end_is_cut(store: Store) -> None:
    house = House(store, Model(*[TextDelta("ü" * 1_000)] * 50, Finish("length")))
    await house.turns(6)
    await house.rest()
    assert await house.summary() == "ü" * 1_200


async def test_what_was_reset_meanwhile_is_not_kept(store: Store) -> None:
    house = House(store, Model())
    house.model.may.clear()
    await house.turns(6)
    assert house.conversation is not None
    house.conversation = await store.conversations.update(house.conversation.id, reset_context=True)
    house.model.may.set()
    await house.rest()
    assert (await house.summary(), house.count("outdated")) == (None, 1)


async def test_what_is_masked_for_a_vendor_is_masked_here_too(store: Store) -> None:
    house = House(store, Model(), guardrails=[personal_data(action="mask")])
    await house.turn("Write to ada@example.com")
    await house.turns(5)
    await house.rest()
    (asked,) = house.model.asked
    assert "[e-mail address]" in asked.messages[1].text
    assert "ada@example.com" not in str(asked)


LONG = " word" * 150
"""A question of which four are a request, in a house as that of `late`."""


async def late(store: Store, model: Model, turns: int) -> House:
    """A house that begins to sum up when a conversation is `turns` long."""
    early = House(store, Model(), settings={"compaction": {"enabled": False}})
    for number in range(turns):
        await early.turn(f"question {number}.{LONG}")
    return House(store, model, settings={"context_tokens": 1_500})


def told(asked: ModelRequest) -> list[int]:
    return [int(each) for each in re.findall(r"\[person\] question ([0-9]+)\.", asked.messages[1].text)]


async def test_what_is_too_much_for_one_summary_is_told_in_portions_and_what_they_leave_by_the_next_turn(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PORTIONS", 3)
    house = await late(store, Model(), 20)
    await house.turn("next")
    await house.rest()
    first = [number for asked in house.model.asked for number in told(asked)]
    assert len(house.model.asked) == 3
    assert first == list(range(len(first)))
    assert 3 <= len(first) < 18
    assert all("<summary>" in asked.messages[1].text for asked in house.model.asked[1:])
    await house.turn("and next")
    await house.rest()
    assert told(house.model.asked[3])[0] == first[-1] + 1
    assert house.count("made") == 2


async def test_portions_before_one_that_fails_stay_told(store: Store) -> None:
    class Tired(Model):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
            self.events = self.events if len(self.asked) < 2 else (Error("server", "m", "It failed."),)
            async for event in super().stream(request):
                yield event

    house = await late(store, Tired(), 20)
    await house.turn("next")
    await house.rest()
    assert (await house.summary(), house.count("failed")) == ("## Facts\n\n- All of it.", 1)
    another = House(store, Model(), settings={"context_tokens": 1_500})
    await another.turn("and next")
    await another.rest()
    assert told(another.model.asked[0])[0] == max(told(house.model.asked[1])) + 1


async def test_what_is_longer_than_anybody_reads_is_told_from_its_newest_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "PAGE", 4)
    monkeypatch.setattr(module, "READ", 16)
    house = await late(store, Model(), 20)
    await house.turn("next")
    await house.rest()
    assert told(house.model.asked[0])[0] == 13
    assert "compaction.left_out" in capsys.readouterr().err
