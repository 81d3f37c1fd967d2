"""All MCP servers of a house."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from antiphon.errors import ModuleError, ServiceError
from antiphon.tools.base import Tool
from antiphon.tools.mcp.config import McpSettings
from antiphon.tools.mcp.connection import McpConnection

_END_SECONDS = 8.0  # what the library takes at most to end a program that does not want to


class McpServers:
    """Keeps connections to the configured servers. `changed` is called when one has other tools than before.

    A server that is not there holds up a start for as long as it takes to find that out, one that hangs for `patience`
    seconds; its tools come when it does.
    """

    def __init__(self, settings: McpSettings, changed: Callable[[], None], *, patience: float = 5.0) -> None:
        self._settings = settings
        self._patience = patience
        self._changed = changed
        self._connections: dict[str, McpConnection] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def tools(self) -> Mapping[str, tuple[Tool[..., Any], ...]]:
        """What each server that was reached offers."""
        return {name: each.tools for name, each in self._connections.items()}

    async def start(self) -> None:
        """Returns when all have begun, or have had their time. Raises `ModuleError` when the extra is missing."""
        if not self._settings.servers:
            return
        if missing := [name for name in ("mcp", "httpx2") if find_spec(name) is None]:
            raise ModuleError(f"mcp.servers needs the package {missing[0]!r}; install antiphon[mcp].")
        for name, settings in self._settings.servers.items():
            connection = self._connections[name] = McpConnection(name, settings, self._changed)
            self._tasks.append(asyncio.create_task(connection.run(), name=f"mcp:{name}"))
        await asyncio.wait([asyncio.create_task(self._began(each)) for each in self._connections.values()])

    async def stop(self) -> None:
        for connection in self._connections.values():
            connection.end()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=_END_SECONDS)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        self._tasks.clear()
        self._connections.clear()

    async def _began(self, connection: McpConnection) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await connection.begun.wait()

    async def check(self) -> str:
        """Says how many there are. Raises `ServiceError` naming those that are not."""
        gone = [name for name, each in self._connections.items() if not each.up]
        if gone:
            raise ServiceError(f"MCP servers that are not there: {', '.join(gone)}.")
        return f"{len(self._connections)} MCP servers"
