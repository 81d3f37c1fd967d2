"""What is kept of a conversation: typed, tolerant of other versions, changed by tools, the same for all of one turn."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from pydantic import Field

from antiphon.assistants.state import State, StatesInMemory, TurnStates
from antiphon.assistants.turn import TurnServices
from antiphon.errors import ConfigError, ServiceError, ValidationError
from antiphon.runtime.container import ServiceContainer
from antiphon.storage.base import StateStore
from antiphon.tools.base import ToolContext, tool


class Basket(State):
    items: list[str]
    currency: str = "EUR"
    notes: dict[str, int]
    most: int | None


class Money(State):
    cents: int = Field(0, alias="amount", ge=0)


class Never(State):
    size: int = Field(gt=0)


def turn(store: StateStore, conversation_id: str = "c") -> TurnStates:
    return TurnStates(store, conversation_id)


def context(states: TurnStates) -> ToolContext:
    services = TurnServices(ServiceContainer(), states, {})
    return ToolContext(
        person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="guide", services=services
    )


def stored(**fields: Any) -> str:
    return msgspec.json.encode({"format": 1, "fields": fields}).decode()


@tool
async def put(item: str, basket: Basket) -> int:
    """Puts something into the basket."""
    basket.items.append(item)
    return len(basket.items)


@tool
async def swap(basket: Basket) -> None:
    """Puts something into the basket that it cannot hold."""
    basket.items = "a string"  # type: ignore[assignment]


def test_a_field_without_a_default_begins_empty() -> None:
    fresh = Basket.fresh()
    assert (fresh.items, fresh.currency, fresh.notes, fresh.most) == ([], "EUR", {}, None)
    assert Basket.fresh().items is not fresh.items
    with pytest.raises(ConfigError, match="size has no default"):
        Never.fresh()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda: Basket(items=["a"], notes={}, most="many"), "most"),
        (lambda: Basket(items=[], notes={}, most=1, colour="red"), "colour"),  # type: ignore[call-arg]
        (lambda: Basket(items=[]), "notes"),  # type: ignore[call-arg]
        (lambda: Money(amount=-1), "amount"),
        (lambda: setattr(Basket.fresh(), "currency", 3), "currency"),
        (lambda: setattr(Basket.fresh(), "colour", "red"), "colour"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence_that_names_the_field(wrong: Callable[[], object], named: str) -> None:
    with pytest.raises(ValidationError, match=rf"^\w+ does not take these values\. {named}: .+\.$"):
        wrong()


def test_what_is_written_is_read_again_with_the_fields_of_other_versions() -> None:
    old = Basket.read(stored(items=["pear"], colour="red"))
    assert (old.items, old.currency) == (["pear"], "EUR")
    old.items.append("plum")
    assert msgspec.json.decode(old.written())["fields"] == {
        "colour": "red",
        "items": ["pear", "plum"],
        "currency": "EUR",
        "notes": {},
        "most": None,
    }
    assert Money.read(Money(amount=5).written()).cents == 5


def test_what_cannot_be_read_is_told_and_not_guessed() -> None:
    with pytest.raises(ValidationError, match="items"):
        Basket.read(stored(items=5))
    with pytest.raises(ServiceError, match="newer version"):
        Basket.read('{"format": 2, "fields": {}}')


def test_a_wrong_value_that_crept_in_is_not_kept() -> None:
    basket = Basket.fresh()
    basket.notes["a"] = "b"  # type: ignore[assignment]
    with pytest.raises(ValidationError, match=r"notes\.a"):
        basket.written()


async def test_tools_read_and_change_it_and_the_next_turn_finds_it() -> None:
    store = StatesInMemory()
    assert "basket" not in put.parameters["properties"]
    assert (await put.call('{"item": "pear"}', context(turn(store)))).text == "1"
    assert (await put.call('{"item": "plum"}', context(turn(store)))).text == "2"
    assert await store.get("other", "Basket") is None
    async with turn(store).lend(Basket) as basket:
        assert basket.items == ["pear", "plum"]


async def test_tools_that_run_side_by_side_change_the_same_one() -> None:
    store = StatesInMemory()
    states = turn(store)
    calls = (put.call(msgspec.json.encode({"item": str(n)}).decode(), context(states)) for n in range(20))
    assert not any(result.failed for result in await asyncio.gather(*calls))
    async with turn(store).lend(Basket) as basket:
        assert sorted(map(int, basket.items)) == list(range(20))


async def test_a_tool_that_puts_a_wrong_type_into_it_fails_and_changes_nothing() -> None:
    store = StatesInMemory()
    await put.call('{"item": "pear"}', context(turn(store)))
    assert (await swap.call("{}", context(turn(store)))).failed
    async with turn(store).lend(Basket) as basket:
        assert basket.items == ["pear"]


async def test_reading_alone_writes_nothing() -> None:
    class Counting(StatesInMemory):
        puts = 0

        async def put(self, conversation_id: str, name: str, data: str) -> None:
            self.puts += 1
            await super().put(conversation_id, name, data)

    store = Counting()
    async with turn(store).lend(Basket) as basket:
        assert basket.items == []
    assert store.puts == 0
    states = turn(store)
    for _ in range(3):
        async with states.lend(Basket) as basket:
            basket.currency = "CHF"
    assert store.puts == 1


async def test_a_tool_outside_of_any_turn_is_told_that_there_is_no_state() -> None:
    alone = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="guide")
    result = await put.call('{"item": "pear"}', alone)
    assert result.failed
    assert "Basket" in result.text
