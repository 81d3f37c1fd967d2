"""What commands may ask the house, answered from its parts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

from antiphon.assistants.directory import Directory
from antiphon.assistants.selector import ModelSelector
from antiphon.commands.base import Command, CommandCall, Commands
from antiphon.conversation.approvals import Approvals
from antiphon.conversation.asking import wanted_of
from antiphon.conversation.router import Waiting
from antiphon.domain import Conversation, Person, TurnRecord
from antiphon.providers.catalogue import Catalogue
from antiphon.storage.base import InboxStore


class House:
    """The `CommandHouse` of a workspace. `facts` are lines for `/status` that only the workspace knows."""

    def __init__(
        self,
        *,
        commands: Commands,
        catalogue: Catalogue,
        selector: ModelSelector,
        assistants: Directory,
        inbox: InboxStore,
        waiting: Callable[[], Waiting],
        facts: Callable[[], Mapping[str, str]],
        spent: Callable[[], Awaitable[str]],
    ) -> None:
        self._commands = commands
        self._catalogue = catalogue
        self._selector = selector
        self._assistants = assistants
        self._inbox = inbox
        self._waiting = waiting
        self._facts = facts
        self._spent = spent
        self._approvals: Approvals | None = None

    def commands(self) -> Sequence[Command]:
        return self._commands.all()

    async def models(self) -> Sequence[str]:
        return await self._catalogue.names()

    async def known_model(self, name: str) -> str:
        return await self._catalogue.full_name(name)

    def selection(self, conversation: Conversation, person: Person) -> tuple[str, str]:
        choice = self._selector.choose(conversation, person, self._assistants.serving(conversation.assistant))
        return choice.model, choice.chosen_by

    def may_choose(self, person: Person) -> bool:
        return self._selector.may_choose(person)

    def serve(self, approvals: Approvals) -> None:
        """What people allow is told to `approvals`."""
        self._approvals = approvals

    async def decide(self, call: CommandCall, verdict: Literal["approved", "denied"]) -> str:
        approvals = self._approvals
        assert approvals is not None  # noqa: S101 - commands run in turns, which begin behind it
        code = call.argument.partition(" ")[0].upper()
        reach = await approvals.within_reach(call.person, code, conversation_id=call.conversation.id)
        wanted, reason = wanted_of(call, reach)
        for approval in wanted:
            await approvals.answer(call.person, approval, verdict, reason=reason if verdict == "denied" else None)
        names = ", ".join(f"`{approval.name}`" for approval in wanted)
        return f"Allowed: {names}." if verdict == "approved" else f"Not allowed: {names}."

    async def last_turn(self, conversation_id: str) -> TurnRecord | None:
        return await self._inbox.latest(conversation_id)

    async def status(self) -> Mapping[str, str]:
        waiting = self._waiting()
        turns = f"{waiting.running} running, {waiting.queued} waiting"
        return {"Turns": turns, "Spent today": await self._spent(), **self._facts()}
