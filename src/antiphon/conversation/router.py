"""The way in: every message becomes durable, is answered in the order of its conversation, and ends in one outcome."""

import asyncio
import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal, Protocol

from msgspec import Struct, structs

from antiphon.adapters.base import Receipt
from antiphon.assistants.answer import text_of
from antiphon.conversation.ending import TurnEnding
from antiphon.conversation.entrance import MessageEntrance
from antiphon.conversation.live import Live
from antiphon.conversation.others import NoOthers, Others
from antiphon.conversation.stream import CANCELLED, TurnStream, UnderWay
from antiphon.domain import AnyPart, ChannelMessage, NoticePart, Outcome, Turn, TurnRecord, Usage, new_id
from antiphon.errors import AntiphonError, NotAllowedError, ServiceError, ValidationError
from antiphon.runtime.tasks import gather_with_concurrency
from antiphon.storage.base import Store, TurnReply, Unfinished
from antiphon.telemetry.logs import bind, get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

TEXT_LIMIT = 100_000
"""Characters of one message."""

WAITING_LIMIT = 50
"""Messages of one conversation that may wait for their turn; more are refused, not dropped."""

RECOVERED_AT_ONCE = 32
"""Conversations whose interrupted turns a start ends side by side, each with a reply to its platform."""

UNEXPECTED = "Something went wrong on our side while answering. The operator finds the reason in the log under {turn}."
STOPPED = NoticePart(
    code="stopped", text="The server stopped while this was being answered. Ask again if you still want to know."
)

log = get_logger(__name__)


class Handler(Protocol):
    """Does everything for one turn, until its outcome is stored and told (`handler.MessageHandler`)."""

    async def handle(self, turn: Turn, stream: TurnStream) -> None: ...


class Mailbox:
    """The turns of one conversation that wait, in the order of their tickets, and the one that runs."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, str, TurnStream]] = []
        self.running: TurnStream | None = None
        self.worker: asyncio.Task[None] | None = None
        self.places: set[tuple[str, str]] = set()

    def withdraw(self, stream: TurnStream) -> bool:
        """Takes a turn that waits out of the line; False when it does not wait."""
        left = [entry for entry in self.waiting if entry[2] is not stream]
        withdrawn = len(left) < len(self.waiting)
        self.waiting = left
        heapq.heapify(self.waiting)
        return withdrawn

    def streams(self) -> list[TurnStream]:
        running = [self.running] if self.running else []
        return running + [stream for _, _, stream in sorted(self.waiting, key=lambda entry: entry[:2])]


class Waiting(Struct, frozen=True):
    """Counts for `/status`: turns that run and turns that wait."""

    running: int
    queued: int


class MessageRouter:
    """Takes messages in and sees every one of them through.

    `start` takes up what the last process left; `stop` lets running turns finish for a while, interrupts the rest with
    what they have, and leaves waiting ones to the next start.
    """

    def __init__(
        self,
        store: Store,
        handler: Handler,
        ending: TurnEnding,
        live: Live,
        entrance: MessageEntrance,
        *,
        drain_seconds: float = 5.0,
        others: Others | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.arranging = asyncio.Lock()
        """Held while turns of other processes are taken up: what is said meanwhile comes behind them."""
        self._store = store
        self._handler = handler
        self._ending = ending
        self._live = live
        self._others = others or NoOthers()
        self._entrance = entrance
        self._drain_seconds = self._patience = drain_seconds
        self._mailboxes: dict[str, Mailbox] = {}
        self._by_place: dict[tuple[str, str], Mailbox] = {}
        self.accepting = False
        self._arriving: Counter[tuple[str, str]] = Counter()
        self._accepting_now: set[asyncio.Task[Receipt]] = set()
        self._withdrawing: dict[asyncio.Task[None], str] = {}
        metrics = metrics or get_metrics()
        self.taken_over = metrics.counter(
            "antiphon_turns_taken_over_total", "Turns, and replies on their way, that another process had left."
        )
        self._accepted = metrics.counter("antiphon_messages_total", "Messages accepted, by adapter.", ("adapter",))
        metrics.gauge("antiphon_turns_running", "Turns that are being answered now.").set_function(
            lambda: self.waiting().running
        )
        metrics.gauge(
            "antiphon_turns_waiting", "Turns that wait for an earlier one of their conversation."
        ).set_function(lambda: self.waiting().queued)

    # --- in -------------------------------------------------------------------------------------------------------

    async def deliver(self, message: ChannelMessage) -> Receipt:
        """Makes the message durable and gets it into line. Once this returns, the message will have an outcome.

        Raises `ValidationError` for a message nobody can answer, `ServiceError` when it could not be accepted now;
        in both cases nothing was kept and the sender may try again.
        """
        if not self.accepting:
            raise ServiceError("The server is stopping or has just started. Send the message again in a moment.")
        if not message.text.strip() and not (message.attachments or message.uploads):
            raise ValidationError("An empty message has no answer. Write something.")
        if len(message.text) > TEXT_LIMIT:
            raise ValidationError(f"The message has {len(message.text):,} characters; {TEXT_LIMIT:,} are the most.")
        message = await self._entrance.admit(message)
        place = message.adapter, message.place
        mailbox = self._by_place.get(place)
        if self._arriving[place] + (len(mailbox.waiting) if mailbox else 0) >= WAITING_LIMIT:
            raise ServiceError(
                f"{WAITING_LIMIT} messages wait here already. Wait for an answer, or stop the running one."
            )
        accepting = asyncio.create_task(self._accept(message), name="accept")
        self._accepting_now.add(accepting)
        self._arriving[place] += 1
        accepting.add_done_callback(partial(self._arrived, place))
        # A caller that gives up takes nothing back: what is stored gets into line.
        return await asyncio.shield(accepting)

    def _arrived(self, place: tuple[str, str], accepting: asyncio.Task[Receipt]) -> None:
        self._accepting_now.discard(accepting)
        self._arriving[place] -= 1
        if not self._arriving[place]:
            del self._arriving[place]

    async def _accept(self, message: ChannelMessage) -> Receipt:
        accepted = await self._entrance.accept(message, most=WAITING_LIMIT + 1)
        turn = accepted.turn
        if not accepted.duplicate:
            self._accepted.labels(message.adapter).inc()
            log.info("message.accepted", turn_id=turn.id, conversation_id=turn.conversation_id, adapter=message.adapter)
            self._live.message(accepted.message)
            self._live.conversation("created" if accepted.created else "updated", accepted.conversation)
            if accepted.elsewhere is not None:
                self._others.tell(accepted.elsewhere, turn)
            else:
                await self._get_into_line(turn)
        return Receipt(
            conversation_id=turn.conversation_id,
            message_id=turn.message_id,
            turn_id=turn.id,
            duplicate=accepted.duplicate,
        )

    async def cancel(self, conversation_id: str, turn_id: str) -> bool:
        """Stops a turn that runs or waits; what it has said is kept. False when it is neither.

        A turn that waits is over when this returns, which it does once that is stored. Raises `ServiceError` when the
        process that answers it cannot be reached."""
        return await self.cancel_here(conversation_id, turn_id) or await self._others.cancel(conversation_id, turn_id)

    async def cancel_here(self, conversation_id: str, turn_id: str) -> bool:
        """As `cancel`, of this process alone."""
        for stream in self.turns(conversation_id):
            if stream.turn.id == turn_id:
                stream.cancel()
                if self._mailboxes[conversation_id].withdraw(stream):
                    await self._end_withdrawn(stream)
                return True
        return False

    def cancel_all(self, conversation_id: str) -> None:
        """Stops everything in a conversation that was deleted."""
        self.cancel_all_here(conversation_id)
        self._others.stop_all(conversation_id)

    def cancel_all_here(self, conversation_id: str) -> None:
        """As `cancel_all`, of this process alone."""
        for stream in self.turns(conversation_id):
            stream.cancel()

    def turns(self, conversation_id: str) -> Sequence[TurnStream]:
        """The running turn of a conversation and those behind it, in order."""
        mailbox = self._mailboxes.get(conversation_id)
        return mailbox.streams() if mailbox else ()

    async def under_way(self, conversation_id: str, since: Mapping[str, int]) -> tuple[list[UnderWay], bool]:
        """The open turns of a conversation, whichever process answers them, with what they have said behind the live
        number that `since` has for them. False when an answer is told as it was a moment ago, because its process
        cannot be asked."""
        here = self.turns_since(conversation_id, since)
        return (here, all(turn.exact for turn in here)) if here else await self._others.turns(conversation_id, since)

    def turns_since(self, conversation_id: str, since: Mapping[str, int]) -> list[UnderWay]:
        """As `under_way`, of this process alone."""
        return [stream.under_way(since.get(stream.turn.id, 0)) for stream in self.turns(conversation_id)]

    def open(self) -> set[str]:
        """The ids of all turns that run or wait here, or are just being taken back."""
        in_line = {stream.turn.id for box in self._mailboxes.values() for stream in box.streams()}
        return in_line.union(self._withdrawing.values())

    def waiting(self) -> Waiting:
        boxes = self._mailboxes.values()
        return Waiting(sum(box.running is not None for box in boxes), sum(len(box.waiting) for box in boxes))

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Ends what a crash interrupted, takes up what was accepted, then opens."""
        left = await self._store.inbox.unfinished()
        begun: defaultdict[str, list[Unfinished]] = defaultdict(list)
        for unfinished in left:
            if unfinished.state == "running":
                begun[unfinished.turn.conversation_id].append(unfinished)
        await gather_with_concurrency(RECOVERED_AT_ONCE, (self._interrupt(*turns) for turns in begun.values()))
        for unfinished in left:
            if unfinished.state != "running":
                self._enqueue(unfinished.turn, unfinished if unfinished.state == "decided" else None)
        self._patience = self._drain_seconds
        self.accepting = True

    def take_up(self, left: Iterable[Unfinished]) -> None:
        """Gets turns into line that another process has left. One that it had begun is only ended, when its time comes:
        what a tool has done is never done twice. While the router stops they are left to the next one."""
        for unfinished in left if self.accepting else ():
            self._enqueue(unfinished.turn, None if unfinished.state == "accepted" else unfinished)

    def go_on(self, left: Unfinished, elsewhere: str | None) -> None:
        """Gets a turn into line that people have been waited for, here or in the process whose matter it is."""
        if elsewhere is not None:
            self._others.tell(elsewhere, left.turn)
        else:
            self.take_up([left])

    def let_go(self, turn_ids: Collection[str]) -> None:
        """Works no more on turns that another process sees through by now. What is said of them is not stored."""
        for box in self._mailboxes.values():
            for stream in box.streams():
                if stream.turn.id in turn_ids:
                    log.warning("turn.moved", turn_id=stream.turn.id, conversation_id=stream.turn.conversation_id)
                    box.withdraw(stream)
                    stream.cancel(STOPPED)

    async def stop(self) -> None:
        """Closes, waits `drain_seconds` for what runs, then interrupts it. Nothing accepted is lost. Called again,
        also while the first call waits, it waits no longer."""
        self.accepting = False
        patience, self._patience = self._patience, 0.0
        if self._accepting_now:
            await asyncio.wait(self._accepting_now)
        for mailbox in self._mailboxes.values():
            mailbox.waiting.clear()
        workers = [box.worker for box in self._mailboxes.values() if box.worker] + [*self._withdrawing]
        if workers:
            await asyncio.wait(workers, timeout=patience)
        for mailbox in self._mailboxes.values():
            if mailbox.running:
                mailbox.running.cancel(STOPPED)
        if workers:
            _, stuck = await asyncio.wait(workers, timeout=patience + 1.0)
            for worker in stuck:
                worker.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)

    async def _end_withdrawn(self, stream: TurnStream) -> None:
        """Ends a turn that a person took back before it began, also when that person waits no longer."""
        turn, said = stream.turn, stream.parts()
        ending = asyncio.create_task(self._take_back(turn, said), name=f"take back:{turn.id}")
        self._withdrawing[ending] = turn.id
        ending.add_done_callback(self._withdrawing.pop)
        await asyncio.shield(ending)

    async def _take_back(self, turn: Turn, said: tuple[AnyPart, ...]) -> None:
        """No model will read its question, unless one has answered a part of it before people were waited for."""
        parts = (*said, CANCELLED)
        text = text_of(parts) or CANCELLED.text
        reply = TurnReply(id=new_id(), role="assistant", text=text, parts=parts, in_context=bool(said))
        await self._ending.end(turn, TurnRecord(outcome="interrupted", reason=CANCELLED.text), reply)

    async def _interrupt(self, *begun: Unfinished, patient: bool = False) -> None:
        """Ends turns of one conversation, one after the other: their replies stay in order."""
        for unfinished in begun:
            turn = unfinished.turn
            parts = (*unfinished.parts, STOPPED)
            record = structs.replace(unfinished.record or TurnRecord(outcome="interrupted"), reason=STOPPED.text)
            reply = TurnReply(id=new_id(), role="assistant", text=text_of(parts), parts=parts)
            with bind(turn_id=turn.id, conversation_id=turn.conversation_id):
                log.warning("turn.recovered", outcome="interrupted")
                await self._ending.end(turn, record, reply, patient=patient)

    # --- one mailbox for each conversation ------------------------------------------------------------------------

    async def _get_into_line(self, turn: Turn) -> None:
        if self.arranging.locked():
            async with self.arranging:
                pass
        self._enqueue(turn)

    def _enqueue(self, turn: Turn, left: Unfinished | None = None) -> None:
        mailbox = self._mailboxes.setdefault(turn.conversation_id, Mailbox())
        if any(stream.turn.id == turn.id for stream in mailbox.streams()):
            return
        place = turn.target.adapter, turn.target.place
        mailbox.places.add(place)
        self._by_place[place] = mailbox
        stream = TurnStream(turn, self._live.broadcast, self._store.inbox, left)
        # Tickets and not arrival here decide: two commits may be told of in the other order.
        heapq.heappush(mailbox.waiting, (turn.ticket, turn.id, stream))
        if mailbox.worker is None:
            mailbox.worker = asyncio.create_task(
                self._work(turn.conversation_id, mailbox), name=f"mailbox:{turn.conversation_id}"
            )

    async def _work(self, conversation_id: str, mailbox: Mailbox) -> None:
        try:
            while mailbox.waiting:
                _, _, mailbox.running = heapq.heappop(mailbox.waiting)
                try:
                    await self._run(mailbox.running)
                finally:
                    mailbox.running = None
        finally:
            del self._mailboxes[conversation_id]
            for place in mailbox.places:
                # Where the conversation was deleted meanwhile, the next one of its place is there already.
                if self._by_place.get(place) is mailbox:
                    del self._by_place[place]

    async def _run(self, stream: TurnStream) -> None:
        """The boundary of a turn: whatever goes wrong inside becomes its outcome, and the next turn is not touched."""
        turn = stream.turn
        with bind(turn_id=turn.id, conversation_id=turn.conversation_id):
            try:
                if stream.left is not None and not stream.goes_on:
                    await self._interrupt(stream.left, patient=True)
                else:
                    await self._handler.handle(turn, stream)
            except AntiphonError as error:
                log.warning("turn.failed", code=error.code, error=str(error))
                await self._fail(stream, error.public, in_context=not isinstance(error, NotAllowedError))
            except Exception:  # a named boundary: a turn must not take its conversation down
                log.exception("turn.crashed")
                await self._fail(stream, UNEXPECTED.format(turn=turn.id))
            finally:
                await stream.close()

    async def _fail(self, stream: TurnStream, reason: str, *, in_context: bool = True) -> None:
        """Ends a turn for which nothing more can be done: refused, or interrupted with what was said already."""
        turn, said = stream.turn, stream.parts()
        outcome: Outcome = "interrupted" if said else "refused"
        parts = (*said, NoticePart(code="failed", text=reason)) if said else ()
        role: Literal["assistant", "system"] = "assistant" if said else "system"
        text = text_of(said) if said else reason
        reply = TurnReply(id=new_id(), role=role, text=text, parts=parts, in_context=in_context)
        record = TurnRecord(
            outcome=outcome, assistant=stream.assistant, model=stream.model, reason=reason, usage=Usage(estimated=True)
        )
        try:
            await self._ending.end(turn, record, reply)
        except Exception as error:  # the same boundary: also the end of a turn must not take its conversation down
            # Tell who is watching; the next start ends the turn.
            told = error.public if isinstance(error, AntiphonError) else UNEXPECTED.format(turn=turn.id)
            log.exception("turn.outcome_not_taken")
            self._live.turn_end(turn, structs.replace(record, reason=told), None)
