"""A stored turn once more: another model, another prompt or another assistant, from what the turn was made from."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.attachments import AttachedFiles
from antiphon.assistants.context import ContextBuilder
from antiphon.assistants.directory import Directory
from antiphon.assistants.evals.cases import EvalCase, EvalMessage
from antiphon.assistants.evals.checks import Judge
from antiphon.assistants.experiments import Experiments
from antiphon.assistants.history import History, shown_to_models, summed_up
from antiphon.assistants.memory.fitting import FittingFacts
from antiphon.assistants.prompts import Prompt
from antiphon.assistants.trial import ToolsOfTrial, Trial, Trials
from antiphon.domain import Conversation, Message, ToolPart, Turn
from antiphon.errors import NotFoundError
from antiphon.providers.base import ChatMessage
from antiphon.storage.base import Store
from antiphon.storage.turns import PastTurn

_PAGE = 500


class Original(Struct, frozen=True, kw_only=True):
    """A turn as it was: its answer, None where that is not kept, and the prompt that a model is given for it."""

    past: PastTurn
    answer: Message | None
    prompt: Callable[[str], tuple[ChatMessage, ...]]
    assistant: Assistant

    @property
    def calls(self) -> tuple[ToolPart, ...]:
        """The tools that were called, in order."""
        return tuple(part for part in self.answer.parts if isinstance(part, ToolPart)) if self.answer else ()


class Replay:
    """Replays turns of `store`, which it only reads.

    The prompt is made by what made it then: the messages up to the turn that a model could see, what was remembered by
    then, and the day of the turn. Names, titles, settings and the assistant itself are those of today.
    """

    def __init__(
        self,
        store: Store,
        assistants: Directory,
        context: ContextBuilder,
        facts: FittingFacts,
        files: AttachedFiles,
        trials: Trials,
        experiments: Experiments,
    ) -> None:
        self._store = store
        self._assistants = assistants
        self._context = context
        self._facts = facts
        self._files = files
        self.trials = trials
        self._experiments = experiments

    async def find(self, name: str | None) -> PastTurn:
        """The turn with this id; the last one of a conversation, or with `conversation:ticket` the one at that ticket;
        without a name the last of all. Raises `NotFoundError` saying what there is."""
        turns = self._store.turns
        if name is None:
            found = await turns.last()
            if found is None:
                raise NotFoundError("No turn has been answered by a model yet, so there is nothing to replay.")
            return found
        found = await turns.get(name)
        if found is not None:
            return found
        conversation, _, ticket = name.partition(":")
        upto = int(ticket) if ticket.isascii() and ticket.isdigit() and len(ticket) < 16 else None
        found = await turns.latest(conversation, upto=upto)
        if found is None or (ticket and found.turn.ticket != upto):
            raise NotFoundError(
                f"No turn that a model answered is called {name[:80]!r}. Give the id of a turn, of a conversation, or "
                "conversation:ticket; --last takes the newest."
            )
        return found

    async def original(
        self, past: PastTurn, *, assistant: Assistant | None = None, instructions: str | Prompt | None = None
    ) -> Original:
        """The turn as it was, with the prompt for `assistant` and its `instructions` in the place of those it had.
        Raises `NotFoundError` when its conversation is gone, `ConfigError` for a prompt that does not exist."""
        turn = past.turn
        parties = await self._store.inbox.parties(turn)
        if parties is None:
            raise NotFoundError("The conversation of this turn has been deleted meanwhile.")
        conversation, person = parties
        who = assistant or self._assistants.serving(past.record.assistant or conversation.assistant)
        who = self._experiments.again(who, past.record.assignment).changed(instructions=instructions)
        context = self._context.on(turn.created_at)
        messages = await self._messages(past, context.histories.most_messages)
        known = await self._summed_up(conversation, turn) or context.histories.of(conversation, turn)
        visible = _visible(messages, turn.ticket, max(conversation.context_from, known.upto + 1))
        history = context.histories.extend(known, turn, visible[-context.histories.most_messages :])
        facts = await self._facts.block(turn.person_id, turn.text, before=turn.created_at)
        return Original(
            past=past,
            answer=next((each for each in messages if each.turn_id == turn.id and each.role != "user"), None),
            prompt=lambda model: context.build(turn, who, conversation, person, history, model, facts),
            assistant=who,
        )

    async def run(self, original: Original, model: str | None = None, *, tools: ToolsOfTrial = "recorded") -> Trial:
        """The turn answered again, by `model` or the one that answered it then. Raises as `Trials.answer` does."""
        model = model or original.past.record.model or ""
        prompt = original.prompt(model)
        prompt = await self._files.load(prompt, self._context.room_for_files(original.assistant, model, prompt))
        return await self.trials.answer(original.assistant, model, prompt, tools=tools, recorded=original.calls)

    async def _summed_up(self, conversation: Conversation, turn: Turn) -> History | None:
        """The summary that stood for what came before, if it was there by then; a later one has replaced it else."""
        found = await self._store.summaries.get(conversation.id, conversation.context_from)
        there = found is not None and found.upto < turn.ticket and found.created_at <= turn.created_at
        return summed_up(found) if found is not None and there else None

    async def _messages(self, past: PastTurn, enough: int) -> list[Message]:
        """The turn's own messages and those before it, as many as a prompt may hold and more."""
        turn, read, before = past.turn, list[Message](), None
        while True:
            page = await self._store.conversations.messages(turn.conversation_id, before=before, limit=_PAGE)
            read += page
            if len(page) < _PAGE or sum(shown_to_models(each) for each in read if each.ticket < turn.ticket) > enough:
                return sorted(read, key=lambda each: (each.ticket, each.position))
            before = min(each.position for each in page)


def as_case(original: Original) -> EvalCase:
    """The turn as a case of an evaluation: a model judges whether another answer says the same."""
    past, answer = original.past, original.answer
    prompt = original.prompt(past.record.model or "")
    said = [EvalMessage(role=each.role, content=each.text) for each in prompt[1:] if each.role in {"user", "assistant"}]
    return EvalCase(
        id=past.turn.id,
        messages=tuple(each for each in said if each.content.strip()),
        expected=answer.text if answer else None,
        checks=(Judge(value="It says the same as what is expected, in whatever words."),) if answer else (),
    )


def _visible(messages: Sequence[Message], ticket: int, context_from: int) -> list[Message]:
    """What a model could see before the turn; a `/reset` that came later is undone."""
    if context_from > ticket:
        context_from = max((each.ticket + 1 for each in messages if each.ticket < ticket and _resets(each)), default=0)
    return [each for each in messages if context_from <= each.ticket < ticket and shown_to_models(each)]


def _resets(message: Message) -> bool:
    return message.role == "user" and not message.in_context and message.text.split()[:1] == ["/reset"]
