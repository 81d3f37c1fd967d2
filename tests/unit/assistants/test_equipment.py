"""Assistants with the tools of a real MCP server."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon import Assistant, Config, ConfigError, ToolContext, Workspace
from antiphon.assistants.directory import Directory
from antiphon.assistants.equipment import Equipment
from antiphon.tools.clock import clock
from antiphon.tools.mcp.config import McpSettings

PROGRAM = str(Path(__file__).parents[2] / "mcp_server.py")
CONTEXT = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="a")


def settings(**others: Any) -> McpSettings:
    return McpSettings.model_validate({"servers": {"things": {"command": sys.executable, "args": [PROGRAM], **others}}})


def names(assistant: Assistant) -> set[str]:
    return {each.name for each in assistant.tools}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(45):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_default_assistant_gets_them_and_keeps_its_own() -> None:
    directory = Directory()
    heard = directory.add(Assistant("guide", tools=[clock])).events
    directory.add(Assistant("other"))
    equipment = Equipment(directory, settings())
    await equipment.start()
    try:
        await until(lambda: "things__add" in names(directory.get("guide")))
        guide = directory.get("guide")
        assert {"clock", "things__add"} < names(guide)
        assert {spec.name for spec in guide.specs} == names(guide)
        assert guide.events is heard
        assert names(directory.get("other")) == set()
        equipment.renew(Assistant("guide", description="renewed"))
        assert "clock" not in names(directory.get("guide"))
        assert "things__add" in names(directory.get("guide"))
        grow = directory.get("guide").tool("things__grow")
        assert grow
        await grow.call("", CONTEXT)
        await until(lambda: "things__newcomer" in names(directory.get("guide")))
        assert directory.get("guide").description == "renewed"
    finally:
        await equipment.stop()


async def test_settings_say_who_gets_them() -> None:
    directory = Directory()
    directory.add(Assistant("guide"))
    directory.add(Assistant("other"))
    equipment = Equipment(directory, settings(assistants=["other"]))
    await equipment.start()
    try:
        await until(lambda: "things__add" in names(directory.get("other")))
        assert names(directory.get("guide")) == set()
    finally:
        await equipment.stop()


async def test_an_assistant_that_does_not_exist_is_told_at_the_start() -> None:
    directory = Directory()
    directory.add(Assistant("guide"))
    with pytest.raises(ConfigError, match="no assistant called 'gide'"):
        await Equipment(directory, settings(assistants=["gide"])).start()


async def test_a_server_that_is_not_there_is_not_critical() -> None:
    gone = McpSettings.model_validate({"servers": {"gone": {"command": "/does/not/exist"}}})
    async with Workspace(Config(environment="testing", mcp=gone)) as workspace:
        health = await workspace.health.acheck_all()
        found = next(each for each in health.checks if each.name == "mcp")
        assert "MCP servers that are not there: gone" in str(found)
        assert not found.critical
        assert names(workspace.assistants.default)
