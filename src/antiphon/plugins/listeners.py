"""Who listens to which hook, and what keeps a turn safe from them: a time, a check, a rest."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, TypeVar

from msgspec import structs

from antiphon.domain import NoticePart, ToolPart, TurnRecord
from antiphon.errors import NotAllowedError
from antiphon.plugins.base import BasePlugin
from antiphon.plugins.hooks import Moment, Said
from antiphon.providers.base import ChatMessage, ModelRequest, ToolCall
from antiphon.runtime.breaker import CircuitBreaker, State
from antiphon.runtime.lines import Line
from antiphon.telemetry.logs import get_logger, stack_of
from antiphon.telemetry.metrics import Metrics, get_metrics

LAST_SECONDS = 5.0
"""How long a stop waits for what plugins still have to be told."""

LONGEST_TEXT = 1_000_000
"""Characters that a hook may make of a text, or of a tool's result."""

V = TypeVar("V")

log = get_logger(__name__)


class HookListeners:
    """The hooks of the plugins that run, in order. `broken` are required hooks of plugins that do not.

    Whoever asks looks first whether anybody `listens`: where nobody does, a hook costs a look into a dictionary.
    """

    def __init__(
        self,
        plugins: Sequence[BasePlugin] = (),
        seconds: float = 5.0,
        metrics: Metrics | None = None,
        *,
        broken: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._broken = dict(broken)
        watch = _Watch(metrics or get_metrics())
        asked: dict[str, list[_Listener]] = {}
        self._lines: list[Line[Moment, TurnRecord, str]] = []
        for plugin in plugins:
            for hook in plugin.listens:
                listener = _Listener(plugin, hook, seconds if plugin.seconds is None else plugin.seconds, watch)
                if hook == "reply_stored":
                    self._lines.append(Line(listener.name, listener.hear))
                else:
                    asked.setdefault(hook, []).append(listener)
        self._asked = {hook: tuple(found) for hook, found in asked.items()}

    def listens(self, *hooks: str) -> bool:
        """Whether one of them has to be asked."""
        return any(hook in self._asked or hook in self._broken for hook in hooks)

    def requires(self, hook: str) -> bool:
        """Whether nothing gets past it."""
        return hook in self._broken or any(listener.required for listener in self._asked.get(hook, ()))

    async def ask(self, hook: str, moment: Moment, value: V) -> V:
        """What the plugins make of `value`, one after the other. Raises `NotAllowedError` for one that refuses, and
        where a required one cannot be asked."""
        if hook in self._broken:
            raise _cannot_be_asked(self._broken[hook])
        for listener in self._asked.get(hook, ()):
            given = await listener.ask(moment, value)
            value = value if given is None else given
        return value

    def tell(self, moment: Moment, record: TurnRecord, reply: str) -> None:
        """Puts the end of a turn into the lines of those who want to know (`reply_stored`), and returns at once."""
        for line in self._lines:
            line.take(moment, record, reply)

    async def finish(self) -> None:
        """Lets them hear what is in their lines, for a moment."""
        await asyncio.gather(*(line.finish(LAST_SECONDS) for line in self._lines))

    def resting(self) -> list[str]:
        """The hooks that are left alone because they keep failing, with their plugins."""
        return [each.name for found in self._asked.values() for each in found if each.resting]


class _Watch:
    """The instruments of all listeners."""

    def __init__(self, metrics: Metrics) -> None:
        self.failures = metrics.counter(
            "antiphon_plugin_failures_total",
            "Hooks that failed, took too long or gave what cannot be used.",
            ("plugin", "hook"),
        )
        self.seconds = metrics.histogram("antiphon_plugin_seconds", "What turns waited for a hook.", ("plugin", "hook"))


class _Listener:
    def __init__(self, plugin: BasePlugin, hook: str, seconds: float, watch: _Watch) -> None:
        self.name = f"{plugin.name}.{hook}"
        self._plugin, self._hook, self._seconds = plugin.name, hook, seconds
        self._call: Callable[..., Any] = getattr(plugin, hook)
        self.required = hook in plugin.required and hook != "reply_stored"
        self._failed = watch.failures.labels(plugin.name, hook)
        self._took = watch.seconds.labels(plugin.name, hook)
        self._deaf: set[asyncio.Task[Any]] = set()
        self._breaker = CircuitBreaker(
            self.name, failures=3, seconds=30.0, counts=lambda _: True, listener=self._changed
        )

    @property
    def resting(self) -> bool:
        return self._breaker.state != "closed"

    async def ask(self, moment: Moment, *values: Any) -> Any:
        """What the plugin gives; None also where it cannot be asked and need not be."""
        refusal: NotAllowedError | None = None
        if self._breaker.wait() is None:
            try:
                async with self._breaker.guard():
                    with self._took.time():
                        try:
                            return self._fit(values[0], await self._within_time(moment, *values))
                        except NotAllowedError as error:
                            refusal = error
            except Exception as error:  # noqa: BLE001 - a plugin is a stranger's code: it fails, the turn goes on
                self._blame(error, moment)
        if refusal is not None:
            raise refusal
        if self.required:
            raise _cannot_be_asked(self._plugin)
        return None

    async def hear(self, moment: Moment, *what: Any) -> None:
        """As `ask`, of what nobody can refuse any more."""
        with suppress(NotAllowedError):
            await self.ask(moment, *what)

    async def _within_time(self, moment: Moment, *values: Any) -> Any:
        """A task of its own, because a hook may be deaf to its cancellation."""
        task = asyncio.create_task(self._guarded(moment, *values), name=f"hook:{self.name}")
        try:
            await asyncio.wait({task}, timeout=self._seconds)
        finally:
            if not task.done():
                task.cancel()
                self._deaf.add(task)
                task.add_done_callback(self._heard)
        if not task.done():
            raise TimeoutError
        if task.cancelled():
            raise RuntimeError("it cancelled itself")  # for whoever asked this is no cancellation of theirs
        return task.result()

    async def _guarded(self, moment: Moment, *values: Any) -> Any:
        try:
            return await self._call(moment, *values)
        except SystemExit as error:
            raise RuntimeError("it wanted to end the process") from error

    def _heard(self, task: asyncio.Task[Any]) -> None:
        self._deaf.discard(task)
        if not task.cancelled():
            task.exception()

    def _fit(self, value: Any, given: Any) -> Any:
        """What was given, without what a hook must not change. Raises `TypeError` or `ValueError`."""
        if given is None:
            return None
        if not isinstance(given, type(value)):
            raise TypeError(f"{type(given).__name__} instead of {type(value).__name__}")
        return _FITTING.get(self._hook, _as_given)(value, given)

    def _blame(self, error: Exception, moment: Moment) -> None:
        self._failed.inc()
        log.error(
            "plugin.hook_failed",
            plugin=self._plugin,
            hook=self._hook,
            turn_id=moment.turn.id,
            error=type(error).__name__,
            stack=stack_of(error),
        )

    def _changed(self, state: State) -> None:
        if state == "open":
            log.warning("plugin.hook_resting", plugin=self._plugin, hook=self._hook)
        else:
            log.info("plugin.hook_tried", plugin=self._plugin, hook=self._hook, state=state)


def _cannot_be_asked(plugin: str) -> NotAllowedError:
    return NotAllowedError(f"This house answers nothing without its plugin {plugin}, which is out of order. Try later.")


# --- what a hook may give ---------------------------------------------------------------------------------------------


def _as_given(_: Any, given: Any) -> Any:
    return given


def _said(_: Said, given: Said) -> Said:
    _text(given.text)
    _all_are(NoticePart, given.notices)
    return given


def _all_are(kind: type, given: Sequence[object]) -> None:
    """A struct holds what it was given, whatever that is."""
    for each in given:
        if not isinstance(each, kind):
            raise TypeError(f"{type(each).__name__} among {kind.__name__}s")


def _text(text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{type(text).__name__} as a text")
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise ValueError(f"a text of {len(text)} characters")
    return text


def _messages(_: tuple[Any, ...], given: tuple[Any, ...]) -> tuple[Any, ...]:
    if not given:
        raise ValueError("no messages at all")
    _all_are(ChatMessage, given)
    for message in given:
        _all_are(str, (message.text,))
    return given


def _request(value: ModelRequest, given: ModelRequest) -> ModelRequest:
    """The model stays: it was chosen, and is paid for, by its name."""
    _messages((), given.messages)
    return structs.replace(given, model=value.model)


def _call(value: ToolCall, given: ToolCall) -> ToolCall:
    _all_are(str, (given.arguments,))
    return structs.replace(value, arguments=given.arguments)


def _result(value: ToolPart, given: ToolPart) -> ToolPart:
    return structs.replace(value, result=_text(given.result or ""))


_FITTING: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "message_arrived": _said,
        "context_built": _messages,
        "before_model": _request,
        "tool_wished": _call,
        "tool_ended": _result,
        "answer_ready": lambda _, given: _text(given),
    }
)
