"""The connection to one MCP server, kept up for as long as the house runs.

One task has it, from its beginning to its end, because the protocol's library ties both to a task. It begins again,
with growing pauses, when the server ends, hangs at its start, or no longer answers. The list of tools is read again
when the server says that it changed, when a call has failed, and every `_REFRESH_SECONDS`: that is also how a silent
death is noticed.
"""

import logging
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib import import_module
from types import ModuleType
from typing import Any, TypeAlias

import anyio
import msgspec
from pydantic import SecretStr

from antiphon.errors import ToolError
from antiphon.runtime.threads import run_async
from antiphon.telemetry.logs import get_logger
from antiphon.tools.base import OUTPUT_LIMIT, Tool, given_tool
from antiphon.tools.mcp.config import McpServerSettings

_FIRST_PAUSE, _LAST_PAUSE = 0.5, 60.0
_REFRESH_SECONDS = 30.0
_ANSWER_SECONDS = 15.0
_LEAST_PAUSE = 1.0  # between two readings of the list, however often a server says that it changed
_MOST_TOOLS = 128
_SCHEMA_LIMIT = 32 * 1024  # bytes: each request to a model carries the schemas of all its tools
_MOST_PAGES = 20
_NAME_LIMIT = 64

_Offer: TypeAlias = tuple[str, str, dict[str, Any]]
"""A tool's name there, its description and its schema."""

log = get_logger(__name__)


class McpConnection:
    """`changed` is called when there are other tools than before."""

    def __init__(self, name: str, settings: McpServerSettings, changed: Callable[[], None]) -> None:
        self.name = name
        self.settings = settings
        self.tools: tuple[Tool[..., Any], ...] = ()
        self.begun = anyio.Event()  # or its first try has failed
        self._mcp: Any = None
        self._ways: Any = None
        self._changed = changed
        self._ended = anyio.Event()
        self._wake = anyio.Event()
        self._client: Any = None
        self._since = 0.0
        self._known: dict[str, _Offer] = {}

    @property
    def up(self) -> bool:
        return self._client is not None

    def end(self) -> None:
        """Asks `run` to end."""
        self._ended.set()
        self._wake.set()

    async def run(self) -> None:
        """Keeps the connection up until `end`."""
        self._mcp, self._ways = await run_async(_libraries)
        pause = _FIRST_PAUSE
        while not self._ended.is_set():
            try:
                await self._serve()
            except Exception as error:  # noqa: BLE001 - a stranger's program: it fails, and is begun again
                log.warning("mcp.lost", server=self.name, error=type(error).__name__)
                self.begun.set()
            held = self.up and anyio.current_time() - self._since > _LAST_PAUSE
            pause, self._client = _FIRST_PAUSE if held else min(pause * 2, _LAST_PAUSE), None
            with anyio.move_on_after(pause):
                await self._ended.wait()

    async def _serve(self) -> None:
        with anyio.fail_after(self.settings.start_seconds) as start:
            async with self._mcp.Client(
                self._transport(), mode="legacy", message_handler=self._hear, cache=None
            ) as client:
                await self._list(client)
                start.deadline = float("inf")
                self._client, self._since = client, anyio.current_time()
                self.begun.set()
                log.info("mcp.connected", server=self.name, tools=len(self.tools))
                while not self._ended.is_set():
                    with anyio.move_on_after(_REFRESH_SECONDS):
                        await self._wake.wait()
                    if not self._ended.is_set():
                        self._wake = anyio.Event()
                        with anyio.fail_after(_ANSWER_SECONDS):
                            await self._list(client)
                        with anyio.move_on_after(_LEAST_PAUSE):
                            await self._ended.wait()

    def _transport(self) -> Any:
        settings = self.settings
        if settings.url is not None:
            return self._ways.over_http(settings.url, _plain(settings.headers), settings.timeout)
        return self._ways.over_pipes([str(settings.command), *settings.args], _plain(settings.env))

    async def _hear(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._wake.set()

    async def _list(self, client: Any) -> None:
        """Past the library's own way, which keeps what a server has ever said of its tools."""
        types, found, cursor = self._mcp.types, dict[str, _Offer](), None
        for _ in range(_MOST_PAGES):
            asked = types.ListToolsRequest(params=types.PaginatedRequestParams(cursor=cursor))
            page = await client.session.send_request(asked, types.ListToolsResult)
            for each in page.tools:
                self._consider(each, found)
            cursor = page.next_cursor
            if cursor is None or len(found) == _MOST_TOOLS:
                break
        if found != self._known:
            self._known = found
            self.tools = tuple(self._made(name, *offer) for name, offer in found.items())
            self._changed()

    def _consider(self, tool: Any, found: dict[str, _Offer]) -> None:
        name = tool_name(self.name, tool.name)
        size = len(msgspec.json.encode((tool.name, tool.input_schema)))
        if tool.input_schema.get("type") != "object" or size > _SCHEMA_LIMIT or name in found:
            log.warning("mcp.tool_left_out", server=self.name, tool=name)
        elif len(found) < _MOST_TOOLS:
            found[name] = tool.name, (tool.description or tool.title or tool.name)[:4_000], tool.input_schema

    def _made(self, name: str, theirs: str, description: str, schema: dict[str, Any]) -> Tool[..., Any]:
        return given_tool(
            self._caller(theirs),
            name=name,
            description=description,
            schema=schema,
            timeout=self.settings.timeout,
            output_limit=OUTPUT_LIMIT,
        )

    def _caller(self, name: str) -> Callable[..., Any]:
        async def call(**arguments: Any) -> str:
            return await self._call(name, arguments)

        return call

    async def _call(self, name: str, arguments: dict[str, Any]) -> str:
        if self._client is None:
            raise ToolError(f"The MCP server {self.name} is not there now; try again later.")
        try:
            parameters = self._mcp.types.CallToolRequestParams(name=name, arguments=arguments)
            asked = self._mcp.types.CallToolRequest(params=parameters)
            result = await self._client.session.send_request(asked, self._mcp.types.CallToolResult)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's program makes the library raise
            self._wake.set()
            said = error.message if isinstance(error, self._mcp.MCPError) else type(error).__name__
            raise ToolError(f"The MCP server {self.name} could not do it: {said}") from None
        text = result_text(result)
        if result.is_error:
            raise ToolError(text or f"The MCP server {self.name} says only that it failed.")
        return text


def _libraries() -> tuple[ModuleType, ModuleType]:
    """`mcp` and what we have of it: a second of processor time, hence only where a server is configured."""
    ways = import_module("antiphon.tools.mcp.transports")
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it quotes what servers say
    return import_module("mcp"), ways


def _plain(secrets: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in secrets.items()}


def tool_name(server: str, name: str) -> str:
    """`server__tool` in the letters that every model's vendor accepts; what is too long is told apart by a digest."""
    whole = f"{server}__{re.sub(r'[^A-Za-z0-9_-]', '_', name)}"
    if len(whole) <= _NAME_LIMIT:
        return whole
    return f"{whole[: _NAME_LIMIT - 9]}_{sha256(name.encode()).hexdigest()[:8]}"


def result_text(result: Any) -> str:
    """What a model can read of a result; anything else is named."""
    if not result.content and result.structured_content is not None:
        return str(result.model_dump_json(include={"structured_content"}))
    return "\n".join(_block_text(block) for block in result.content)


def _block_text(block: Any) -> str:
    text = getattr(block, "text", None) or getattr(getattr(block, "resource", None), "text", None)
    if text is not None:
        return str(text)
    return f"[{block.type}: {getattr(block, 'uri', None) or getattr(block, 'mime_type', None) or 'no text'}]"
