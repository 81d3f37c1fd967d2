"""The program that dies: a whole Antiphon which kills itself at one point of the flow.

`python -m tests.crashing.program PLATFORM`. Each line it reads is an `Order` for one life, a fork of this process,
which has loaded everything and started nothing: so a life costs what a workspace costs, and not what Python costs.
What happens to it is told in lines too.
"""

import inspect
import json
import os
import signal
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, wraps
from importlib import import_module
from pkgutil import resolve_name, walk_packages
from random import Random
from types import coroutine
from typing import Any

import msgspec

from antiphon.assistants.assistant import Assistant
from antiphon.conversation.handler import MessageHandler
from antiphon.conversation.stream import TurnStream
from antiphon.domain import ChannelMessage, Message, Turn
from antiphon.settings.config import Config
from antiphon.storage.outbox import Delivery
from antiphon.storage.sql.unit import Unit
from antiphon.workspace import Workspace
from tests.crashing.courier import Bell, Numbered, Unnumbered
from tests.crashing.points import Point


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A life: where it listens, and at which occurrence of which point it ends. Without a point it lives on."""

    port: int
    point: Point | None
    occurrence: int
    seed: int


LOADED_BY_NAME = (
    "antiphon.commands",
    "antiphon.tools",
    "antiphon.providers.demo",
    "antiphon.storage.sql",
    "antiphon.storage.sqlite",
    "antiphon.storage.postgres",
)

_turn: ContextVar[str] = ContextVar("turn", default="")
_watched: ContextVar[list[str] | None] = ContextVar("watched", default=None)


def tell(**what: Any) -> None:
    # One write, so that nothing of it can be missing when the process dies behind it.
    os.write(1, json.dumps(what).encode() + b"\n")


class Reaper:
    """Waits at one point for its time."""

    def __init__(self, order: Order, point: Point) -> None:
        self._point = point
        self._left = order.occurrence
        self._dice = Random(order.seed)
        self._longest = 0

    def attach(self, workspace: Workspace) -> None:
        """Puts itself around the method of the point."""
        handle = MessageHandler.handle

        async def remembered(handler: MessageHandler, turn: Turn, stream: TurnStream) -> None:
            _turn.set(turn.id)
            await handle(handler, turn, stream)

        MessageHandler.handle = remembered  # type: ignore[method-assign,assignment]
        place, _, name = self._point.place.rpartition(".")
        owner = resolve_name(place)
        wrap = {
            "before": self._before,
            "after": self._after,
            "inside": self._inside,
            "between statements": self._watching,
            "before the commit": self._watching,
        }[self._point.when]
        setattr(owner, name, wrap(getattr(owner, name)))
        write: Callable[..., Any] = workspace.store.write  # type: ignore[attr-defined]

        async def watched(unit: Callable[..., Unit[Any]], /, *args: Any, **kwargs: Any) -> Any:
            who = _watched.get()
            return await write(unit if who is None else partial(self._unit, who, unit), *args, **kwargs)

        workspace.store.write = watched  # type: ignore[attr-defined]

    def _met(self, who: list[str]) -> None:
        self._left -= 1
        if self._left == 0:
            self._kill(who)

    def _kill(self, who: list[str]) -> None:
        tell(event="killed", who=who)
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()

    def _before(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self._met(_names(args))
            return method(*args, **kwargs)

        return wrapped

    def _after(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        async def waiting(*args: Any, **kwargs: Any) -> Any:
            result = await method(*args, **kwargs)
            self._met(_names(args))
            return result

        @wraps(method)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            self._met(_names(args))
            return result

        return waiting if inspect.iscoroutinefunction(method) else wrapped

    def _inside(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """At some call that the method makes; the first time shows how many there are."""

        @wraps(method)
        async def waiting(*args: Any, **kwargs: Any) -> Any:
            calls = self._calls(args)
            result = await _counted(method(*args, **kwargs), calls)
            self._longest = max(self._longest, calls.seen)
            return result

        @wraps(method)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            calls = self._calls(args)
            sys.setprofile(calls)
            try:
                return method(*args, **kwargs)
            finally:
                sys.setprofile(None)
                self._longest = max(self._longest, calls.seen)

        return waiting if inspect.iscoroutinefunction(method) else wrapped

    def _calls(self, args: tuple[Any, ...]) -> "_Calls":
        self._left -= 1
        due = self._left <= 0 and self._longest > 0
        return _Calls(self._dice.randint(1, self._longest) if due else 0, partial(self._kill, _names(args)))

    def _watching(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        async def waiting(*args: Any, **kwargs: Any) -> Any:
            token = _watched.set(_names(args))
            try:
                return await method(*args, **kwargs)
            finally:
                _watched.reset(token)

        return waiting

    def _unit(self, who: list[str], unit: Callable[..., Unit[Any]], *args: Any, **kwargs: Any) -> Unit[Any]:
        """The unit of work, cut short when its time has come. It may be carried out by another thread."""
        self._left -= 1
        between = self._point.when == "between statements"
        due = self._left <= 0 and (self._longest > 1 or not between)
        last = self._dice.randint(1, self._longest - 1) if due and between else 0
        steps, done = unit(*args, **kwargs), 0
        try:
            step = next(steps)
            while True:
                rows = yield step
                done += 1
                if done == last:
                    self._kill(who)
                step = steps.send(rows)
        except StopIteration as end:
            self._longest = max(self._longest, done)
            if due:
                self._kill(who)
            return end.value


class _Calls:
    """Counts what is called, as `sys.setprofile` reports it, and ends it with the `last` one."""

    def __init__(self, last: int, end: Callable[[], None]) -> None:
        self.seen = 0
        self._last = last
        self._end = end

    def __call__(self, frame: Any, event: str, arg: Any) -> None:
        if event in {"call", "c_call"}:
            self.seen += 1
            if self.seen == self._last:
                sys.setprofile(None)
                self._end()


@coroutine
def _counted(steps: Any, calls: _Calls) -> Any:
    """The coroutine `steps`, counted while it runs and not while it waits."""
    send, value = steps.send, None
    while True:
        sys.setprofile(calls)
        try:
            wish = send(value)
        except StopIteration as end:
            return end.value
        finally:
            sys.setprofile(None)
        try:
            send, value = steps.send, (yield wish)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the coroutine's
            send, value = steps.throw, error


def _names(args: tuple[Any, ...]) -> list[str]:
    """What tells the message that a call is about: the id of its turn or delivery, or the key it came with."""
    found: list[str] = []
    for arg in args:
        match arg:
            case Turn() | Delivery():
                found.append(arg.id)
            case TurnStream():
                found.append(arg.turn.id)
            case Message():
                found.append(arg.turn_id)
            case ChannelMessage():
                found.append(arg.key)
            case {"key": str(key)}:
                found.append(key)
            case str():
                found.append(arg)
    return [*found, _turn.get()]


def live(order: Order, platform: str) -> None:
    workspace = Workspace(Config.load(None, server={"port": order.port}))
    guide = Assistant("guide", instructions="Answer.", tools=[Bell(platform).as_tool()])
    workspace.assistants.add(guide)
    for courier in (Numbered(platform), Unnumbered(platform)):
        workspace.adapters[courier.name] = courier
    if order.point is not None:
        Reaper(order, order.point).attach(workspace)
    workspace.run(lambda: tell(event="ready", url=workspace.url))


def load() -> None:
    """Imports what a workspace loads by name when it is built."""
    for package in LOADED_BY_NAME:
        for module in walk_packages(import_module(package).__path__, f"{package}."):
            import_module(module.name)


def main() -> None:
    load()
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        child = os.fork()
        if child == 0:
            live(order, sys.argv[1])
            os._exit(0)
        tell(event="born", pid=child)
        tell(event="died", status=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
