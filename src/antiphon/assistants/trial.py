"""Answers that nobody waits for: an assistant is tried with a model, and what comes of it is looked at.

Nothing is stored and nobody is told. No budget pays: budgets protect a house from those who talk to it, and whoever
makes trials is the operator, who is shown what each of them has cost.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from time import perf_counter
from typing import Any, Literal

import msgspec
from msgspec import Struct

from antiphon.assistants.answer import NO_RESULT
from antiphon.assistants.approvals import NOBODY, ApprovalRules
from antiphon.assistants.assistant import AnyTool, Assistant
from antiphon.assistants.budgets import Budgets
from antiphon.assistants.config import BudgetSettings
from antiphon.assistants.dialogue import instructions_of
from antiphon.assistants.guardrails import Guardrail
from antiphon.assistants.prompts import PromptManager
from antiphon.assistants.run import Ended, Run, Text, ToolStarted
from antiphon.assistants.state import StatesInMemory, TurnStates
from antiphon.assistants.teamwork import Teamwork
from antiphon.domain import ToolPart, new_id, now
from antiphon.errors import ToolError
from antiphon.providers.base import ChatMessage, Provider
from antiphon.providers.registry import ProviderRegistry
from antiphon.runtime.base import Services
from antiphon.runtime.container import ServiceContainer
from antiphon.storage.base import StateStore
from antiphon.storage.spending import Amount, Payer, Spent
from antiphon.tools.base import ToolContext, given_tool
from antiphon.tools.config import Demand

ToolsOfTrial = Literal["recorded", "live", "none"]
"""What becomes of calls: they are given what the same calls were given once, they are carried out, or there are no
tools at all."""

NOT_RECORDED = (
    "This call was not carried out: an earlier turn is being replayed, and this call was not made in it. "
    "Go on without it."
)
_ANY_LENGTH = 1 << 30


class Trial(Struct, frozen=True, kw_only=True):
    """What came of one: the model that was asked, how it ended, and in how many milliseconds; `first_ms` until there
    was something to see, None where there never was."""

    model: str
    ended: Ended
    elapsed_ms: float
    first_ms: float | None = None

    @property
    def calls(self) -> tuple[ToolPart, ...]:
        """The tools that were called, in order."""
        return tuple(part for part in self.ended.parts if isinstance(part, ToolPart))


class Trials:
    """Tries assistants with models of `providers`. `services` is what tools may ask for, `guardrails` what the house
    lets nobody say, `demands` what its operator says of tools; a call that a person must allow is never carried out.
    `budgets` are asked for prices alone, `prompts` for templates."""

    def __init__(
        self,
        providers: ProviderRegistry,
        *,
        services: Services | None = None,
        guardrails: Sequence[Guardrail] = (),
        demands: dict[str, Demand] | None = None,
        budgets: BudgetSettings | None = None,
        prompts: PromptManager | None = None,
    ) -> None:
        self.prompts = prompts
        self._providers = providers
        self._services = services or ServiceContainer()
        self._guardrails = guardrails
        self._rules = ApprovalRules(demands or {}, people=False)
        prices = (budgets or BudgetSettings()).prices
        self._budgets = Budgets(_Uncounted(), BudgetSettings(prices=prices))

    async def answer(
        self,
        assistant: Assistant,
        model: str,
        messages: tuple[ChatMessage, ...],
        *,
        tools: ToolsOfTrial = "live",
        recorded: Iterable[ToolPart] = (),
        states: StateStore | None = None,
        conversation_id: str = "",
    ) -> Trial:
        """What `assistant` answers to `messages` by `model` (`provider:model`) and no other one. `recorded` are the
        calls that are known. Raises `ConfigError` or `ModuleError` for a model that nobody here can ask."""
        if tools != "live":
            known = Recording(recorded)
            assistant = assistant.changed(tools=[] if tools == "none" else [*map(known.tool, assistant.tools)])
        run = self._run(assistant, model, messages, states or StatesInMemory(), conversation_id or new_id())
        run.rules = self._rules if tools == "live" else NOBODY
        began, first, ended = perf_counter(), None, None
        async with aclosing(run.events()) as events:
            async for event in events:
                if first is None and isinstance(event, Text | ToolStarted):
                    first = (perf_counter() - began) * 1000
                if isinstance(event, Ended):
                    ended = event
        assert ended is not None  # noqa: S101 - without people to ask, a run promises it
        return Trial(model=model, ended=ended, elapsed_ms=(perf_counter() - began) * 1000, first_ms=first)

    def _run(
        self,
        assistant: Assistant,
        model: str,
        messages: tuple[ChatMessage, ...],
        kept: StateStore,
        conversation_id: str,
    ) -> Run:
        states = TurnStates(kept, conversation_id)
        context = ToolContext(
            person_id="somebody",
            conversation_id=conversation_id,
            turn_id=new_id(),
            message_id=new_id(),
            assistant=assistant.name,
        )
        team = Teamwork(
            lambda member: self._asked(member.model or model),
            lambda member: instructions_of(member, "another assistant", now(), self.prompts),
            self._services,
            states,
            self._guardrails,
        )
        return team.run(assistant, self._asked(model), messages, context)

    def _asked(self, model: str) -> tuple[Provider, str]:
        chain = self._providers.chain((model,))
        return self._budgets.metered(chain, person_id="", conversation_id=None, adapter=""), chain.answering.model


class Recording:
    """Calls of tools that were made once, each with what it gave; the same call several times in its order."""

    def __init__(self, parts: Iterable[ToolPart]) -> None:
        self._known: dict[tuple[str, bytes], deque[ToolPart]] = {}
        for part in parts:
            self._known.setdefault((part.name, _canonical(part.arguments)), deque()).append(part)

    def tool(self, own: AnyTool) -> AnyTool:
        """One that stands in for `own`, and does nothing but remember."""

        async def remember(**arguments: Any) -> str:
            return self._again(own.name, arguments)

        return given_tool(
            remember,
            name=own.name,
            description=own.description,
            schema=own.parameters,
            timeout=own.timeout,
            output_limit=_ANY_LENGTH,
        )

    def _again(self, name: str, arguments: dict[str, Any]) -> str:
        known = self._known.get((name, _canonical(msgspec.json.encode(arguments))))
        if known is None:
            raise ToolError(NOT_RECORDED)
        part = known.popleft() if len(known) > 1 else known[0]
        text = NO_RESULT if part.result is None else part.result
        if part.status != "done":
            raise ToolError(text)
        return text


class _Uncounted:
    """A `LedgerStore` in which nothing is written down."""

    async def charge(self, charge_id: str, day: str, payers: Sequence[Payer], amount: Amount) -> Payer | None: ...

    async def settle(self, charge_id: str, day: str, additions: Sequence[tuple[Payer, Amount]]) -> None: ...

    async def count(self, batch: str, spent: Sequence[Spent], *, before: str | None = None) -> None: ...

    async def spent(self, *_: object, **__: object) -> list[Spent]:
        return []


def _canonical(arguments: str | bytes) -> bytes:
    """Arguments that mean the same are the same, in whatever order they were written."""
    try:
        return msgspec.json.encode(msgspec.json.decode(arguments or b"{}"), order="deterministic")
    except (msgspec.DecodeError, UnicodeError):
        return arguments.encode(errors="replace") if isinstance(arguments, str) else arguments
