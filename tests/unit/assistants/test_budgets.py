"""Budgets: asked for before a call, settled after it by the model that answered, and refused in a sentence."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest

from antiphon.assistants.budgets import EXPECTED_OUTPUT, Budgets, Metered, in_words
from antiphon.assistants.config import BudgetSettings, DayBudget
from antiphon.assistants.estimate import request_size, tokens
from antiphon.domain import Usage
from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    Finish,
    ModelInfo,
    ModelRequest,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    ToolSpec,
    UsageReport,
)
from antiphon.providers.chain import Chain, ModelLink
from antiphon.providers.prices import ModelPrice
from antiphon.storage.base import Store
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store
from antiphon.storage.spending import Amount, Scope
from antiphon.telemetry.metrics import Metrics

LATE = datetime(2026, 11, 21, 20, 48, tzinfo=UTC)
REQUEST = ModelRequest(model="m", messages=(ChatMessage(role="user", text="x" * 384),))
ASKED = 100
SAID = UsageReport(Usage(input_tokens=90, output_tokens=10))
ANSWER: list[Event] = [TextDelta("Hello"), SAID, Finish("stop")]
PRICES = {"acme:m": ModelPrice(input=1_000_000, output=2_000_000)}


class Scripted:
    name = "acme"

    def __init__(self, *events: Event) -> None:
        self.events = events
        self.asked = 0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        self.asked += 1
        for event in self.events:
            yield event

    async def models(self) -> tuple[ModelInfo, ...]:
        return ()

    async def stop(self) -> None: ...


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = open_store(DatabaseSettings(url="sqlite:///:memory:"))
    await made.start()
    yield made
    await made.stop()


def budgets(store: Store, **sections: Any) -> Budgets:
    return Budgets(store.ledger, BudgetSettings(**sections), Metrics(), clock=lambda: LATE)


def metered(made: Budgets, provider: Scripted, *others: ModelLink) -> Metered:
    given_up = Metrics().counter("given_up_total", "", ("provider", "reason"))
    chain = Chain([ModelLink("acme:m", provider, "m"), *others], given_up)
    return made.metered(chain, person_id="ann", conversation_id="c", adapter="web")


async def ask(made: Budgets, provider: Scripted, *others: ModelLink, read: int = 100) -> list[Event]:
    events: list[Event] = []
    async with aclosing(metered(made, provider, *others).stream(REQUEST)) as stream:
        async for event in stream:
            events.append(event)
            if len(events) == read:
                break
    return events


async def spent(made: Budgets, scope: Scope = "person", owner: str = "ann") -> Amount:
    found = await made.spent("2026-11-21", "2026-11-21", scope=scope, owner=owner)
    return found[0].amount if found else Amount()


async def test_everybody_who_pays_is_told_what_it_cost(store: Store) -> None:
    made = budgets(store, prices=PRICES)
    assert await ask(made, Scripted(*ANSWER)) == [
        TextDelta("Hello"), UsageReport(Usage(input_tokens=90, output_tokens=10, cost=110.0)), Finish("stop"),
    ]  # fmt: skip
    cost = Amount(calls=1, input_tokens=90, output_tokens=10, nanos=110_000_000_000)
    owners: dict[Scope, str] = {"person": "ann", "conversation": "c", "platform": "web", "house": "", "model": "acme:m"}
    for scope, owner in owners.items():
        assert await spent(made, scope, owner) == cost
    assert await made.spent_today() == "100 tokens ($110.0000)"


async def test_an_unknown_price_is_never_nothing(store: Store) -> None:
    made = budgets(store)
    events = await ask(made, Scripted(*ANSWER))
    assert UsageReport(Usage(input_tokens=90, output_tokens=10)) in events
    assert (await spent(made)).unpriced == 1
    assert await made.spent_today() == "100 tokens (price unknown)"
    assert (
        in_words(None, DayBudget(tokens_per_day=5_000, dollars_per_day=2))
        == "0 tokens ($0.0000) of 5,000 tokens and $2.00"
    )


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"person": {"tokens_per_day": 650}}, "Your budget for today (650 tokens)"),
        ({"conversation": {"tokens_per_day": 650}}, "The budget of this conversation for today"),
        ({"platform": {"tokens_per_day": 650}}, "The budget of web for today"),
        ({"house": {"dollars_per_day": 1_200}, "prices": PRICES}, "The budget of this house for today ($1200.00)"),
    ],
)
async def test_what_a_budget_does_not_reach_for_is_not_asked(
    store: Store, limits: dict[str, Any], sentence: str
) -> None:
    made = budgets(store, **limits)
    provider = Scripted(*ANSWER)
    assert (await ask(made, provider))[-1] == Finish("stop")
    (refused,) = await ask(made, provider)
    assert isinstance(refused, Error)
    assert (refused.kind, refused.retryable, provider.asked) == ("budget", False, 1)
    assert refused.public.startswith(sentence)
    assert refused.public.endswith("It is free again at 00:00 UTC, in 3 h 12 min.")
    assert (await spent(made)).calls == 1


async def test_what_was_expected_is_given_back(store: Store) -> None:
    made = budgets(store, person={"tokens_per_day": ASKED + EXPECTED_OUTPUT + 99 + 100})
    for _ in range(2):
        assert (await ask(made, Scripted(*ANSWER)))[-1] == Finish("stop")
    assert await spent(made) == Amount(calls=2, input_tokens=180, output_tokens=20, unpriced=2)


async def test_the_model_that_answered_is_the_one_that_is_paid(store: Store) -> None:
    made = budgets(store, person={"tokens_per_day": 10_000}, prices=PRICES)
    down = Scripted(Error("overload", "x", "Busy."))
    await ask(made, down, ModelLink("other:n", Scripted(*ANSWER), "n"))
    assert await spent(made, "model", "acme:m") == Amount()
    assert await spent(made, "model", "other:n") == Amount(calls=1, input_tokens=90, output_tokens=10, unpriced=1)
    assert (await spent(made)).nanos == 0


async def test_a_call_that_fails_before_its_first_word_costs_nothing(store: Store) -> None:
    made = budgets(store, person={"tokens_per_day": 10_000})
    await ask(made, Scripted(Error("server", "x", "Failed.")))
    assert await spent(made) == Amount()


async def test_an_answer_that_is_stopped_or_not_counted_is_estimated(store: Store) -> None:
    made = budgets(store)
    await ask(made, Scripted(TextDelta("x" * 40), TextDelta("more")), read=1)
    assert await spent(made) == Amount(calls=1, input_tokens=ASKED, output_tokens=10, unpriced=1)
    *_, told, end = await ask(made, Scripted(TextDelta("x" * 40), Finish("stop")))
    assert told == UsageReport(Usage(input_tokens=ASKED, output_tokens=10, estimated=True))
    assert end == Finish("stop")


async def test_each_round_of_a_turn_weighs_all_that_it_asks(store: Store) -> None:
    """Also one that asks something else than the round before it with a little more."""
    first, more, less = (ChatMessage(role="user", text=letter * 384) for letter in "abc")
    tools = (ToolSpec(name="clock", description="x" * 300, parameters={}),)
    rounds = [
        ModelRequest(model="m", messages=messages, tools=given)
        for messages, given in [
            ((first,), tools),
            ((first, more), tools),
            ((first, more), ()),
            ((less, more), ()),
            ((more,), tools),
            ((), ()),
            ((more, first), ()),
        ]
    ]
    turn = metered(budgets(store), Scripted(TextDelta("Hi"), Finish("stop")))
    for request in rounds:
        (counted,) = [event.usage async for event in turn.stream(request) if isinstance(event, UsageReport)]
        assert counted.input_tokens == tokens(request_size(request))


async def test_who_stops_a_model_before_its_first_word_has_asked_it_all_the_same(store: Store) -> None:
    """Else nothing would bound what somebody asks who never waits for an answer."""

    class Silent(Scripted):
        def __init__(self) -> None:
            super().__init__()
            self.reached = asyncio.Event()

        async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
            self.reached.set()
            await asyncio.Event().wait()
            yield Finish("stop")

    made, silent = budgets(store, person={"tokens_per_day": 10_000}), Silent()
    asking = asyncio.create_task(ask(made, silent))
    await silent.reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await spent(made) == Amount(calls=1, input_tokens=ASKED, unpriced=1)


@pytest.mark.parametrize("times", [1, 2])
async def test_who_is_stopped_before_a_model_was_asked_pays_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Whenever that is: what the ledger was asked for it carries out all the same."""
    made, provider = budgets(store, person={"tokens_per_day": 650}), Scripted(*ANSWER)
    begun, charge = asyncio.Event(), store.ledger.charge

    async def seen(*args: Any) -> Any:
        begun.set()
        return await charge(*args)

    monkeypatch.setattr(store.ledger, "charge", seen)
    asking = asyncio.create_task(ask(made, provider))
    await begun.wait()
    for _ in range(times):
        asking.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(10):
        while await spent(made) != Amount():
            await asyncio.sleep(0)
    assert provider.asked == 0
    assert (await ask(made, provider))[-1] == Finish("stop")


async def test_the_arguments_of_calls_are_written_too(store: Store) -> None:
    call = (ToolCallStart(0, "1", "x"), ToolCallDelta(0, "x" * 40))
    *_, told, _ = await ask(budgets(store), Scripted(*call, Finish("tool_calls")))
    assert told == UsageReport(Usage(input_tokens=ASKED, output_tokens=10, estimated=True))


async def test_an_answer_is_not_lost_with_the_ledger(store: Store) -> None:
    made = budgets(store)
    await store.stop()
    assert (await ask(made, Scripted(*ANSWER)))[-1] == Finish("stop")
    await made.stop()


async def test_only_what_a_limit_bounds_is_in_the_store_before_the_answer_ends(store: Store) -> None:
    """The people of a house have a limit, the house has none: what it is asked for itself may wait."""
    made = budgets(store, person={"tokens_per_day": 10_000})
    await ask(made, Scripted(*ANSWER))
    (found,) = await store.ledger.spent("2026-11-21", "2026-11-21", scope="person")
    assert found.amount == Amount(calls=1, input_tokens=90, output_tokens=10, unpriced=1)
    chain = Chain([ModelLink("acme:m", Scripted(*ANSWER), "m")], Metrics().counter("x_total", "", ("a", "b")))
    async for _ in made.of_the_house(chain).stream(REQUEST):
        pass
    (found,) = await store.ledger.spent("2026-11-21", "2026-11-21", scope="house")
    assert found.amount.calls == 1
    assert (await spent(made, "house", "")).calls == 2


@pytest.mark.parametrize("limits", [{}, {"person": {"tokens_per_day": ASKED + EXPECTED_OUTPUT}}])
async def test_a_call_is_of_the_day_on_which_it_began_and_midnight_frees_a_budget(
    store: Store, limits: dict[str, Any]
) -> None:
    at = [datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)]
    made = Budgets(store.ledger, BudgetSettings(**limits), Metrics(), clock=lambda: at[0])

    class Late(Scripted):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
            at[0] = datetime(2026, 11, 22, tzinfo=UTC)
            async for event in super().stream(request):
                yield event

    for provider in (Late(*ANSWER), Scripted(*ANSWER)):
        assert (await ask(made, provider))[-1] == Finish("stop")
    found = await made.spent("2026-11-20", "2026-11-22", scope="person")
    assert [(spent.day, spent.amount.calls) for spent in found] == [("2026-11-22", 1), ("2026-11-21", 1)]


@pytest.mark.parametrize(("calls", "limits"), [(1_000, {}), (100, {"person": {"tokens_per_day": 10_000_000}})])
async def test_calls_at_once_sum_exactly(store: Store, calls: int, limits: dict[str, Any]) -> None:
    made = budgets(store, prices=PRICES, **limits)
    await asyncio.gather(*(ask(made, Scripted(*ANSWER)) for _ in range(calls)))
    sums = Amount(calls=calls, input_tokens=90 * calls, output_tokens=10 * calls, nanos=110_000_000_000 * calls)
    owners: dict[Scope, str] = {"person": "ann", "conversation": "c", "platform": "web", "model": "acme:m"}
    for scope, owner in owners.items():
        assert await spent(made, scope, owner) == sums
    await made.stop()
