"""Plugins by name and by what they can do, and their life: one that fails stands in nobody's way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from antiphon.errors import AntiphonError, ModuleError, PluginError
from antiphon.plugins.base import BasePlugin
from antiphon.runtime.current import Current
from antiphon.runtime.spelling import did_you_mean
from antiphon.telemetry.logs import get_logger

LIMIT_SECONDS = 10.0
"""How long one may take to start, and to stop."""

PluginStatus = Literal["registered", "running", "failed", "stopped"]

log = get_logger(__name__)


class PluginRegistry:
    """The plugins of a process. Those that a program registers are there before a workspace adds those of its settings.

    registry = get_plugin_registry()
    registry.register(MyPlugin())
    await registry.initialize_all()
    """

    def __init__(self) -> None:
        self._plugins: dict[str, BasePlugin] = {}
        self._failures: dict[str, str] = {}
        self._status: dict[str, PluginStatus] = {}

    def register(self, plugin: BasePlugin) -> None:
        """Raises `PluginError` when the name is taken."""
        name = plugin.metadata.name
        if name in self._plugins:
            raise PluginError(f"There is a plugin called {name} already; give this one another name.")
        self._plugins[name] = plugin
        self._status[name] = "registered"

    def unregister(self, name: str) -> None:
        """Forgets a plugin; whoever started it stops it. Does nothing for a name that is not known."""
        for known in (self._plugins, self._failures, self._status):
            known.pop(name, None)

    def get(self, name: str) -> BasePlugin:
        """Raises `ModuleError` with the nearest name."""
        if name not in self._plugins:
            hint = did_you_mean(name, self._plugins, f"There is: {', '.join(self._plugins) or 'none'}.")
            raise ModuleError(f"There is no plugin called {name!r}.{hint}")
        return self._plugins[name]

    def all(self) -> tuple[BasePlugin, ...]:
        """In the order in which they are asked and started: the greatest priority first, then by name."""
        return tuple(sorted(self._plugins.values(), key=lambda each: (-each.priority, each.metadata.name)))

    def find_plugins_by_capability(self, capability: str) -> list[BasePlugin]:
        """Those that say they can do it, in their order."""
        wanted = capability.casefold()
        return [each for each in self.all() if wanted in {known.casefold() for known in each.metadata.capabilities}]

    def status(self, name: str) -> tuple[PluginStatus, str]:
        """How a plugin is, and why it failed if it did."""
        return self._status[name], self._failures.get(name, "")

    def fail(self, name: str, error: BaseException, doing: str) -> None:
        """Notes that a plugin is out of order."""
        self._status[name] = "failed"
        why = str(error) if isinstance(error, AntiphonError) else type(error).__name__
        self._failures[name] = f"It failed to {doing}: {why.rstrip('.')}."
        log.error("plugin.failed", plugin=name, doing=doing, error=type(error).__name__, exc_info=error)

    async def initialize_all(self) -> None:
        """Starts every plugin that does not run and has not failed to register, each within its time. One that fails
        is `failed`, and the others start all the same."""
        for plugin in self.all():
            if self._status[plugin.metadata.name] in {"registered", "stopped"}:
                await self._turn(plugin, plugin.start, "start", "running")

    async def shutdown_all(self) -> None:
        """Stops those that run, the last first."""
        for plugin in reversed(self.all()):
            if self._status[plugin.metadata.name] == "running":
                await self._turn(plugin, plugin.stop, "stop", "stopped")

    async def _turn(
        self, plugin: BasePlugin, step: Callable[[], Awaitable[None]], doing: str, then: PluginStatus
    ) -> None:
        name = plugin.metadata.name
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await step()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin is a stranger's code: it fails, the house goes on
            self.fail(name, error, doing)
        else:
            self._status[name] = then
            log.info("plugin.changed", plugin=name, version=plugin.metadata.version, status=then)


_current = Current(PluginRegistry)


def get_plugin_registry() -> PluginRegistry:
    """The running workspace's plugins; where none runs, a process default which the first one to start adopts."""
    return _current.get()


def adopt() -> PluginRegistry:
    """The plugins a starting workspace is to use."""
    return _current.adopt()


def release(registry: PluginRegistry) -> None:
    """Called by the workspace that stopped."""
    _current.release(registry)
