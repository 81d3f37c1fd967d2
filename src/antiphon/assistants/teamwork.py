"""Members of a team answer inside the turn of their lead."""

from collections.abc import Callable, Sequence

from msgspec import structs

from antiphon.assistants.asking import asked_by
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.base import Agent
from antiphon.assistants.guardrails import Guardrail
from antiphon.assistants.run import Run
from antiphon.assistants.state import TurnStates
from antiphon.assistants.teams import Colleagues
from antiphon.assistants.turn import TurnServices
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

    def within(self, turn: ToolContext) -> ToolContext:
        """The context of a turn in which members can be asked."""
        self._turn = structs.replace(turn, services=TurnServices(self._services, self._states, {Colleagues: self}))
        return self._turn

    def led_by(self, run: Run) -> Run:
        """The run of the lead, to which all costs are added."""
        self._lead = run
        return run

    async def ask(self, member: Agent, task: str) -> str:
        if self._depth >= MOST_DEPTH:
            raise ToolError(f"{member.name} was not asked: {MOST_DEPTH} assistants have asked one another already.")
        if not isinstance(member, Assistant) or self._turn is None or self._lead is None:
            return await super().ask(member, task)
        below = Teamwork(
            self._models, self._instructions, self._services, self._states, self._guardrails, self._depth + 1
        )
        turn = below.within(structs.replace(self._turn, assistant=member.name))
        provider, model = self._models(member)
        asked = asked_by(member, provider, turn, self._states, self._guardrails)
        messages = (self._instructions(member), ChatMessage(role="user", text=task))
        # A turn that waits for people goes on with its lead, and what the lead asks is no turn of its own.
        alone = structs.replace(self._lead.rules, people=False)
        run = below.led_by(Run(member, asked, model, messages, turn, rules=alone))
        run.hooks = self._lead.hooks
        try:
            ended = await run.whole()
        finally:
            self._lead.spend(run.usage)
        log.info("team.asked", turn_id=turn.turn_id, assistant=member.name, outcome=ended.status)
        if ended.status != "answered":
            raise ToolError(f"{member.name} has no whole answer. {ended.reason or ''}".strip())
        return ended.text
