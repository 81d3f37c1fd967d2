"""The services of a container as parts of a whole: made and started with it, watched, stopped before what they need."""

from antiphon.runtime.base import Service
from antiphon.runtime.container import ServiceContainer
from antiphon.runtime.lifecycle import HealthCheck, Lifecycle
from antiphon.runtime.wiring import name_of


def add_services(order: Lifecycle, container: ServiceContainer) -> None:
    """Adds every singleton of `container` that is a `Service`, behind those that it needs. One that is not well makes
    the house degraded, not unready."""
    running: set[int] = set()
    for kind in container.singletons(Service):
        hosted, name = _Hosted(container, kind, running), name_of(kind)
        check = HealthCheck(name, hosted.health, critical=False)
        order.add(f"the service {name}", hosted.start, hosted.stop, check=check)


class _Hosted:
    """A service that is made when it is to be started. One that is registered under several types is started once."""

    def __init__(self, container: ServiceContainer, kind: type[Service], running: set[int]) -> None:
        self._container = container
        self._kind = kind
        self._running = running
        self._service: Service | None = None

    async def start(self) -> None:
        service = await self._container.aresolve(self._kind)
        if id(service) not in self._running:
            await service.start()
            self._running.add(id(service))
            self._service = service

    async def stop(self) -> None:
        service, self._service = self._service, None
        if service is not None:
            self._running.discard(id(service))
            await service.stop()

    async def health(self) -> object:
        return "started under another name" if self._service is None else await self._service.health()
