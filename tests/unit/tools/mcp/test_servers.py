"""Real programs that speak MCP, and what becomes of them."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest

from antiphon import ServiceError, ToolContext
from antiphon.tools.base import Tool
from antiphon.tools.mcp.config import McpServerSettings, McpSettings
from antiphon.tools.mcp.connection import tool_name
from antiphon.tools.mcp.servers import McpServers

PROGRAM = str(Path(__file__).parents[3] / "mcp_server.py")
FLOOD = str(Path(__file__).parents[3] / "mcp_flood.py")


@asynccontextmanager
async def servers(changed: Callable[[], None] = lambda: None, **settings: Any) -> AsyncIterator[McpServers]:
    found = McpServers(McpSettings(servers=settings), changed)
    await found.start()
    try:
        yield found
    finally:
        await found.stop()


def things(*args: str, **others: Any) -> dict[str, Any]:
    return {"command": sys.executable, "args": [PROGRAM, *args], **others}


async def until(condition: Callable[[], object], seconds: float = 45) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def tool(found: McpServers, name: str) -> Tool[..., Any]:
    """Waits until it is there: a busy machine takes long to begin a server."""

    def there() -> list[Tool[..., Any]]:
        return [each for tools in found.tools().values() for each in tools if each.name == name]

    await until(there)
    return there()[0]


async def test_its_tools_are_ours(context: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of the house")
    async with servers(things=things(env={"TOKEN": "of the server"})) as found:
        add = await tool(found, "things__add")
        assert add.description == "Adds two numbers."
        assert add.parameters["properties"]["a"]["type"] == "integer"
        result = await add.call('{"a": 2, "b": 3}', context)
        assert (result.text, result.failed) == ("5", False)
        process, *variables = (await (await tool(found, "things__who_are_you")).call("", context)).text.split()
        assert set(variables) <= {"HOME", "LC_CTYPE", "PATH", "TOKEN"}
        assert "1 MCP servers" in await found.check()
    await until(lambda: not psutil.pid_exists(int(process)))


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("things__fail", "", "Error executing tool fail"),
        ("things__add", '{"a": "x"}', "a"),
        ("things__add", "[]", "no JSON object. Expected a JSON object of this schema"),
    ],
)
async def test_what_goes_wrong_is_told(context: ToolContext, name: str, arguments: str, said: str) -> None:
    async with servers(things=things()) as found:
        result = await (await tool(found, name)).call(arguments, context)
    assert result.failed
    assert said in result.text


async def test_a_call_has_an_end(context: ToolContext) -> None:
    async with servers(things=things(timeout=0.3)) as found:
        result = await (await tool(found, "things__sleep")).call("", context)
        assert "longer than its limit of 0.3 s" in result.text
        assert (await (await tool(found, "things__add")).call('{"a": 1, "b": 1}', context)).text == "2"


async def test_a_server_that_dies_is_begun_again(context: ToolContext) -> None:
    async with servers(things=things()) as found:
        first = (await (await tool(found, "things__who_are_you")).call("", context)).text.split()[0]
        died = await (await tool(found, "things__die")).call("", context)
        assert "The MCP server things could not do it" in died.text
        await until(lambda: not _up(found))
        with pytest.raises(ServiceError, match="not there: things"):
            await found.check()
        assert "not there now" in (await (await tool(found, "things__add")).call("{}", context)).text
        await until(lambda: _up(found))
        assert (await (await tool(found, "things__who_are_you")).call("", context)).text.split()[0] != first


def _up(found: McpServers) -> bool:
    return all(each.up for each in found._connections.values())


async def test_a_list_that_changes_is_read_again(context: ToolContext) -> None:
    changes: list[int] = []
    async with servers(lambda: changes.append(1), things=things()) as found:
        await (await tool(found, "things__grow")).call("", context)
        await until(lambda: len(changes) == 2)
        assert (await (await tool(found, "things__newcomer")).call("", context)).text == "new"


async def test_a_list_that_changes_all_the_time_is_read_now_and_then() -> None:
    changes: list[float] = []
    flood = {"command": sys.executable, "args": [FLOOD]}
    async with servers(lambda: changes.append(time.monotonic()), flood=flood) as found:
        await until(lambda: len(changes) == 3)
        assert changes[2] - changes[1] > 0.9
        ((first, call),) = found.tools().values()
        assert (first.name[:12], call.name) == ("flood__read_", "flood__call"), (
            "a schema of a megabyte goes to no model"
        )


@pytest.mark.parametrize(
    ("way", "how", "said"),
    [
        ("pipes", "endless", "could not do it"),
        ("pipes", "pings", "could not do it"),
        ("http", "endless", "longer than 8,388,608 bytes"),
        ("http", "packed", "compressed"),
        ("http", "events", "exceeded the 8388608 byte limit"),
    ],
)
async def test_no_answer_takes_the_memory(context: ToolContext, port: int, way: str, how: str, said: str) -> None:
    """What is sent is 256 MiB; what it costs, however it is read and decoded, stays far below that."""
    with listening(FLOOD, port) if way == "http" else nullcontext():
        where = {"url": f"http://127.0.0.1:{port}/"} if way == "http" else {"command": sys.executable, "args": [FLOOD]}
        async with servers(flood=where) as found:
            call = await tool(found, "flood__call")
            tracemalloc.start()
            try:
                result = await call.call(json.dumps({"how": how}), context)
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert result.failed
    assert said in result.text
    assert most < 40 * 1024 * 1024


async def test_who_hangs_or_is_not_there_holds_up_nobody(context: ToolContext) -> None:
    begun = time.monotonic()
    async with servers(
        things=things(),
        hung=things("hang", start_seconds=3),
        missing={"command": "/does/not/exist", "start_seconds": 3},
        deaf={"url": "http://127.0.0.1:9/mcp", "start_seconds": 3},
    ) as found:
        assert time.monotonic() - begun < 20
        assert (await (await tool(found, "things__add")).call('{"a": 1, "b": 1}', context)).text == "2"
        with pytest.raises(ServiceError, match="not there: hung, missing, deaf"):
            await found.check()


async def test_nobody_waits_for_one_that_cannot_be_begun() -> None:
    missing, deaf = {"command": "/does/not/exist"}, {"url": "http://127.0.0.1:9/mcp"}
    settings = McpSettings.model_validate({"servers": {"missing": missing, "deaf": deaf}})
    found = McpServers(settings, lambda: None, patience=3600)
    async with asyncio.timeout(45):
        await found.start()
    await found.stop()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
    return found


@contextmanager
def listening(program: str, port: int) -> Iterator[None]:
    nowhere = subprocess.DEVNULL
    with subprocess.Popen([sys.executable, program, "http", str(port)], stdout=nowhere, stderr=nowhere) as process:
        yield
        process.kill()


async def test_a_server_is_reached_by_http(port: int, context: ToolContext) -> None:
    address = {"url": f"http://127.0.0.1:{port}/mcp", "headers": {"Authorization": "Bearer x"}}
    with listening(PROGRAM, port):
        async with servers(things=address) as found:
            await until(lambda: _up(found))
            assert (await (await tool(found, "things__add")).call('{"a": 2, "b": 3}', context)).text == "5"


async def test_without_servers_nothing_is_loaded() -> None:
    async with servers() as found:
        assert found.tools() == {}
        assert await found.check() == "0 MCP servers"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "either command or url"),
        ({"command": "x", "url": "http://x"}, "either command or url"),
        ({"url": "http://x", "env": {"A": "b"}}, "args and env belong to command"),
        ({"command": "x", "headers": {"A": "b"}}, "headers to url"),
        ({"url": "ftp://x"}, "must be an address"),
    ],
)
def test_a_server_is_a_program_or_an_address(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        McpServerSettings(**settings)


def test_names_are_those_that_models_accept() -> None:
    assert tool_name("a", "b.c/d é") == "a__b_c_d__"
    names = {tool_name("server", "x" * 100 + end) for end in "ab"}
    assert len(names) == 2
    assert {len(name) for name in names} == {64}
    assert os.sep not in "".join(names)
