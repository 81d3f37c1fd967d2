"""Services with a life: started with the whole, behind what they need, watched, stopped before it."""

import asyncio
from typing import Any

import pytest

from antiphon.errors import ServiceError
from antiphon.runtime.base import BaseService, Repository, Service
from antiphon.runtime.container import ServiceContainer
from antiphon.runtime.lifecycle import Lifecycle
from antiphon.runtime.services import add_services
from antiphon.telemetry.health import HealthChecker

lines: list[str] = []


@pytest.fixture(autouse=True)
def diary() -> list[str]:
    lines.clear()
    return lines


class Engine(BaseService):
    async def initialize(self) -> None:
        await super().initialize()
        lines.append(f"start {self.name}")

    async def shutdown(self) -> None:
        lines.append(f"stop {self.name}")
        await super().shutdown()


class Car(Engine):
    def __init__(self, engine: Engine) -> None:
        super().__init__("car")
        self.engine = engine


class Dry(Car):
    async def health(self) -> object:
        raise OSError("no fuel")


def house(*kinds: Any) -> tuple[Lifecycle, ServiceContainer, HealthChecker]:
    container, health = ServiceContainer(), HealthChecker(cache=0)
    for kind in kinds:
        container.register_singleton(kind)
    container.build()
    order = Lifecycle(watch=health)
    order.add("the services", None, container.aclose)
    add_services(order, container)
    return order, container, health


async def test_services_start_behind_what_they_need_and_stop_before_it(diary: list[str]) -> None:
    order, container, health = house(Car, Engine)
    await order.start()
    assert (await health.acheck_all()).status == "healthy"
    assert container.resolve(Car).engine is container.resolve(Engine)
    await order.stop()
    assert diary == ["start Engine", "start car", "stop car", "stop Engine"]
    assert not (await health.acheck_all()).checks


async def test_one_that_is_not_well_makes_the_house_degraded(diary: list[str]) -> None:
    order, _, health = house(Engine, Dry)
    await order.start()
    said = await health.acheck_all()
    assert (said.status, said.ready) == ("degraded", True)
    assert [check.detail for check in said.checks if not check.healthy] == ["OSError: no fuel"]
    await order.stop()


class Broken(Engine):
    async def initialize(self) -> None:
        raise OSError("no key")


async def test_one_that_does_not_start_is_named_and_the_others_are_stopped(diary: list[str]) -> None:
    order, _, _ = house(Engine, Broken)
    with pytest.raises(ServiceError, match="Could not start the service Broken: OSError: no key"):
        await order.start()
    assert diary == ["start Engine", "stop Engine"]


async def test_one_object_under_two_types_is_started_once(diary: list[str]) -> None:
    engine = Engine()
    container = ServiceContainer()
    container.register_singleton(Engine, engine)
    container.register_singleton(BaseService, engine)
    order = Lifecycle()
    add_services(order, container)
    await order.start()
    await order.stop()
    assert diary == ["start Engine", "stop Engine"]


async def test_a_service_from_an_async_factory_is_made_when_it_starts(diary: list[str]) -> None:
    async def make() -> Engine:
        lines.append("made")
        await asyncio.sleep(0)
        return Engine("diesel")

    container = ServiceContainer()
    container.register_factory(Engine, make, lifetime="singleton")
    order = Lifecycle()
    add_services(order, container)
    await order.start()
    assert diary == ["made", "start diesel"]
    await order.stop()


async def test_it_may_be_initialized_by_hand_and_starting_it_then_does_nothing(diary: list[str]) -> None:
    engine = Engine()
    assert await engine.health() is False
    await engine.initialize()
    await engine.start()
    assert await engine.health() is True
    await asyncio.gather(engine.stop(), engine.stop())
    await engine.shutdown()
    assert diary == ["start Engine", "stop Engine", "stop Engine"]


async def test_starting_at_the_same_time_is_starting_once(diary: list[str]) -> None:
    engine = Engine()
    await asyncio.gather(*(engine.start() for _ in range(10)))
    assert diary == ["start Engine"]


class Drawer:
    def __init__(self) -> None:
        self.things: dict[str, Any] = {}

    async def get(self, key: str) -> Any | None:
        return self.things.get(key)

    async def set(self, key: str, value: Any) -> None:
        self.things[key] = value

    async def delete(self, key: str) -> object:
        return self.things.pop(key, None)

    async def exists(self, key: str) -> bool:
        return key in self.things


async def test_contracts_can_be_asked_for_at_run_time() -> None:
    assert isinstance(Engine(), Service)
    assert not isinstance(Drawer(), Service)
    assert isinstance(Drawer(), Repository)
    container = ServiceContainer()
    container.register_singleton(Repository, Drawer)
    drawer = container.resolve(Repository)
    await drawer.set("pen", 1)
    assert await drawer.exists("pen")
