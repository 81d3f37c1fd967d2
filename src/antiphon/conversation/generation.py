"""Step 8 of the flow: the assistant's run, told to the live stream as it happens."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from msgspec import Struct, structs

from antiphon.assistants.approvals import ApprovalRules, Earlier, Paused
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.budgets import Budgets
from antiphon.assistants.guardrails import Guardrail
from antiphon.assistants.hooks import RunHooks
from antiphon.assistants.run import Ended, Reasoning, Text, ToolEnded, ToolStarted
from antiphon.assistants.selector import Choice
from antiphon.assistants.state import TurnStates
from antiphon.assistants.teamwork import Teamwork
from antiphon.conversation.stream import TurnStream
from antiphon.domain import Assignment, Pause, TurnRecord
from antiphon.providers.base import ChatMessage, Provider
from antiphon.providers.chain import Chain
from antiphon.providers.registry import ProviderRegistry
from antiphon.runtime.base import Services
from antiphon.storage.base import StateStore
from antiphon.tools.base import ToolContext


def record_of(assistant: Assistant, choice: Choice, assignment: Assignment | None = None) -> TurnRecord:
    """What is known of an answer before it begins, and all that is left to say when nothing more is heard of it."""
    return TurnRecord(
        outcome="interrupted",
        assistant=assistant.name,
        model=choice.model,
        chosen_by=choice.chosen_by,
        considered=choice.considered,
        assignment=assignment,
    )


def model_of(
    providers: ProviderRegistry, choice: Choice, paid: Callable[[Chain], Provider], member: Assistant
) -> tuple[Provider, str]:
    """Who answers for a member of a team: its own model, else that of the lead; `paid` by who pays for the turn."""
    chain = providers.chain((member.model, *member.fallbacks) if member.model else (choice.model, *choice.fallbacks))
    return paid(chain), chain.answering.model


class Generated(Struct, frozen=True, kw_only=True):
    """A whole answer, the model that gave it in the end, and a step for each that was given up before."""

    ended: Ended
    model: str
    given_up: tuple[tuple[str, str], ...]


class HeldBack(Struct, frozen=True, kw_only=True):
    """The first part of an answer that goes on when people have answered; otherwise as `Generated`."""

    paused: Paused
    model: str
    given_up: tuple[tuple[str, str], ...]


class Begun(Struct, frozen=True, kw_only=True):
    """Who answers what, how much of the past is `seen` where that is not all, how far an answer had come that has
    waited for people, which hooks it has to ask, and for what it is counted."""

    assistant: Assistant
    choice: Choice
    messages: tuple[ChatMessage, ...]
    seen: str = ""
    pause: Pause | None = None
    hooks: RunHooks | None = None
    assignment: Assignment | None = None

    @property
    def record(self) -> TurnRecord:
        record = record_of(self.assistant, self.choice, self.assignment)
        if not self.seen:
            return record
        return structs.replace(record, considered=(*record.considered, ("context", self.seen)))

    @property
    def earlier(self) -> Earlier | None:
        """What the run goes on from."""
        pause = self.pause
        if pause is None:
            return None
        answers = {approval.call_id: approval for approval in pause.approvals}
        return Earlier(parts=pause.parts, steps=pause.steps, usage=pause.usage, answers=answers)


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Runs assistants. `services` is what their tools may ask for, `states` where their state is kept,
    `instructions` what members of a team are told, `guardrails` what the house lets nobody say, and `rules` which calls
    people must allow. `budgets` pay for the models."""

    providers: ProviderRegistry
    services: Services
    states: StateStore
    budgets: Budgets
    instructions: Callable[[Assistant], ChatMessage]
    guardrails: tuple[Guardrail, ...] = ()
    rules: ApprovalRules

    async def run(self, stream: TurnStream, begun: Begun) -> Generated | HeldBack:
        """The whole answer, or as much as there is before people must be asked. The stream may cancel it at any time,
        also before it begins."""
        assistant, choice = begun.assistant, begun.choice
        turn, tell = stream.turn, assistant.events.tell
        states = TurnStates(self.states, turn.conversation_id)
        chain = self.providers.chain((choice.model, *choice.fallbacks))
        context = ToolContext(
            person_id=turn.person_id,
            conversation_id=turn.conversation_id,
            turn_id=turn.id,
            message_id=turn.message_id,
            assistant=assistant.name,
            services=self.services,  # else it makes services of its own, which nobody asks
        )
        paid = partial(self.budgets.of_turn, turn=turn)
        models = partial(model_of, self.providers, choice, paid)
        team = Teamwork(models, self.instructions, self.services, states, self.guardrails)
        model, earlier = (paid(chain), chain.answering.model), begun.earlier
        run = team.run(assistant, model, begun.messages, context, rules=self.rules, earlier=earlier)
        run.hooks = begun.hooks
        if begun.pause is None:
            tell("user_message", turn, states, text=turn.text)
            stream.start(assistant=assistant.name, model=choice.model, chosen_by=choice.chosen_by)
        else:
            stream.go_on()
        stream.on_cancel(run.cancel)
        ended: Ended | Paused | None = None
        async with aclosing(run.events()) as events:
            async for event in events:
                match event:
                    case Text(text=text):
                        stream.text(text)
                    case Reasoning(text=text):
                        stream.reasoning(text)
                    case ToolStarted(part=part):
                        stream.tool(part)
                        tell("tool_started", turn, states, tool=part)
                    case ToolEnded(part=part):
                        stream.tool(part)
                        tell("tool_ended", turn, states, tool=part)
                    case Ended() | Paused():
                        ended = event
        assert ended is not None  # noqa: S101 - a run promises it
        given_up = tuple(("given up", f"{model}: {why}") for model, why in chain.path)
        if isinstance(ended, Paused):
            return HeldBack(paused=ended, model=chain.answering.name, given_up=given_up)
        return Generated(ended=ended, model=chain.answering.name, given_up=given_up)
