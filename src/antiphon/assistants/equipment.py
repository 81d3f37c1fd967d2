"""Assistants with the tools of MCP servers, which come, change and go while the house runs."""

from collections.abc import Collection, Iterable

from antiphon.assistants.approvals import unknown_demands
from antiphon.assistants.assistant import AnyTool, Assistant
from antiphon.assistants.directory import Directory
from antiphon.assistants.tools import OF_ASSISTANTS
from antiphon.errors import ConfigError
from antiphon.telemetry.logs import get_logger
from antiphon.tools.mcp.config import McpSettings
from antiphon.tools.mcp.connection import tool_name
from antiphon.tools.mcp.servers import McpServers

log = get_logger(__name__)


class Equipment:
    """Gives each server's tools to the assistants its settings name, or to the default one, as often as they change.

    A turn goes on with the tools with which it began. `demands` are the tools whose calls the settings say something
    about: one that nobody has is a mistake.
    """

    def __init__(self, directory: Directory, settings: McpSettings, demands: Collection[str] = ()) -> None:
        self._directory = directory
        self._settings = settings
        self._demands = demands
        self._servers = McpServers(settings, self._equip)
        self._plain: dict[str, Assistant] = {}
        self.check = self._servers.check
        self.stop = self._servers.stop

    async def start(self) -> None:
        """Raises `ConfigError` when a server's tools are for an assistant that does not exist."""
        for each in self._settings.servers.values():
            for name in each.assistants:
                self._directory.get(name)
        await self._servers.start()

    def check_demands(self, others: Iterable[str]) -> None:
        """Raises `ConfigError` for a demand on what is no tool of an assistant and none of `others`. What may still
        come with a server is told in the log when its tools are there."""
        known = {*self._directory.tool_names(), *others, *(each.name for each in OF_ASSISTANTS)}
        servers = [tool_name(name, "") for name in self._settings.servers]
        if problems := [*unknown_demands(self._demands, known, not_here_yet=servers)]:
            raise ConfigError(" ".join(problems))

    def renew(self, assistant: Assistant) -> None:
        """Puts `assistant`, as it is without such tools, in the place of the one of its name."""
        self._plain[assistant.name] = assistant
        self._directory.replace(assistant)
        self._equip()

    def _equip(self) -> None:
        more: dict[str, list[AnyTool]] = {}
        for server, tools in self._servers.tools().items():
            self._check_demands_of(server, {each.name for each in tools})
            for name in self._settings.servers[server].assistants or (self._directory.default.name,):
                more.setdefault(name, []).extend(tools)
        for name, each in more.items():
            plain = self._plain.setdefault(name, self._directory.get(name))
            self._directory.replace(plain.with_tools(each))

    def _check_demands_of(self, server: str, tools: set[str]) -> None:
        theirs = [name for name in self._demands if tools and name.startswith(tool_name(server, ""))]
        for problem in unknown_demands(theirs, tools):
            log.warning("approval.unknown_tool", server=server, problem=problem)
