"""What a program registers in the workspace: started with it, given to tools and commands, stopped before the store."""

import socket
from pathlib import Path
from typing import Protocol

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.errors import ConfigError, ServiceError
from antiphon.runtime.base import BaseService
from antiphon.runtime.threads import run_async
from antiphon.settings.config import Config
from antiphon.storage.base import ConversationStore, Store
from antiphon.storage.facts import FactStore
from antiphon.telemetry.metrics import Metrics
from antiphon.tools.base import ToolContext, tool
from tests.unit.workspace.conftest import Make


class Prices(Protocol):
    async def of(self, article: str) -> int: ...


class Shop(BaseService):
    """Prices that are kept as facts of the store."""

    def __init__(self, facts: FactStore, metrics: Metrics) -> None:
        super().__init__("shop")
        self.facts = facts
        self.states: list[str] = []

    async def initialize(self) -> None:
        await super().initialize()
        await self.facts.list("nobody")  # the store runs by now
        self.states.append("open")

    async def shutdown(self) -> None:
        await self.facts.list("nobody")  # and it still does
        self.states.append("closed")
        await super().shutdown()

    async def of(self, article: str) -> int:
        return len(article)


@tool
async def price(article: str, prices: Prices) -> int:
    """What an article costs."""
    return await prices.of(article)


async def test_a_service_lives_with_the_workspace_and_reaches_its_tools(make: Make) -> None:
    workspace = make()
    workspace.services.register_singleton(Prices, Shop)
    workspace.assistants.add(Assistant("clerk", tools=[price]))
    async with workspace:
        shop = workspace.services.resolve(Prices)
        context = ToolContext(
            person_id="p",
            conversation_id="c",
            turn_id="t",
            message_id="m",
            assistant="clerk",
            services=workspace.services,
        )
        assert (await price.call('{"article": "lamp"}', context)).text == "4"
        checks = {check.name: check for check in (await workspace.health.acheck_all()).checks}
        assert checks["Prices"].healthy
        assert not checks["Prices"].critical
    assert shop.states == ["open", "closed"]
    with pytest.raises(ServiceError, match="have been closed"):
        workspace.services.resolve(Prices)


async def test_it_is_made_anew_at_each_start(make: Make) -> None:
    workspace = make()
    workspace.services.register_singleton(Prices, Shop)
    shops = []
    for _ in range(2):
        async with workspace:
            shops.append(workspace.services.resolve(Prices))
    assert shops[0] is not shops[1]
    assert [shop.states for shop in shops] == [["open", "closed"]] * 2


async def test_what_is_missing_fails_the_start_by_name_before_anything_is_opened(make: Make, tmp_path: Path) -> None:
    class Shopping:
        def __init__(self, prices: Prices) -> None: ...

    workspace = make()
    workspace.services.register(Shopping)
    with pytest.raises(ConfigError, match=r"Shopping needs Prices for 'prices', which nobody provides"):
        await workspace.start()
    assert list(tmp_path.iterdir()) == []


async def test_a_start_that_fails_gives_the_port_back(make: Make, free_port: int) -> None:
    class Shopping:
        def __init__(self, prices: Prices) -> None: ...

    workspace = make(server={"port": free_port})
    workspace.services.register(Shopping)
    with pytest.raises(ConfigError, match="Shopping needs Prices"):
        await workspace.serve()
    with socket.create_server(("127.0.0.1", free_port)) as another:
        assert another.getsockname()[1] == free_port


async def test_a_part_of_the_house_can_be_replaced(make: Make) -> None:
    workspace = make()
    mine = workspace.store.facts
    workspace.services.register_singleton(FactStore, mine)
    async with workspace:
        assert workspace.services.resolve(FactStore) is mine
        with pytest.raises(ConfigError, match="FactStore may be in use already"):
            workspace.services.register_singleton(FactStore, mine)


async def test_the_parts_of_the_house_can_be_asked_for(make: Make) -> None:
    workspace = make()
    assert workspace.services.resolve(Store) is workspace.store
    assert workspace.services.resolve(ConversationStore) is workspace.store.conversations
    assert workspace.services.resolve(Config) is workspace.config
    assert workspace.services.resolve(Metrics) is workspace.metrics


async def test_each_part_has_the_time_that_the_settings_give_it(make: Make) -> None:
    class Slow(BaseService):
        async def initialize(self) -> None:
            await run_async(lambda: None)
            raise TimeoutError("the device is asleep")

    workspace = make(services={"start_seconds": 5})
    workspace.services.register_singleton(Slow)
    with pytest.raises(ServiceError, match="Could not start the service Slow: time-out the device is asleep"):
        await workspace.start()
    assert not (await workspace.health.acheck_all()).checks
