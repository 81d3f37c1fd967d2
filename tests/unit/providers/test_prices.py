"""Prices: the vendor's own first, then the operator's, then the library's; unknown is never nothing."""

import asyncio
import importlib
import sys

import pytest

from antiphon.domain import Usage
from antiphon.providers import prices as prices_module
from antiphon.providers.prices import ModelPrice, Prices

USAGE = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=400_000)


async def test_what_the_vendor_says_goes_before_everything() -> None:
    prices = Prices({"acme:m": ModelPrice(input=1, output=1)})
    assert await prices.cost("acme:m", Usage(input_tokens=10, cost=0.25)) == 0.25


async def test_the_operators_price_goes_before_the_librarys() -> None:
    assert await Prices({"openai:gpt-4o": ModelPrice(input=1, output=10, cached=0.5)}).cost(
        "openai:gpt-4o", USAGE
    ) == pytest.approx(0.6 + 0.2 + 1.0)
    assert await Prices({"acme:m": ModelPrice(input=1, output=10)}).cost("acme:m", USAGE) == pytest.approx(2.0)


async def test_a_known_model_has_the_price_of_the_library() -> None:
    asked = [Prices().cost("openai:gpt-4o", USAGE) for _ in range(2)]
    first, second = await asyncio.gather(*asked)
    assert first == second == pytest.approx(0.6 * 2.5 + 0.4 * 1.25 + 1.0)


async def test_a_price_with_steps_is_taken_by_the_step() -> None:
    prices = Prices()
    short = await prices.cost("google:gemini-2.5-pro", Usage(input_tokens=100_000))
    long = await prices.cost("google:gemini-2.5-pro", Usage(input_tokens=400_000))
    assert short is not None
    assert long is not None
    assert long > 4 * short


@pytest.mark.parametrize("model", ["openai:no-such-model", "nobody:gpt-4o", "demo", "ollama:llama3.2"])
async def test_an_unknown_price_is_none_and_not_nothing(model: str) -> None:
    assert await Prices().cost(model, USAGE) is None


async def test_without_the_extra_no_price_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices_module, "MODULE", "genai_prices_that_nobody_has_installed")
    assert await Prices().cost("openai:gpt-4o", USAGE) is None


async def test_each_model_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prices = Prices()
    await prices.cost("openai:gpt-4o", USAGE)
    library = importlib.import_module("genai_prices")
    monkeypatch.setattr(library.data_snapshot, "get_snapshot", lambda: pytest.fail("looked up again"))
    assert await prices.cost("openai:gpt-4o", USAGE) is not None


def test_the_library_is_not_loaded_before_it_is_needed() -> None:
    assert "genai_prices" not in vars(prices_module)
    assert prices_module.MODULE in sys.modules or Prices()._library is None


async def test_more_that_was_cached_than_was_asked_earns_nothing() -> None:
    lying = Usage(input_tokens=10, cached_tokens=1_000_000)
    assert await Prices({"acme:m": ModelPrice(input=1_000_000, output=1, cached=0)}).cost("acme:m", lying) == 0
    assert await Prices().cost("openai:gpt-4o", lying) == pytest.approx(10 * 1.25 / 1e6)
