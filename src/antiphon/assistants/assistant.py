"""An assistant: instructions, tools and a wish for a model. Immutable, so one serves any number of turns at once."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar, Unpack

from antiphon.assistants.events import Events, LifeEvent, TurnEventName
from antiphon.assistants.guardrails import Guardrail
from antiphon.assistants.output import AnswerForm
from antiphon.assistants.prompts import Instructions, Prompt
from antiphon.assistants.strategies import ResponseStrategy, strategy_of
from antiphon.assistants.teams import ask_tool, hand_over_tool
from antiphon.errors import ConfigError
from antiphon.providers.base import ToolSpec
from antiphon.runtime.spelling import did_you_mean
from antiphon.tools.base import Tool, tool

AnyTool = Tool[..., Any]
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[object]])

MAX_STEPS = 8
"""Rounds of a model and its tools in one turn; then it must answer with what it has."""


class AssistantOptions(TypedDict, total=False):
    """What is seldom said of an assistant, as keywords of `Assistant`."""

    temperature: float | None
    """0 to 2; the model's own when not given."""
    max_tokens: int | None
    """Of one call of the model."""
    max_steps: int
    """Rounds of tools in one turn."""
    strategy: ResponseStrategy | str | None
    """How it answers: "plain" (its model as it stands), "formal", "brief", or an object that generates responses."""
    guardrails: Sequence[Guardrail]
    """What must not pass, besides what the house does not let through."""
    capabilities: Sequence[str]
    """What it can do, in words by which programs find it."""
    team: Sequence["Assistant"]
    """Assistants that this one may ask, each by a tool of its own."""
    hands_over_to: Sequence[str]
    """Names of assistants of the house to which it may give a conversation, by the tool `hand_over`."""
    output: Any
    """The form of its answers, for programs: a pydantic model or a JSON Schema."""


_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")  # people type it behind an @


@dataclass(frozen=True, init=False, eq=False, slots=True)
class Assistant:
    """Who answers, and how.

    `instructions` is the system prompt as it stands, a `Prompt` that names a template with variables, or an
    `Experiment` with several. `model` is a wish, as `provider:model`; a conversation, a person or a platform may decide
    otherwise. Of several models the others answer, one after the other, when the chosen one fails before it says
    anything. `tools` are tools or plain functions, which become tools. Raises `ConfigError` naming what is wrong.
    """

    name: str
    instructions: Instructions
    model: str | None
    fallbacks: tuple[str, ...]
    tools: tuple[AnyTool, ...]
    description: str
    temperature: float | None
    max_tokens: int | None
    max_steps: int
    specs: tuple[ToolSpec, ...]
    strategy: ResponseStrategy | None
    capabilities: tuple[str, ...]
    team: "tuple[Assistant, ...]"
    hands_over_to: tuple[str, ...]
    guardrails: tuple[Guardrail, ...]
    output: AnswerForm | None
    events: Events
    _by_name: Mapping[str, AnyTool]

    def __init__(
        self,
        name: str,
        *,
        instructions: Instructions = "",
        model: str | Sequence[str] | None = None,
        tools: Sequence[AnyTool | Callable[..., Any]] = (),
        description: str = "",
        **options: Unpack[AssistantOptions],
    ) -> None:
        models = (model,) if isinstance(model, str) else tuple(model or ())
        _check(name, models, options)
        team = tuple(options.get("team", ()))
        others = tuple(options.get("hands_over_to", ()))
        by_name = _named(name, (*tools, *map(ask_tool, team), *([hand_over_tool(others)] if others else [])))
        values = {
            "name": name,
            "instructions": instructions or Prompt(),
            "model": models[0] if models else None,
            "fallbacks": models[1:],
            "tools": tuple(by_name.values()),
            "description": description,
            "temperature": options.get("temperature"),
            "max_tokens": options.get("max_tokens"),
            "max_steps": options.get("max_steps", MAX_STEPS),
            "specs": tuple(_spec(item) for item in by_name.values()),
            "strategy": strategy_of(options.get("strategy"), name),
            "capabilities": tuple(options.get("capabilities", ())),
            "team": team,
            "hands_over_to": others,
            "guardrails": tuple(options.get("guardrails", ())),
            "output": None if options.get("output") is None else AnswerForm(options["output"]),
            "events": Events(name),
            "_by_name": by_name,
        }
        put = object.__setattr__
        for field, value in values.items():
            put(self, field, value)

    def tool(self, name: str) -> AnyTool | None:
        return self._by_name.get(name)

    def with_tools(self, more: Sequence[AnyTool]) -> "Assistant":
        """The same with further tools; those of its own keep their names."""
        by_name = {**{each.name: each for each in more}, **self._by_name}
        return self.changed(tools=tuple(by_name.values()))

    def changed(
        self, *, instructions: Instructions | None = None, tools: Sequence[AnyTool] | None = None
    ) -> "Assistant":
        """The same with other instructions, or with these tools and no others."""
        by_name = self._by_name if tools is None else {each.name: each for each in tools}
        other = copy(self)
        values = {"tools": tuple(by_name.values()), "specs": tuple(map(_spec, by_name.values())), "_by_name": by_name}
        for field, value in (values | {"instructions": instructions or self.instructions}).items():
            object.__setattr__(other, field, value)
        return other

    def in_place_of(self, other: "Assistant") -> "Assistant":
        """The same with the handlers of `other`, whose place it takes."""
        mine = copy(self)
        object.__setattr__(mine, "events", other.events)
        return mine

    def on_event(self, name: LifeEvent) -> Callable[[Handler], Handler]:
        """Decorator of an `async def` that is awaited when the workspace starts ("start") or stops ("stop").

        Its parameters are services, as those of a tool. One that fails at the start keeps the workspace from starting.
        """
        return lambda function: self.events.on_event(name, function)

    def subscribe(self, name: TurnEventName) -> Callable[[Handler], Handler]:
        """Decorator of an `async def` that is told of its turns, with a `TurnEvent`; further parameters are services.

        It runs beside the turn: however slow it is, and if it fails, the answer knows nothing of it.
        """
        return lambda function: self.events.subscribe(name, function)


def _check(name: str, models: tuple[str, ...], options: AssistantOptions) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"Assistant {name!r}: a name is up to 63 of a-z, 0-9, _ and -, and begins with a letter.")
    if not all(map(str.strip, models)):
        raise ConfigError(f"Assistant {name}: model='' is not usable; name one as provider:model, or leave it out.")
    if options:
        _check_options(name, options)


def _check_options(name: str, options: AssistantOptions) -> None:
    if unknown := options.keys() - AssistantOptions.__annotations__.keys():
        wish = min(unknown)
        hint = did_you_mean(wish, AssistantOptions.__annotations__, "")
        raise ConfigError(f"Assistant {name}: {wish} is no option.{hint}")
    temperature, max_tokens = options.get("temperature"), options.get("max_tokens")
    max_steps = options.get("max_steps", MAX_STEPS)
    wrong = [
        ("temperature", temperature, temperature is None or 0 <= temperature <= 2, "it lies between 0 and 2"),
        ("max_tokens", max_tokens, max_tokens is None or max_tokens > 0, "it must be greater than 0"),
        ("max_steps", max_steps, max_steps > 0, "it must be greater than 0"),
    ]
    for field, value, valid, advice in wrong:
        if not valid:
            raise ConfigError(f"Assistant {name}: {field}={value!r} is not usable; {advice}.")


def _named(assistant: str, tools: Sequence[AnyTool | Callable[..., Any]]) -> dict[str, AnyTool]:
    by_name: dict[str, AnyTool] = {}
    for item in tools:
        if not isinstance(item, Tool) and not callable(item):
            raise ConfigError(f"Assistant {assistant}: {item!r} is no tool; give a function, or one marked with @tool.")
        made = item if isinstance(item, Tool) else tool(item)
        if made.name in by_name:
            raise ConfigError(
                f"Assistant {assistant}: two tools are called {made.name}; rename one with @tool(name=…)."
            )
        by_name[made.name] = made
    return by_name


def _spec(item: AnyTool) -> ToolSpec:
    return ToolSpec(name=item.name, description=item.description, parameters=item.parameters)
