"""Our assistants and tools as an MCP server, asked by the official client."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from mcp import Client

from antiphon import Assistant, ToolError, Workspace, tool
from antiphon.tools.clock import clock
from tests.serving import LONGEST, serving


@tool
def refuse() -> str:
    """Refuses."""
    raise ToolError("There is no such article.")


@tool
def hidden() -> str:
    """Nobody outside may call it."""
    return "hidden"


class Waits:
    """What becomes of a call that never ends by itself."""

    def __init__(self) -> None:
        self.begun, self.stopped = asyncio.Event(), asyncio.Event()


WAITS = Waits()


@tool
async def wait() -> None:
    """Wait."""
    WAITS.begun.set()
    try:
        await asyncio.Event().wait()
    finally:
        WAITS.stopped.set()


ASSISTANT = Assistant("guide", description="Knows things.", tools=[clock, refuse, hidden, wait])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Workspace]:
    mcp = {"serve": True, "serve_tools": ["clock", "refuse", "wait", "missing"]}
    async with serving(tmp_path, added=(ASSISTANT, Assistant("other")), mcp=mcp) as workspace:
        yield workspace


def said(result: Any) -> tuple[str, bool]:
    return "".join(block.text for block in result.content), result.is_error


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_assistants_are_asked_and_tools_are_called(house: Workspace, mode: str) -> None:
    async with Client(f"{house.url}/mcp", mode=mode) as client:
        offered = {each.name: each for each in (await client.list_tools()).tools}
        assert set(offered) == {"ask_guide", "ask_other", "clock", "refuse", "wait"}
        assert offered["ask_guide"].description == "Asks the assistant guide. Knows things."
        assert "timezone" in offered["clock"].input_schema["properties"]
        assert said(await client.call_tool("ask_guide", {"question": "!echo hello there"})) == ("hello there", False)
        text, failed = said(await client.call_tool("clock", {"timezone": "Europe/Berlin"}))
        assert ("Europe/Berlin" in text, failed) == (True, False)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("refuse", {}, "There is no such article."),
        ("clock", {"zone": 1}, "not acceptable"),
        ("hidden", {}, "There is no tool called hidden"),
        ("ask_nobody", {"question": "x"}, "no assistant called 'nobody'"),
        ("ask_guide", {}, "question"),
        ("ask_guide", {"question": " "}, "question must be a text"),
        ("ask_guide", {"question": "!429 10"}, ""),
    ],
)
async def test_what_cannot_be_done_is_told(
    house: Workspace, name: str, arguments: dict[str, Any], sentence: str
) -> None:
    async with Client(f"{house.url}/mcp", mode="legacy") as client:
        text, failed = said(await client.call_tool(name, arguments))
    assert failed
    assert text
    assert sentence in text


async def test_answers_do_not_mix(house: Workspace) -> None:
    async def ask(number: int) -> str:
        async with Client(f"{house.url}/mcp") as client:
            return said(await client.call_tool("ask_other", {"question": f"!echo number {number}"}))[0]

    assert await asyncio.gather(*map(ask, range(8))) == [f"number {number}" for number in range(8)]


async def test_who_goes_away_stops_what_was_done_for_them(house: Workspace) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "wait", "arguments": {}}}
    headers = {"Accept": "application/json, text/event-stream"}
    async with aiohttp.ClientSession(headers=headers) as client:
        asking = asyncio.create_task(client.post(f"{house.url}/mcp", json=asked))
        await WAITS.begun.wait()
        asking.cancel()
        async with asyncio.timeout(LONGEST):
            await WAITS.stopped.wait()


async def test_other_sites_other_names_and_other_methods_are_turned_away(house: Workspace) -> None:
    url = f"{house.url}/mcp"
    async with aiohttp.ClientSession() as client:
        for method, path, headers, status in (
            ("POST", url, {"Host": "evil.example"}, 403),
            ("POST", url, {"Origin": "https://evil.example"}, 403),
            ("GET", url, {}, 405),
            ("DELETE", url, {}, 405),
            ("POST", f"{url}x", {}, 404),
        ):
            async with client.request(method, path, headers=headers, json={}) as response:
                assert (method, response.status) == (method, status)
        async with client.post(url, data=BytesIO(b"x" * (house.config.server.max_body_bytes + 1))) as response:
            assert response.status == 413


async def test_it_is_served_only_where_it_is_asked_for(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as workspace,
        aiohttp.ClientSession() as client,
        client.post(f"{workspace.url}/mcp", json={}) as response,
    ):
        assert response.status == 404
