"""The plugins of one house: taken in, set up, started, and listened to."""

from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from typing import Protocol

from antiphon.assistants.assistant import AnyTool, Assistant
from antiphon.assistants.directory import Directory
from antiphon.assistants.prompts import PromptManager
from antiphon.assistants.tools import OF_ASSISTANTS
from antiphon.commands.base import Commands
from antiphon.domain import Turn, TurnRecord
from antiphon.errors import ConfigError, PluginError
from antiphon.plugins.base import BasePlugin, PluginHouse, PluginMetadata, fields_of
from antiphon.plugins.config import PluginsSettings
from antiphon.plugins.discovery import load_plugins
from antiphon.plugins.hooks import Moment
from antiphon.plugins.listeners import HookListeners
from antiphon.plugins.registry import LIMIT_SECONDS, PluginRegistry, PluginStatus
from antiphon.plugins.running import Stoppable, TurnHooks
from antiphon.providers.registry import ProviderRegistry
from antiphon.runtime.container import ServiceContainer
from antiphon.runtime.lifecycle import HealthCheck, Lifecycle
from antiphon.runtime.registry import Registry
from antiphon.storage.base import TurnReply
from antiphon.telemetry.metrics import Metrics


class PluginState(PluginMetadata, frozen=True, kw_only=True):
    """A plugin of the house as people are told of it."""

    hooks: tuple[str, ...]
    required: tuple[str, ...]
    priority: int
    status: PluginStatus
    detail: str


class Furnished(Protocol):
    """What plugins add to (a workspace)."""

    tools: Registry[AnyTool]
    commands: Commands
    prompts: PromptManager
    providers: ProviderRegistry
    services: ServiceContainer
    assistants: Directory


class Plugins:
    """Those of `registry`, which a program has registered, and those that the settings switch on.

    Raises `ConfigError` for settings that name what does not exist, and `PluginError` for what cannot be loaded.
    """

    def __init__(self, settings: PluginsSettings, registry: PluginRegistry, metrics: Metrics) -> None:
        self._settings = settings
        self._registry = registry
        self._metrics = metrics
        loaded = list(load_plugins(settings))
        self._loaded = [plugin for plugin, _ in loaded]
        self._sections = {plugin.name: section for plugin, section in loaded}
        self._registered: set[str] = set()
        self._tools: dict[str, str] = {}
        self.listeners = HookListeners(metrics=metrics)
        self._enter()

    def furnish(self, house: Furnished, built_in: str, people: Callable[[], object]) -> None:
        """Lets plugins add to the house, once each; of what fails to do so nothing is left there. `people` adds the
        assistant called `built_in` where there is none without it, and may give it the tools of plugins."""
        names = {each.name for each in house.assistants.all()} or {built_in}
        brought: list[Assistant] = []
        for plugin in self._registry.all():
            if plugin.name not in self._registered:
                self._registered.add(plugin.name)
                brought += self._take_in(plugin, house, names | {each.name for each in brought})
        people()
        for assistant in brought:
            house.assistants.add(assistant)

    def join(self, order: Lifecycle) -> None:
        """They start behind what is in `order`, and stop before it; without them the house is still ready for work."""
        health = HealthCheck("plugins", self.check, critical=False)
        limit = LIMIT_SECONDS * (len(self._registry.all()) + 1)  # each has its own, so that none costs the house
        order.add("the plugins", self.start, self.stop, check=health, start_limit=limit, stop_limit=limit)

    async def start(self) -> None:
        """Starts them; from then on they are listened to."""
        self._enter()
        await self._registry.initialize_all()
        running, broken = [], dict[str, str]()
        for plugin in self._registry.all():
            if self._registry.status(plugin.name)[0] == "running":
                running.append(plugin)
            else:
                broken |= dict.fromkeys(plugin.required, plugin.name)
        self.listeners = HookListeners(running, self._settings.hook_seconds, self._metrics, broken=broken)

    async def stop(self) -> None:
        """Lets them hear what is left to tell, then stops them."""
        await self.listeners.finish()
        self.listeners = HookListeners(metrics=self._metrics)
        await self._registry.shutdown_all()

    def close(self) -> None:
        """Takes those of the settings out of the registry, which another workspace may adopt."""
        for plugin in self._loaded:
            self._registry.unregister(plugin.name)

    def check(self) -> str:
        """The health of all. Raises `PluginError` naming those that are out of order."""
        states = self.states()
        failed = [f"{state.name}: {state.detail}" for state in states if state.status == "failed"]
        failed += [f"{hook} is left alone for a moment, because it keeps failing" for hook in self.listeners.resting()]
        if failed:
            raise PluginError(" ".join(failed))
        return f"{len(states)} running"

    def of(self, turn: Turn, stream: Stoppable | None = None) -> TurnHooks:
        """The hooks of one turn, which end when it is stopped."""
        return TurnHooks(self.listeners, turn, stream)

    def told(self, turn: Turn, record: TurnRecord, reply: TurnReply | None) -> None:
        """Tells of a turn whose outcome is stored (`reply_stored`)."""
        self.listeners.tell(Moment(turn=turn, assistant=record.assistant), record, reply.text if reply else "")

    def states(self) -> list[PluginState]:
        """All, in the order in which they are asked."""
        return [self._state(plugin) for plugin in self._registry.all()]

    def _enter(self) -> None:
        there = {plugin.name for plugin in self._registry.all()}
        for plugin in self._loaded:
            if plugin.name not in there:
                self._registry.register(plugin)

    def _take_in(self, plugin: BasePlugin, house: Furnished, assistants: Collection[str]) -> list[Assistant]:
        given = PluginHouse(settings=self._sections.get(plugin.name), services=house.services)
        with ExitStack() as undo:
            undo.callback(house.services.checkpoint())
            try:
                plugin.register(given)
                self._add(given, plugin.name, house, undo)
                _check_names([*assistants], given.assistants)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin is a stranger's code: the house goes on
                self._registry.fail(plugin.name, error, "register")
                return []
            undo.pop_all()
        return given.assistants

    def _add(self, given: PluginHouse, plugin: str, house: Furnished, undo: ExitStack) -> None:
        for tool in given.tools:
            self._check_tool(tool.name, plugin, house)
            house.tools.add(tool.name, tool)
            undo.callback(house.tools.remove, tool.name)
            self._tools[tool.name] = f"the plugin {plugin}"
            undo.callback(self._tools.pop, tool.name)
        for command in given.commands:
            house.commands.add(command)
            undo.callback(house.commands.remove, command.name)
        for name, provider in given.providers.items():
            house.providers.add(name, provider)
            undo.callback(house.providers.remove, name)
        for name, text in given.prompts.items():
            house.prompts.register(name, text)
            undo.callback(house.prompts.withdraw, name)

    def _check_tool(self, name: str, plugin: str, house: Furnished) -> None:
        if name in house.tools or name in {each.name for each in OF_ASSISTANTS}:
            whose = self._tools.get(name, "this house")
            raise PluginError(f"The tool {name} of the plugin {plugin} has the name of one of {whose}; rename it.")

    def _state(self, plugin: BasePlugin) -> PluginState:
        status, detail = self._registry.status(plugin.name)
        return PluginState(
            **fields_of(plugin.metadata),
            hooks=plugin.listens,
            required=tuple(sorted(plugin.required)),
            priority=plugin.priority,
            status=status,
            detail=detail,
        )


def _check_names(taken: list[str], assistants: Iterable[Assistant]) -> None:
    for assistant in assistants:
        if assistant.name in taken:
            raise ConfigError(f"There is an assistant called {assistant.name} already; give this one another name.")
        taken.append(assistant.name)
