"""How an assistant answers in a turn, and the members of its team inside of it."""

from collections.abc import Callable, Sequence

from msgspec import structs

from antiphon.assistants.approvals import NOBODY, ApprovalRules, Earlier
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.base import Agent
from antiphon.assistants.guardrails import Guarded, Guardrail
from antiphon.assistants.output import Formed
from antiphon.assistants.run import Run
from antiphon.assistants.state import TurnStates
from antiphon.assistants.strategies import Strategic
from antiphon.assistants.teams import Colleagues
from antiphon.assistants.turn import TurnServices
from antiphon.assistants.wishes import NO_WISHES, AnswerWishes
from antiphon.errors import ToolError
from antiphon.providers.base import ChatMessage, Provider
from antiphon.runtime.base import Services
from antiphon.telemetry.logs import get_logger
from antiphon.tools.base import ToolContext

MOST_DEPTH = 3
"""How many assistants may ask one another in a row."""

log = get_logger(__name__)


class Teamwork(Colleagues):
    """The members that a turn may ask, each by its own model or else by that of the lead (`models`).

    They share the turn's state and its cancellation, stand under the same guardrails of the house, and what they cost
    is added to what the lead costs.
    """

    def __init__(
        self,
        models: Callable[[Assistant], tuple[Provider, str]],
        instructions: Callable[[Assistant], ChatMessage],
        services: Services,
        states: TurnStates,
        guardrails: Sequence[Guardrail] = (),
        depth: int = 0,
    ) -> None:
        self._models = models
        self._instructions = instructions
        self._services = services
        self._states = states
        self._guardrails = guardrails
        self._depth = depth
        self._turn: ToolContext | None = None
        self._lead: Run | None = None

    def run(
        self,
        assistant: Assistant,
        model: tuple[Provider, str],
        messages: tuple[ChatMessage, ...],
        turn: ToolContext,
        wishes: AnswerWishes = NO_WISHES,
        *,
        rules: ApprovalRules = NOBODY,
        earlier: Earlier | None = None,
    ) -> Run:
        """The answer of the lead by its own `model`, in which members can be asked; all costs are added to it."""
        provider, name = model
        self._turn = structs.replace(turn, services=TurnServices(self._services, self._states, {Colleagues: self}))
        asked = self._asked(assistant, provider, self._turn)
        self._lead = Run(assistant, asked, name, messages, self._turn, wishes, rules=rules, earlier=earlier)
        return self._lead

    async def ask(self, member: Agent, task: str) -> str:
        if self._depth >= MOST_DEPTH:
            raise ToolError(f"{member.name} was not asked: {MOST_DEPTH} assistants have asked one another already.")
        if not isinstance(member, Assistant) or self._turn is None or self._lead is None:
            return await super().ask(member, task)
        below = Teamwork(
            self._models, self._instructions, self._services, self._states, self._guardrails, self._depth + 1
        )
        messages = (self._instructions(member), ChatMessage(role="user", text=task))
        # A turn that waits for people goes on with its lead, and what the lead asks is no turn of its own.
        alone = structs.replace(self._lead.rules, people=False)
        turn = structs.replace(self._turn, assistant=member.name)
        run = below.run(member, self._models(member), messages, turn, rules=alone)
        run.hooks = self._lead.hooks
        try:
            ended = await run.whole()
        finally:
            self._lead.spend(run.usage)
        log.info("team.asked", turn_id=turn.turn_id, assistant=member.name, outcome=ended.status)
        if ended.status != "answered":
            raise ToolError(f"{member.name} has no whole answer. {ended.reason or ''}".strip())
        return ended.text

    def _asked(self, assistant: Assistant, provider: Provider, turn: ToolContext) -> Provider:
        """`provider` itself where the assistant does nothing but ask it: then a token passes through nothing more."""
        if assistant.output is not None:
            provider = Formed(provider, assistant.output)
        if assistant.strategy is not None:
            provider = Strategic(provider, assistant.strategy, turn, self._states)
        if self._guardrails or assistant.guardrails:
            provider = Guarded(provider, (*self._guardrails, *assistant.guardrails))
        return provider
