"""The assistants of a workspace."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

from antiphon.assistants.assistant import AnyTool, Assistant
from antiphon.assistants.config import AssistantSettings
from antiphon.assistants.dialogue import AssistantReply, Dialogue
from antiphon.assistants.prompts import PromptManager
from antiphon.assistants.state import StatesInMemory, TurnStates
from antiphon.assistants.tools import OF_ASSISTANTS
from antiphon.assistants.turn import TurnServices
from antiphon.errors import ConfigError
from antiphon.providers.base import DEMO, Provider
from antiphon.providers.chain import Chain
from antiphon.providers.registry import ProviderRegistry
from antiphon.runtime.base import Injected, Services
from antiphon.runtime.registry import Registry
from antiphon.runtime.spelling import did_you_mean
from antiphon.search.lexical import LexicalIndex
from antiphon.tools.config import ToolSettings


class Directory:
    """Assistants by name, in the order in which they were added; the first is the default one."""

    def __init__(self, assistants: Iterable[Assistant] = ()) -> None:
        self._assistants: dict[str, Assistant] = {}
        self._started = AsyncExitStack()
        for assistant in assistants:
            self.add(assistant)

    def add(self, assistant: Assistant) -> Assistant:
        """Raises `ConfigError` when the name is taken."""
        if assistant.name in self._assistants:
            raise ConfigError(f"There is an assistant called {assistant.name} already; give this one another name.")
        self._assistants[assistant.name] = assistant
        return assistant

    def replace(self, assistant: Assistant) -> None:
        """Puts an assistant in the place of the one of its name; turns that run go on with the one they began with."""
        self._assistants[assistant.name] = assistant

    def get(self, name: str) -> Assistant:
        """Raises `ConfigError` with the nearest name."""
        found = self._assistants.get(name)
        if found is None:
            hint = did_you_mean(name, self._assistants, f"There is: {', '.join(self._assistants) or 'none'}.")
            raise ConfigError(f"There is no assistant called {name[:80]!r}.{hint}")
        return found

    def find(self, name: str | None) -> Assistant | None:
        return self._assistants.get(name or "")

    def serving(self, name: str) -> Assistant:
        """Who answers in a conversation that was begun with `name`: that one, or the default when it is gone."""
        return self._assistants.get(name) or self.default

    @property
    def default(self) -> Assistant:
        """Who answers where nobody is named. Raises `ConfigError` when there is no assistant at all."""
        if not self._assistants:
            raise ConfigError("There is no assistant; add one with workspace.assistants.add(Assistant(…)).")
        return next(iter(self._assistants.values()))

    def all(self) -> tuple[Assistant, ...]:
        return tuple(self._assistants.values())

    def check(self, prompts: PromptManager, services: Services, resolve: Callable[[str], object]) -> None:
        """What would fail in every turn fails here: raises what prompts, tools and models raise that do not exist."""
        of_a_turn = TurnServices(services, TurnStates(StatesInMemory(), ""), {})
        for assistant in _with_teams(self._assistants.values()):
            prompts.check(assistant.instructions)
            for item in assistant.tools:
                item.check(of_a_turn)
            for name in assistant.hands_over_to:
                self.get(name)
            for model in filter(None, (assistant.model, *assistant.fallbacks)):
                resolve(model)

    def tool_names(self) -> set[str]:
        """Of all assistants, also of those that are only in a team."""
        return {item.name for assistant in _with_teams(self._assistants.values()) for item in assistant.tools}

    async def start(self, services: Services) -> None:
        """Has every assistant call its handlers of the start, in order. When one fails, those that were started are
        stopped; raises `ServiceError` naming the handler."""
        async with AsyncExitStack() as undo:
            for assistant in self._assistants.values():
                await assistant.events.start(services)
                undo.push_async_callback(assistant.events.stop, services)
            self._started = undo.pop_all()

    async def stop(self) -> None:
        """Has those that were started call their handlers of the stop, the last first. Raises `ServiceError` naming
        what failed."""
        started, self._started = self._started, AsyncExitStack()
        await started.aclose()

    def __len__(self) -> int:
        return len(self._assistants)


def _with_teams(assistants: Iterable[Assistant]) -> Iterator[Assistant]:
    for assistant in assistants:
        yield assistant
        yield from _with_teams(assistant.team)


class AIService(Injected):
    """Assistants for programs: registered, found by what they can do, and given tasks.

        service = AIService()
        service.register(Assistant("cook", description="Cooks.", capabilities=["recipes"]))
        reply = await service.process("How long do eggs take?", capability="recipes")

    `directory` holds the assistants, `providers` their models; an assistant that names none is answered for by
    `default_model`. `services` is what tools may ask for, `paid` a model as somebody pays for it. In a house it is a
    service itself, and the house pays.
    """

    def __init__(
        self,
        directory: Directory | None = None,
        providers: ProviderRegistry | None = None,
        default_model: Callable[[], str] = lambda: DEMO,
        services: Services | None = None,
        *,
        paid: Callable[[Chain], Provider] = lambda chain: chain,
    ) -> None:
        self._paid = paid
        self.assistants = Directory() if directory is None else directory
        self._providers = ProviderRegistry() if providers is None else providers
        self._default_model = default_model
        self._services = services

    def register(self, assistant: Assistant) -> Assistant:
        """Raises `ConfigError` when the name is taken."""
        return self.assistants.add(assistant)

    def discover(self, capability: str) -> tuple[Assistant, ...]:
        """The assistants that have the capability, by their own word or as the name of a tool; in their order."""
        wanted = capability.casefold()
        return tuple(
            assistant
            for assistant in self.assistants.all()
            if wanted
            in {name.casefold() for name in (*assistant.capabilities, *(each.name for each in assistant.tools))}
        )

    def route(self, task: str, *, capability: str | None = None) -> Assistant:
        """Who fits a task best, by name, description, capabilities and tools (BM25); the default one where nobody does.
        Raises `ConfigError` when nobody has the `capability`."""
        able = self.assistants.all() if capability is None else self.discover(capability)
        if not able:
            if capability is None:
                return self.assistants.default
            known = sorted({name for assistant in self.assistants.all() for name in assistant.capabilities})
            hint = did_you_mean(capability, known, f"There is: {', '.join(known) or 'none'}.")
            raise ConfigError(f"No assistant has the capability {capability!r}.{hint}")
        found = LexicalIndex(map(_says_of_itself, able)).search(task, 1)
        return able[found[0].position] if found else able[0]

    def begin(self, assistant: Assistant) -> Dialogue:
        """A conversation with it, by its model; `Dialogue.hand_over` gives it to another one."""
        models = (assistant.model or self._default_model(), *assistant.fallbacks)
        chain = self._providers.chain(models)
        return Dialogue(assistant, self._paid(chain), chain.answering.model, services=self._services)

    async def process(self, task: str, *, capability: str | None = None) -> AssistantReply:
        """The answer of whoever fits the task best."""
        return await self.begin(self.route(task, capability=capability)).process_message(task)


def _says_of_itself(assistant: Assistant) -> str:
    tools = (f"{each.name.replace('_', ' ')} {each.description}" for each in assistant.tools)
    return " ".join((assistant.name, assistant.description, *assistant.capabilities, *tools))


def chosen(
    names: Sequence[str] | None, tools: Sequence[AnyTool], *, unasked: Collection[AnyTool] = ()
) -> list[AnyTool]:
    """The tools that are called `names`; without names all but those that have to be asked for (`unasked`).

    Raises `ConfigError` with the nearest name.
    """
    if names is None:
        return [each for each in tools if each not in unasked]
    known = {each.name: each for each in tools}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, f"There is: {', '.join(known)}.")
            raise ConfigError(f"assistants.tools names {name!r}, which is no tool.{hint}")
    return [known[name] for name in names]


def house_tools(registry: Registry[AnyTool], names: Sequence[str] | None, settings: ToolSettings) -> list[AnyTool]:
    """The tools of the built-in assistant: those that are called `names`, else all that send nothing outside, and of
    the others those that are switched on. Raises `ConfigError` with the nearest name."""
    offered = [*map(registry.get, registry.names()), *OF_ASSISTANTS]
    off = {"web_fetch": not settings.web_fetch.enabled, "generate_image": settings.images.model is None}
    return chosen(names, offered, unasked=[each for each in offered if off.get(each.name)])


def built_in(settings: AssistantSettings, tools: Sequence[AnyTool | Callable[..., Any]]) -> Assistant:
    """The assistant of a workspace to which nobody has added one."""
    return Assistant(
        settings.name,
        description=settings.description,
        instructions=settings.instructions,
        tools=tools,
        max_steps=settings.max_steps,
    )
