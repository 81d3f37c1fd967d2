"""What a model's answer costs: as its vendor says, else as the operator set it, else as `genai-prices` knows it.

A model of which nobody knows the price costs `None`, which is not nothing.
"""

import asyncio
import importlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib.util import find_spec
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from antiphon.domain import Usage, now
from antiphon.telemetry.logs import get_logger

MODULE = "genai_prices"
"""Of the extra `prices`: its prices are inside, nothing is fetched."""

_VENDORS = {"xai": "x-ai"}
"""What it calls vendors that have another name here."""

log = get_logger(__name__)

Rate = Callable[[Usage], float | None]


class ModelPrice(BaseModel):
    """Dollars for a million tokens. `cached` is what input costs that the vendor has read before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(None, ge=0)

    def cost(self, usage: Usage) -> float:
        price = self.input if self.cached is None else self.cached
        cached = min(usage.cached_tokens, usage.input_tokens)  # some vendors count them beside the input
        fresh = usage.input_tokens - cached
        return (fresh * self.input + cached * price + usage.output_tokens * self.output) / 1e6


class Prices:
    """Prices by the full name of a model. `own` goes before what the library says.

    Looking a model up takes long, so each is looked up once. The library is loaded in a thread by the first question.
    """

    def __init__(self, own: Mapping[str, ModelPrice] | None = None) -> None:
        self._rates: dict[str, Rate] = {model: price.cost for model, price in (own or {}).items()}
        self._library: asyncio.Task[Any] | None = None

    async def cost(self, model: str, usage: Usage) -> float | None:
        """Dollars; None when nobody knows."""
        if usage.cost is not None:
            return usage.cost
        if model not in self._rates:
            self._rates[model] = await self._found(model)
        return self._rates[model](usage)

    async def _found(self, model: str) -> Rate:
        vendor, _, name = model.partition(":")
        if not name or find_spec(MODULE) is None:
            return _unknown
        if self._library is None:
            self._library = asyncio.create_task(asyncio.to_thread(importlib.import_module, MODULE), name="prices")
        library = await asyncio.shield(self._library)
        try:
            _, found = library.data_snapshot.get_snapshot().find_provider_model(
                name, None, _VENDORS.get(vendor, vendor), None
            )
        except LookupError:
            log.info("prices.unknown", model=model)
            return _unknown
        return _rate(library, found)


def _rate(library: Any, model: Any) -> Rate:
    price = model.get_prices(now())
    per_token = [getattr(price, field) for field in ("input_mtok", "output_mtok", "cache_read_mtok")]
    if all(isinstance(value, Decimal) for value in per_token[:2]) and not hasattr(per_token[2], "tiers"):
        values = dict(zip(("input", "output", "cached"), per_token, strict=True))
        return ModelPrice.model_validate({name: value for name, value in values.items() if value is not None}).cost

    def cost(usage: Usage) -> float | None:
        """For prices that rise with the length of a prompt, and for those that are of something else than tokens."""
        read = library.Usage(
            input_tokens=usage.input_tokens,
            cache_read_tokens=min(usage.cached_tokens, usage.input_tokens),
            output_tokens=usage.output_tokens,
        )
        try:
            return float(price.calc_price(read)["total_price"])
        except (LookupError, ValueError):
            return None

    return cost


def _unknown(_: Usage) -> float | None:
    return None
