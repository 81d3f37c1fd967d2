"""Which models there are to choose from."""

import asyncio

from antiphon.cache import cache as home
from antiphon.cache.cache import Cache
from antiphon.providers.base import DEMO
from antiphon.providers.catalogue import Catalogue
from antiphon.providers.config import ProvidersSettings
from antiphon.providers.registry import ProviderRegistry


class House:
    """Counts how often somebody looks for the models of all vendors."""

    def __init__(self) -> None:
        self.looked = 0
        self.catalogue = Catalogue(ProviderRegistry(ProvidersSettings(), environ={}), self.default)

    def default(self) -> str:
        self.looked += 1
        return DEMO


async def test_a_list_holds_for_a_while_and_is_asked_for_once_by_many() -> None:
    kept = home.adopt(Cache())
    try:
        house, another = House(), House()
        lists = await asyncio.gather(*(house.catalogue.names() for _ in range(10)))
        once = house.looked
        assert {tuple(names) for names in lists} == {(DEMO,)}
        assert await house.catalogue.names() == (DEMO,)
        assert house.looked == once
        assert another.looked == 0
        await another.catalogue.names()
        assert another.looked == once
        home.get_cache().memory.clear()
        await house.catalogue.names()
        assert house.looked == 2 * once
    finally:
        home.release(kept)
