"""The contract of the store: what must not be lost, as whole units of work.

`Store` is a facade; each aggregate is a contract of its own. Every method is one transaction: it has happened
entirely when it returns, or not at all when it raises `ServiceError` (disk full, closed, locked, too busy) or
`ValidationError` (it names a conversation, person or message that does not exist). A call that is cancelled while it
waits is still carried out.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from msgspec import Struct

from antiphon.domain import (
    AnyPart,
    Approval,
    ChannelMessage,
    Conversation,
    Message,
    NoticePart,
    Pause,
    Person,
    Turn,
    TurnRecord,
    Verdict,
)
from antiphon.storage.experiments import ExperimentStore, FeedbackStore
from antiphon.storage.facts import FactStore, VectorStore
from antiphon.storage.files import FileStore
from antiphon.storage.outbox import OutboxStore
from antiphon.storage.spending import LedgerStore
from antiphon.storage.summaries import SummaryStore
from antiphon.storage.turns import TurnStore

LOCAL_ACCOUNT = ("web", "local")
"""The account (adapter, name there) of whoever sits at this machine when nobody has to log in."""


class Accepted(Struct, frozen=True, kw_only=True):
    """What `InboxStore.accept` did. `duplicate`: the key was known, and nothing was written.

    `elsewhere` is the node of the process that answers it, None when that is this one, empty when there is none yet."""

    turn: Turn
    message: Message
    conversation: Conversation
    created: bool
    duplicate: bool
    elsewhere: str | None = None


class Reworded(Struct, frozen=True, kw_only=True):
    """What `InboxStore.reword` stored; `retitled` is the conversation where its title was made of the earlier words."""

    message: Message
    retitled: Conversation | None = None


class Unfinished(Struct, frozen=True, kw_only=True):
    """A turn that had not ended when the last process did. `parts` is what had been stored of its answer up to the live
    number `seq`, `record` what it began with, None when it had not. One that is `decided` has waited for
    people, who have all answered."""

    turn: Turn
    state: Literal["accepted", "running", "decided"]
    parts: tuple[AnyPart, ...]
    record: TurnRecord | None
    seq: int = 0


class TurnReply(Struct, frozen=True, kw_only=True):
    """The answer of a turn, to be stored and sent. `parts` never holds a tool that is still running.

    Without `in_context` no model ever sees the exchange: neither the reply nor the message it answers.
    """

    id: str
    role: Literal["assistant", "system"]
    text: str
    parts: tuple[AnyPart, ...] = ()
    in_context: bool = True


class Chunk(Struct, frozen=True, kw_only=True):
    """Some more of a running answer. `seq` is the live sequence number of its last event."""

    seq: int
    kind: Literal["text", "reasoning", "tool"]
    text: str
    """Text or reasoning to append, or for kind tool the JSON of a `ToolPart` which replaces that call's earlier one."""


class Finished(Struct, frozen=True, kw_only=True):
    """What `InboxStore.finish` stored. `delivery_id` is the outbox entry of the reply, None when there is none.

    `conversation` is None when it was deleted while the turn ran: then nothing was stored and nothing is to be sent. So
    it is with `elsewhere`, because another process sees the turn through by now.
    """

    message: Message | None
    conversation: Conversation | None
    delivery_id: str | None
    elsewhere: bool = False


class Waits(Struct, frozen=True, kw_only=True):
    """A turn that waits, or has waited, for people to allow what a tool is to do; `record` is what it began with."""

    turn: Turn
    record: TurnRecord
    pause: Pause


class Decided(Struct, frozen=True, kw_only=True):
    """What became of an answer. `first`: it is the one that counts, and not one that came before it.

    `left` is the turn that goes on with it, because it was the last one that it waited for: in this process, or
    `elsewhere`."""

    approval: Approval
    first: bool
    left: Unfinished | None = None
    elsewhere: str | None = None


class Hit(Struct, frozen=True, kw_only=True):
    """A message found by search; `snippet` is the part around the words, with the words in «»."""

    conversation_id: str
    conversation_title: str
    message_id: str
    role: str
    snippet: str
    created_at: datetime
    score: float


class ConversationStore(Protocol):
    async def create(self, conversation: Conversation) -> tuple[Conversation, bool]:
        """Stores it, once for each (adapter, place); returns the stored one and whether it is new."""
        ...

    async def get(self, conversation_id: str) -> Conversation | None: ...

    async def update(
        self,
        conversation_id: str,
        *,
        title: str | None = None,
        model: str | None = None,
        assistant: str | None = None,
        reset_context: bool = False,
    ) -> Conversation | None:
        """Changes what is given (`model=""` clears the override); returns the new state, None when it is unknown.

        `updated_at` stays: it is the time of the latest message, so a new title does not move a conversation."""
        ...

    async def delete(self, conversation_id: str) -> bool:
        """Removes it with all its messages, turns and the files that no other one names; False when it was unknown."""
        ...

    async def messages(
        self, conversation_id: str, *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> list[Message]:
        """Messages with after < position < before, the newest `limit` of them, sorted by (ticket, position)."""
        ...

    async def search(self, person_id: str, query: str, *, limit: int = 5, exclude: str | None = None) -> list[Hit]:
        """Messages of the person's conversations that match any word of `query`, best first. Any text is a legal
        query. `exclude` is a conversation that is left out."""
        ...

    async def list(self, person_id: str, *, limit: int = 100, before: datetime | None = None) -> list[Conversation]:
        """A person's conversations, the latest updated first."""
        ...


class InboxStore(Protocol):
    async def accept(self, message: ChannelMessage, *, assistant: str, most: int | None = None) -> Accepted:
        """Makes an inbound message durable: person by account, conversation by place (created when new, titled by
        the text, or by the name of a file), the user's message with what it names, the turn. The same (adapter, place,
        key) again changes nothing. `ValidationError` when a file that it names is not there (any more).

        For the adapter "web" the place is the id of a conversation, which must exist: `ValidationError` otherwise.
        All open turns of a conversation are seen through by one process: by the one that has some, else by this one.
        Where there are several, `most` turns of it may be open: `ServiceError` for one more."""
        ...

    async def parties(self, turn: Turn) -> tuple[Conversation, Person] | None:
        """The turn's conversation and person as they are now; None when one of them was deleted."""
        ...

    async def begin(self, turn: Turn, record: TurnRecord, *, context: int, after: int = 0) -> list[Message] | None:
        """Marks the turn as running, so that a crash from here on leaves it interrupted and not run twice. `record`
        is what is known of the answer by now. None when another process sees the turn through.

        Returns the newest `context` messages that a model may see before this turn's own and behind the ticket
        `after`, sorted by (ticket, position).
        Those of later tickets, before `context_from`, out of context or of the house itself are left out."""
        ...

    async def reword(self, turn: Turn, text: str, notices: Sequence[NoticePart]) -> Reworded:
        """Gives the turn's own message other words, with notices of why. A message that has such a notice already stays
        as it is: a process has done so before it died. Raises `ValidationError` when it is gone."""
        ...

    async def append(self, turn_id: str, chunks: Sequence[Chunk]) -> None:
        """Stores more of a running answer. Costs the same however long the answer is. Chunks up to the
        highest `seq` of an earlier call are there already and left out, as are those of a turn that has ended."""
        ...

    async def finish(
        self, turn: Turn, record: TurnRecord, reply: TurnReply | None, *, deliver: bool = True
    ) -> Finished:
        """Ends the turn: the reply and, if there is something to `deliver`, its outbox entry; the outcome on both
        messages, the conversation's `updated_at`; drops the chunks. For a turn that has ended already it changes
        nothing and returns what is there. A model sees a refused message later all the same, unless its reply is not
        `in_context`."""
        ...

    async def unfinished(self, turn_ids: Collection[str] | None = None) -> list[Unfinished]:
        """Turns without an outcome that this process sees through (a process alone all of them), of those given if
        some are, oldest first, with the parts of their answers so far; a tool that was running is `cancelled`."""
        ...

    async def latest(self, conversation_id: str) -> TurnRecord | None:
        """The record of the last finished turn that a model answered."""
        ...


class PeopleStore(Protocol):
    async def get(self, person_id: str) -> Person | None: ...

    async def by_account(self, adapter: str, account: str, *, name: str = "") -> Person:
        """The person behind a platform account; a new account makes a new person. The account ("web", "local")
        is the person with the id "local", an operator."""
        ...

    async def page(self, *, after: str = "", limit: int = 100) -> list[Person]: ...
    async def rename(self, person_id: str, name: str) -> None: ...
    async def prefer_model(self, person_id: str, model: str | None) -> None: ...
    async def prefer_language(self, person_id: str, language: str | None) -> None: ...


class StateStore(Protocol):
    """What assistants keep of a conversation, as text under a name; it goes with the conversation."""

    async def get(self, conversation_id: str, name: str) -> str | None: ...

    async def put(self, conversation_id: str, name: str, data: str) -> None:
        """Replaces what is kept under the name."""
        ...


DAMAGED = "What this answer waited with cannot be read any more, so it ends here. Ask again if you still want to know."
"""Why a turn ends that waited for people."""


class ApprovalStore(Protocol):
    """Turns that wait for people. They are no process's matter meanwhile, and a restart does not touch them."""

    async def pause(self, turn: Turn, record: TurnRecord, pause: Pause, chunks: Sequence[Chunk]) -> bool:
        """Lets a running turn wait; `chunks` is what is not stored of its answer yet. False when another process sees
        the turn through."""
        ...

    async def waiting(self, conversation_id: str) -> list[Waits]:
        """The turns of a conversation that wait, oldest first."""
        ...

    async def asked(
        self, person_id: str | None = None, *, which: str = "", after: str = "", limit: int = 100
    ) -> list[Approval]:
        """What nobody has answered of a person's turns, of all when none is given; oldest first, behind the id `after`,
        only `which` where that is an id or a code."""
        ...

    async def overdue(self, at: datetime) -> list[Approval]:
        """What nobody has answered and should have been by `at`."""
        ...

    async def take_damaged(self, at: datetime, *, newer: bool) -> list[Unfinished]:
        """Makes turns running whose time is up by `at` and that nobody can go on with, because what they wait with was
        damaged, or with `newer` was written by a newer version; only one caller ever gets each."""
        ...

    async def decide(
        self, approval: Approval, verdict: Verdict, *, reason: str | None = None, by: str | None = None
    ) -> Decided | None:
        """Answers; the first answer counts. With the last one of a turn that is `decided`, and somebody's matter
        again. None when the turn does not wait any more."""
        ...

    async def take(self, turn: Turn, *, decided: bool) -> Waits | None:
        """Makes a turn running: one that was `decided`, to go on with it, or one that waits, to end it. Only one caller
        ever gets it, others None; a crash from here on leaves it interrupted. `ProcessingError`: it is damaged."""
        ...


class NodeStore(Protocol):
    """The processes that answer from one database, each a node with a name. Each turn, and its reply until that is
    sent, is the matter of one of them."""

    async def turns(self) -> set[str]:
        """The ids of the turns that this one sees through."""
        ...

    async def gone(self) -> set[str]:
        """The nodes of turns that are not seen through, because their process does not live (any more), and this one's
        own when it counts as gone itself: its connection is broken. Empty is the node of turns that were given away."""
        ...

    async def take_over(self, nodes: Collection[str]) -> list[str]:
        """Makes the turns of these nodes this one's own, unless another one was faster, and returns their ids."""
        ...

    async def give_away(self) -> None:
        """Leaves the turns of this one to whoever takes them over."""
        ...

    async def open(self, conversation_id: str) -> tuple[str, list[Unfinished]]:
        """The open turns of a conversation in order, and the node that sees them through."""
        ...


class Store(Protocol):
    """A database. `start` opens and migrates it; before it and after `stop` every call but these two raises
    `ServiceError`. Stopping carries out what has been asked for."""

    conversations: ConversationStore
    inbox: InboxStore
    outbox: OutboxStore
    people: PeopleStore
    facts: FactStore
    vectors: VectorStore
    states: StateStore
    ledger: LedgerStore
    summaries: SummaryStore
    files: FileStore
    experiments: ExperimentStore
    feedback: FeedbackStore
    approvals: ApprovalStore
    nodes: NodeStore
    turns: TurnStore

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def check(self) -> str:
        """Proves that it reads and writes and says on what; raises `ServiceError` with what to do otherwise."""
        ...


def parts_of(store: Store) -> Mapping[Any, object]:
    """The store and what programs may ask for of it, by the contracts."""
    return {
        Store: store,
        ConversationStore: store.conversations,
        InboxStore: store.inbox,
        OutboxStore: store.outbox,
        PeopleStore: store.people,
        FactStore: store.facts,
        FileStore: store.files,
        StateStore: store.states,
    }
