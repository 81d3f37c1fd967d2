"""What belongs to one turn and is given to its tools beside the services of the house."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from antiphon.assistants.state import TurnStates
from antiphon.runtime.base import Services, TurnValue


class TurnServices:
    """The `Services` of one turn: those of the house, the states of the conversation, and further values of the turn,
    by their type."""

    def __init__(self, services: Services, states: TurnStates, values: Mapping[type[TurnValue], TurnValue]) -> None:
        self._services = services
        self._states = states
        self._values = values

    def require(self, needs: Mapping[str, Any], *, by: str) -> None:
        self._services.require(of_the_house(needs), by=by)

    def supply(self, needs: Mapping[str, Any]) -> AbstractAsyncContextManager[dict[str, Any]]:
        house = of_the_house(needs)
        return self._services.supply(needs) if len(house) == len(needs) else self._lend(needs, house)

    def inject(self, function: Callable[..., Any], *, by: str = "", given: int = 0) -> Callable[..., Awaitable[Any]]:
        return self._services.inject(function, by=by, given=given)

    @asynccontextmanager
    async def _lend(self, needs: Mapping[str, Any], house: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as lent:
            found = await lent.enter_async_context(self._services.supply(house)) if house else {}
            for name, kind in needs.items():
                if name not in house:
                    known = self._values.get(kind)
                    found[name] = known or await lent.enter_async_context(self._states.lend(kind))
            yield found


def of_the_house(needs: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `needs` that are services."""
    return {name: kind for name, kind in needs.items() if not _of_the_turn(kind)}


def _of_the_turn(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, TurnValue)
