"""Plugins by name and capability, and their life; one that hangs or fails stands in nobody's way."""

import asyncio

import pytest

from antiphon.errors import ModuleError, PluginError
from antiphon.plugins import registry as plugins
from antiphon.plugins.base import BasePlugin, PluginMetadata
from antiphon.plugins.registry import PluginRegistry, get_plugin_registry


class Plain(BasePlugin):
    """Notes its life."""

    def __init__(self, name: str, *capabilities: str, priority: int = 0, failing: str = "") -> None:
        super().__init__(PluginMetadata(name=name, version="1.0.0", capabilities=capabilities))
        self.priority = priority  # type: ignore[misc]  # of this one alone
        self.failing = failing
        self.lived: list[str] = []

    async def initialize(self) -> None:
        await super().initialize()
        self.lived.append("started")
        if self.failing == "start":
            raise ValueError("a key that nobody must see")
        if self.failing == "hang":
            await asyncio.Event().wait()

    async def shutdown(self) -> None:
        self.lived.append("stopped")
        await super().shutdown()
        if self.failing == "stop":
            raise SystemExit


async def test_they_are_found_by_what_they_can_do_and_started_in_order() -> None:
    registry = PluginRegistry()
    late, soon = Plain("late", "cooking"), Plain("soon", "Cooking", "baking", priority=5)
    registry.register(late)
    registry.register(soon)
    assert registry.all() == (soon, late)
    assert registry.find_plugins_by_capability("cooking") == [soon, late]
    assert registry.find_plugins_by_capability("baking") == [soon]
    assert registry.find_plugins_by_capability("poetry") == []
    await registry.initialize_all()
    await registry.initialize_all()
    assert late.lived == ["started"]
    await registry.shutdown_all()
    assert [registry.status(each.name)[0] for each in registry.all()] == ["stopped", "stopped"]
    await registry.initialize_all()
    assert late.lived == ["started", "stopped", "started"]


async def test_one_that_fails_or_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "LIMIT_SECONDS", 0.05)
    registry = PluginRegistry()
    for plugin in (Plain("a", failing="start"), Plain("b", failing="hang"), Plain("c", failing="stop"), Plain("d")):
        registry.register(plugin)
    await registry.initialize_all()
    assert {each.name: registry.status(each.name) for each in registry.all()} == {
        "a": ("failed", "It failed to start: ValueError."),
        "b": ("failed", "It failed to start: TimeoutError."),
        "c": ("running", ""),
        "d": ("running", ""),
    }
    await registry.shutdown_all()
    assert registry.status("c") == ("failed", "It failed to stop: SystemExit.")
    assert registry.status("d") == ("stopped", "")


def test_names_are_had_once_and_asked_for_with_the_nearest() -> None:
    registry = PluginRegistry()
    registry.register(Plain("kitchen"))
    with pytest.raises(PluginError, match="a plugin called kitchen already"):
        registry.register(Plain("kitchen"))
    with pytest.raises(ModuleError, match=r"Did you mean kitchen\?"):
        registry.get("kitchn")
    assert registry.get("kitchen").name == "kitchen"
    registry.unregister("kitchen")
    registry.unregister("kitchen")
    with pytest.raises(ModuleError, match="There is: none"):
        registry.get("kitchen")


def test_the_getter_gives_what_a_workspace_adopts() -> None:
    before = get_plugin_registry()
    plugin = Plain("early")
    before.register(plugin)
    try:
        adopted = plugins.adopt()
        assert adopted.get("early") is plugin
        assert get_plugin_registry() is adopted
        plugins.release(adopted)
        assert get_plugin_registry() is adopted
    finally:
        before.unregister("early")
