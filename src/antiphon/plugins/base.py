"""The contract of a plugin: what it says of itself, what it adds to a house, how it lives.

Every file of this folder with a plugin holds one class of it; its name in the settings is the file's name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from msgspec import Struct, field
from pydantic import BaseModel

from antiphon.assistants.assistant import AnyTool, Assistant
from antiphon.commands.base import Command
from antiphon.errors import PluginError
from antiphon.plugins.hooks import HOOKS, Hooks
from antiphon.providers.base import Provider
from antiphon.runtime.base import BaseService
from antiphon.runtime.container import ServiceContainer
from antiphon.tools.base import Tool, tool


class PluginMetadata(Struct, frozen=True, kw_only=True):
    """What a plugin says of itself. `capabilities` are words by which programs find it."""

    name: str
    version: str
    author: str = ""
    description: str = ""
    capabilities: Sequence[str] = ()


def fields_of(metadata: PluginMetadata) -> dict[str, Any]:
    """Those above, whatever else a plugin's own kind of metadata has."""
    return {field: getattr(metadata, field) for field in PluginMetadata.__struct_fields__}


class PluginHouse(Struct, frozen=True, kw_only=True):
    """What a plugin is given when it registers: its own section of the `settings`, the `services` of the house, and the
    ways to add to it. What it adds is there when it has registered without an error, and not before."""

    settings: Any = None
    services: ServiceContainer = field(default_factory=ServiceContainer)
    tools: list[AnyTool] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    assistants: list[Assistant] = field(default_factory=list)
    providers: dict[str, Provider] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)

    def add_tool(self, function: AnyTool | Callable[..., Any]) -> None:
        """For the built-in assistant, and for those that are given it by name."""
        self.tools.append(function if isinstance(function, Tool) else tool(function))

    def add_command(self, command: Command) -> None:
        """What people may type after a slash."""
        self.commands.append(command)

    def add_assistant(self, assistant: Assistant) -> None:
        """It stands behind those of the program, so it is the default one only where it is the only one."""
        self.assistants.append(assistant)

    def add_provider(self, name: str, provider: Provider) -> None:
        """Models that are asked as `name:model`."""
        self.providers[name] = provider

    def add_prompt(self, name: str, text: str) -> None:
        """A template of a prompt, or a newer version of it."""
        self.prompts[name] = text


class BasePlugin(BaseService, Hooks):
    """A plugin. Override what it needs: `register` to add to the house, `initialize` and `shutdown` (calling them on
    `super()`) for what it opens, and the hooks it listens to.

    Plugins are asked in the order of their `priority`, the greatest first, then by name. A hook has `seconds` for each
    call, those of the settings when None; one that takes longer or fails is left out, and the turn goes on. Without
    those that are `required`, by their names, it is refused instead. `section` is the form of its settings.
    """

    metadata: PluginMetadata
    priority: ClassVar[int] = 0
    seconds: float | None = None
    required: ClassVar[frozenset[str]] = frozenset()
    section: ClassVar[type[BaseModel] | None] = None

    def __init__(self, metadata: PluginMetadata | None = None) -> None:
        found = metadata or getattr(type(self), "metadata", None)
        if found is None:
            raise PluginError(f"{type(self).__name__} has no metadata; give it PluginMetadata(name=…, version=…).")
        super().__init__(found.name)
        self.metadata = found

    @property
    def listens(self) -> tuple[str, ...]:
        """The hooks that it overrides, in the order of the flow."""
        return tuple(name for name in HOOKS if getattr(type(self), name) is not getattr(Hooks, name))

    def register(self, house: PluginHouse) -> None:
        """Adds to the house, once, before anything starts. One that raises here is left out of the house."""

    def configured(self, values: Mapping[str, Any]) -> Any:
        """Its section of the settings in its own form. Raises pydantic's `ValidationError`."""
        return self.section.model_validate(values) if self.section is not None else values
