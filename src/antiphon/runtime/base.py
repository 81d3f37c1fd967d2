"""The contracts of what a workspace starts, supplies and stops."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Service(Protocol):
    """Something with a life of its own. One that is registered in the container as a singleton is started with the
    workspace, behind what it needs, and stopped before it."""

    async def start(self) -> None:
        """Gets ready. When it fails or is cancelled it cleans up after itself."""
        ...

    async def stop(self) -> None:
        """Finishes what it has begun. Never called before `start` has succeeded."""
        ...

    async def health(self) -> object:
        """A health check: fails by raising or by giving False; a text is shown as the detail."""
        ...


class BaseService:
    """A `Service` to build on: override `initialize` and `shutdown`, and call them on `super()`.

    The house calls `start` and `stop`, which do nothing when there is nothing to do; a program without a workspace may
    call `initialize` and `shutdown` itself.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name or type(self).__name__
        self._initialized = False
        self._changing = asyncio.Lock()

    async def initialize(self) -> None:
        """Gets ready for work."""
        self._initialized = True

    async def shutdown(self) -> None:
        """Lets go of everything."""
        self._initialized = False

    async def start(self) -> None:
        async with self._changing:
            if not self._initialized:
                await self.initialize()
                self._initialized = True

    async def stop(self) -> None:
        async with self._changing:
            if self._initialized:
                self._initialized = False
                await self.shutdown()

    async def health(self) -> object:
        return self._initialized


@runtime_checkable
class Repository(Protocol):
    """Things kept under a key."""

    async def get(self, key: str) -> Any | None: ...

    async def set(self, key: str, value: Any) -> None: ...

    async def delete(self, key: str) -> object: ...

    async def exists(self, key: str) -> bool: ...


class Injected:
    """A class of which tools are given an instance where they ask for it, as for a Protocol; models never see that."""


class TurnValue(Injected):
    """Base of what belongs to a turn. A tool's parameter of such a type is filled in by the turn; a model never sees
    it."""


class Services(Protocol):
    """What code that is given services sees of the container."""

    def require(self, needs: Mapping[str, Any], *, by: str) -> None:
        """Raises `ConfigError` naming those of `needs`, types by the name of a parameter, that nobody provides; `by` is
        who needs them."""
        ...

    def supply(self, needs: Mapping[str, Any]) -> AbstractAsyncContextManager[dict[str, Any]]:
        """Each service under the name of the parameter that needs it. What was made for this one use is gone behind
        the `async with`. Raises `ConfigError` for a service that nobody provides."""
        ...

    def inject(self, function: Callable[..., Any], *, by: str = "", given: int = 0) -> Callable[..., Awaitable[Any]]:
        """`function` without the parameters that are services: they are filled in whenever it is called.

        The first `given` parameters are the caller's. That the others are provided is checked when the container is
        built; `by` is what the error calls the function.
        """
        ...
