"""Which models there are to choose from, across all vendors that can be used here."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

from antiphon.cache.decorator import cache_result
from antiphon.errors import AntiphonError, ModuleError
from antiphon.providers.base import DEMO
from antiphon.providers.registry import ProviderRegistry
from antiphon.runtime.spelling import did_you_mean
from antiphon.runtime.tasks import gather_with_concurrency
from antiphon.telemetry.logs import get_logger

ASK_SECONDS = 2.0
"""How long a vendor has to list its models."""

ASK_AT_ONCE = 16
"""Vendors that are asked at the same time."""

KEEP_SECONDS = 60.0
"""How long a list holds."""

LOOK_SECONDS = 3_600.0
"""How long it is until a vendor is asked again how large its windows are."""

log = get_logger(__name__)


class Catalogue:
    """The models of every vendor that is configured, has a key, or serves the default model."""

    def __init__(self, registry: ProviderRegistry, default: Callable[[], str]) -> None:
        self._registry = registry
        self._default = default
        self._due: dict[str, float] = {}
        self._windows: dict[str, int] = {}

    @cache_result(ttl=KEEP_SECONDS)
    async def names(self) -> Sequence[str]:
        """Every model as `provider:model`, sorted; a vendor that does not answer in time is left out."""
        lists = await gather_with_concurrency(ASK_AT_ONCE, map(self._ask, self._usable()))
        return tuple(sorted({self._default(), *(name for names in lists for name in names)}))

    def window(self, model: str) -> int | None:
        """The window of a model in tokens, as far as its vendor's list has told it by now."""
        return self._windows.get(model)

    def is_due(self, model: str) -> bool:
        """Whether the vendor of a model has not been asked for its list for long."""
        return monotonic() >= self._due.get(model.partition(":")[0], 0.0)

    async def look_up(self, model: str) -> None:
        """Asks the vendor of a model for its list, so that `window` knows it."""
        await self._ask(model.partition(":")[0])

    def resting(self, provider: str) -> float | None:
        """The seconds for which a vendor is left alone because it keeps failing, None when it is asked."""
        return self._registry.resting(provider)

    def exhausted(self, model: str) -> float | None:
        """The seconds until the rate limits allow a model, where that is too long to wait, else None."""
        return self._registry.exhausted(model)

    async def full_name(self, text: str) -> str:
        """The model a person means: `provider:model`, or a model's name alone where only one vendor has it.

        A vendor may serve models that it does not list, so the name behind a known provider is taken as it is.
        Raises `ModuleError` with the nearest valid one.
        """
        wish = text.strip().strip("`")
        provider, colon, model = wish.partition(":")
        if wish == DEMO or (colon and model and provider in self._registry.names()):
            return wish
        names = await self.names()
        same = [name for name in names if wish and wish in {name, name.partition(":")[2]}]
        if len(same) == 1:
            return same[0]
        known = [*names, *(name.partition(":")[2] for name in names)]
        hint = did_you_mean(wish, known, "Write provider:model; /model shows what there is.")
        raise ModuleError(f"There is no model “{wish[:80]}” here.{hint}")

    def _usable(self) -> list[str]:
        sections = ((name, self._registry.section(name)) for name in self._registry.names())
        set_up = [name for name, section in sections if section.api_key is not None or section.base_url is not None]
        return sorted({DEMO, self._default().partition(":")[0], *set_up})

    async def _ask(self, name: str) -> list[str]:
        self._due[name] = monotonic() + LOOK_SECONDS
        try:
            async with asyncio.timeout(ASK_SECONDS):
                models = await self._registry.get(name).models()
        except (AntiphonError, TimeoutError) as error:
            log.info("catalogue.no_list", provider=name, error=str(error) or type(error).__name__)
            return []
        full = {model: name if model.id == name == DEMO else f"{name}:{model.id}" for model in models}
        self._windows |= {full[model]: model.context for model in models if model.context is not None}
        return list(full.values())
