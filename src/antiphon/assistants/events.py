"""Functions that are told of an assistant's life and of its turns."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, TypedDict, TypeVar, Unpack, get_args

from msgspec import Struct

from antiphon.assistants.state import State, TurnStates
from antiphon.domain import ToolPart, Turn, TurnRecord
from antiphon.errors import ConfigError, ServiceError
from antiphon.runtime.base import Services
from antiphon.runtime.lines import Line
from antiphon.runtime.spelling import did_you_mean
from antiphon.telemetry.logs import get_logger, stack_of

LifeEvent = Literal["start", "stop"]
TurnEventName = Literal["user_message", "tool_started", "tool_ended", "assistant_message", "turn_ended"]

LIMIT_SECONDS = 30.0
"""How long a subscriber may take for one event, and for what it has still to be told at the end."""

S = TypeVar("S", bound=State)
Function = TypeVar("Function", bound=Callable[..., Awaitable[object]])

log = get_logger(__name__)


class TurnEvent(Struct, frozen=True, kw_only=True):
    """What happened in a turn.

    `text` is the person's with `user_message`, the answer with `assistant_message`, and empty otherwise. `tool` is the
    call with `tool_started` and `tool_ended`, `record` how it went with `turn_ended`.
    """

    name: TurnEventName
    assistant: str
    turn: Turn
    text: str = ""
    tool: ToolPart | None = None
    record: TurnRecord | None = None
    states: TurnStates

    def state(self, kind: type[S]) -> AbstractAsyncContextManager[S]:
        """The conversation's state for as long as it is read or changed. A subscriber does this beside the turn: of two
        who change one field the last counts."""
        return self.states.lend(kind)


class What(TypedDict, total=False):
    """The fields of a `TurnEvent` that only some of them have."""

    text: str
    tool: ToolPart
    record: TurnRecord


class Events:
    """Who is told what of one assistant. Each subscriber has a line of its own: it gets everything in order, and one
    that is slow or fails holds nobody up, least of all an answer."""

    __slots__ = ("_assistant", "_life", "_services", "_subscribers")

    def __init__(self, assistant: str) -> None:
        self._assistant = assistant
        self._services: Services | None = None
        self._life: dict[str, list[Callable[..., Awaitable[object]]]] = {}
        self._subscribers: dict[str, list[_Subscriber]] = {}

    def on_event(self, name: LifeEvent, function: Function) -> Function:
        self._check(name, get_args(LifeEvent), get_args(TurnEventName), "subscribe", function)
        self._life.setdefault(name, []).append(function)
        return function

    def subscribe(self, name: TurnEventName, function: Function) -> Function:
        self._check(name, get_args(TurnEventName), get_args(LifeEvent), "on_event", function)
        subscriber = _Subscriber(function, f"{self._assistant}.{_name(function)}")
        if self._services is not None:
            subscriber.serve(self._services)
        self._subscribers.setdefault(name, []).append(subscriber)
        return function

    def tell(self, name: TurnEventName, turn: Turn, states: TurnStates, **what: Unpack[What]) -> None:
        """Puts it into the lines of those who want to know, and returns at once."""
        if subscribers := self._subscribers.get(name):
            event = TurnEvent(name=name, assistant=self._assistant, turn=turn, states=states, **what)
            for subscriber in subscribers:
                subscriber.line.take(event)

    async def start(self, services: Services) -> None:
        """Calls the functions of the start in their order, with the services that they ask for. Raises `ServiceError`
        naming the first that fails."""
        self._services = services
        for subscriber in (each for told in self._subscribers.values() for each in told):
            subscriber.serve(services)
        for function in self._life.get("start", ()):
            await self._live("start", function, services)

    async def stop(self, services: Services) -> None:
        """Lets subscribers finish what they have, then calls the functions of the stop, all of them. Raises
        `ServiceError` naming those that failed."""
        self._services = None
        await asyncio.gather(*(each.line.finish(LIMIT_SECONDS) for told in self._subscribers.values() for each in told))
        failed = []
        for function in self._life.get("stop", ()):
            try:
                await self._live("stop", function, services)
            except ServiceError as error:
                failed.append(str(error))
        if failed:
            raise ServiceError(" ".join(failed))

    async def _live(self, name: LifeEvent, function: Callable[..., Awaitable[object]], services: Services) -> None:
        try:
            await services.inject(function, by=f"Handler {self._assistant}.{_name(function)}")()
        except ConfigError:
            raise
        except Exception as error:
            raise ServiceError(
                f"Assistant {self._assistant}: {_name(function)}, its handler of {name}, failed with "
                f"{type(error).__name__}: {error}."
            ) from error

    def _check(self, name: str, known: tuple[str, ...], others: tuple[str, ...], way: str, function: object) -> None:
        if name not in known:
            hint = (
                f" Use @assistant.{way}({name!r})."
                if name in others
                else did_you_mean(name, known, f"There is: {', '.join(known)}.")
            )
            raise ConfigError(f"Assistant {self._assistant}: {name!r} is no event of this kind.{hint}")
        if not inspect.iscoroutinefunction(function):
            raise ConfigError(f"Assistant {self._assistant}: what is told of {name} must be an `async def` function.")


class _Subscriber:
    def __init__(self, function: Callable[..., Awaitable[object]], name: str) -> None:
        self.function = function
        self.name = name
        self.call = function
        self.line = Line(f"subscriber {name}", self._tell)

    def serve(self, services: Services) -> None:
        """It is called with what it asks for of `services`. Raises `ConfigError` for what is not there."""
        self.call = services.inject(self.function, by=f"Subscriber {self.name}", given=1)

    async def _tell(self, event: TurnEvent) -> None:
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await self.call(event)
        except Exception as error:  # noqa: BLE001 - a subscriber is a stranger's code: it fails, the answer goes on
            self._blame(error, event)

    def _blame(self, error: Exception, event: TurnEvent) -> None:
        kind, stack, turn_id = type(error).__name__, stack_of(error), event.turn.id
        log.error("subscriber.failed", subscriber=self.name, told=event.name, turn_id=turn_id, error=kind, stack=stack)


def _name(function: object) -> str:
    return getattr(function, "__qualname__", repr(function))
