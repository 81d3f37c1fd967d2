"""Assistants with the tools of MCP servers, which come, change and go while the house runs."""

from antiphon.assistants.assistant import AnyTool, Assistant
from antiphon.assistants.directory import Directory
from antiphon.tools.mcp.config import McpSettings
from antiphon.tools.mcp.servers import McpServers


class Equipment:
    """Gives each server's tools to the assistants its settings name, or to the default one, as often as they change.

    A turn goes on with the tools with which it began.
    """

    def __init__(self, directory: Directory, settings: McpSettings) -> None:
        self._directory = directory
        self._settings = settings
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

    def renew(self, assistant: Assistant) -> None:
        """Puts `assistant`, as it is without such tools, in the place of the one of its name."""
        self._plain[assistant.name] = assistant
        self._directory.replace(assistant)
        self._equip()

    def _equip(self) -> None:
        more: dict[str, list[AnyTool]] = {}
        for server, tools in self._servers.tools().items():
            for name in self._settings.servers[server].assistants or (self._directory.default.name,):
                more.setdefault(name, []).extend(tools)
        for name, each in more.items():
            plain = self._plain.setdefault(name, self._directory.get(name))
            self._directory.replace(plain.with_tools(each))
