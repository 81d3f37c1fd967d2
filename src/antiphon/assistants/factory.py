"""Assistants made from configuration, by the house or by a program's own factory."""

from importlib import import_module
from typing import Any

from antiphon.assistants.assistant import AnyTool, Assistant
from antiphon.assistants.config import AssistantSection, AssistantSettings
from antiphon.assistants.tools import OF_ASSISTANTS
from antiphon.errors import ConfigError
from antiphon.runtime.registry import Registry
from antiphon.tools.base import Tool, tool, tool_registry

GROUP = "antiphon.factories"
"""Entry points of this group add factories: `name = "package.module:Factory"`."""


class AssistantFactory:
    """Makes the assistants that a configuration names. A program's own one overrides `create_assistant`."""

    def create_assistant(self, config: Any) -> Assistant:
        """The assistant that `config` describes: the `AssistantSection` of its name. Raises `ConfigError`."""
        if config.options:
            raise ConfigError(f"assistants.named.{config.name}: options are for a factory of its own; name one.")
        options = {"temperature": config.temperature, "max_tokens": config.max_tokens, "max_steps": config.max_steps}
        return Assistant(
            config.name,
            instructions=config.instructions,
            model=config.model,
            tools=[self.find_tool(name) for name in config.tools],
            description=config.description,
            strategy=config.strategy,
            hands_over_to=config.hands_over_to,
            **{name: value for name, value in options.items() if value is not None},
        )

    def find_tool(self, name: str) -> AnyTool:
        """One of the house or of an installed package by its name, or a function as `module:name`."""
        own = {each.name: each for each in OF_ASSISTANTS}
        if name in own:
            return own[name]
        if ":" not in name:
            return tool_registry().get(name)
        found = imported(name, "tool")
        return found if isinstance(found, Tool) else tool(found)


def configured(settings: AssistantSettings) -> list[Assistant]:
    """The assistants that the configuration names, in its order. Raises `ConfigError` naming the one that is wrong."""
    return [_made(section.model_copy(update={"name": name})) for name, section in settings.named.items()]


def _made(section: AssistantSection) -> Assistant:
    factory = AssistantFactory if section.factory is None else _factory(section.factory)
    made = factory().create_assistant(section)
    if not isinstance(made, Assistant):
        raise ConfigError(f"assistants.named.{section.name}: its factory {section.factory} made no assistant.")
    if made.name != section.name:
        raise ConfigError(f"assistants.named.{section.name}: its factory made one with another name, {made.name}.")
    return made


def _factory(name: str) -> type[AssistantFactory]:
    found = imported(name, "factory") if ":" in name else Registry("factory", _only_factory, group=GROUP).get(name)
    if not (isinstance(found, type) and issubclass(found, AssistantFactory)):
        raise ConfigError(f"{name} is no AssistantFactory: name a class that inherits from it.")
    return found


def _only_factory(module: Any) -> type[AssistantFactory]:
    made_here: list[type[AssistantFactory]] = [value for value in vars(module).values() if _is_own_factory(value)]
    if len(made_here) != 1:
        raise AttributeError(f"{module.__name__} must hold one factory and holds {len(made_here)}")
    return made_here[0]


def _is_own_factory(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, AssistantFactory) and value is not AssistantFactory


def imported(address: str, what: str) -> Any:
    """What `module:name` names. Raises `ConfigError` where that cannot be loaded."""
    module, _, name = address.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"The {what} {address} cannot be loaded ({error}). Write module:name.") from error
