"""The way in, when everything around it misbehaves: stores that fail, handlers that crash, stops at bad moments."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from antiphon.adapters.base import ChannelAdapter
from antiphon.conversation import ending
from antiphon.conversation.ending import TurnEnding
from antiphon.conversation.entrance import MessageEntrance
from antiphon.conversation.outbox import Outbox
from antiphon.conversation.router import RECOVERED_AT_ONCE, WAITING_LIMIT, MessageRouter
from antiphon.conversation.stream import TurnStream
from antiphon.domain import Message, NoticePart, Target, Turn, TurnRecord, new_id
from antiphon.errors import ProcessingError, ServiceError, ValidationError
from antiphon.files.config import FileSettings
from antiphon.files.keeper import FileKeeper
from antiphon.storage.base import Chunk, Finished, Store, TurnReply
from antiphon.telemetry.metrics import Metrics
from tests.unit.conversation.conftest import Ear, Post, asked, letter

Script = Callable[[Turn, TurnStream], Awaitable[None]]


class House:
    """A router over a store, whose turns do what a test says."""

    def __init__(self, store: Store, ear: Ear, script: Script | None = None, drain_seconds: float = 0.2) -> None:
        metrics = Metrics()
        self.store = store
        self.script = script or self.answer
        self.order: list[str] = []
        self.adapters: dict[str, ChannelAdapter] = {}
        self.outbox = Outbox(store.outbox, self.adapters, metrics=metrics)
        self.ending = TurnEnding(store.inbox, self.outbox, ear.live, metrics=metrics)
        self.router = MessageRouter(
            store, self, self.ending, ear.live,
            MessageEntrance(FileKeeper(store.files, FileSettings()), store, lambda: "guide"),
            drain_seconds=drain_seconds, metrics=metrics,
        )  # fmt: skip

    async def handle(self, turn: Turn, stream: TurnStream) -> None:
        self.order.append(turn.text)
        await self.script(turn, stream)

    async def answer(self, turn: Turn, stream: TurnStream) -> None:
        await self.ending.end(turn, TurnRecord(outcome="answered"), reply(turn.text.upper()))

    async def reached(self, running: int) -> None:
        """Waits until so many turns run."""
        async with asyncio.timeout(10):
            while self.router.waiting().running < running:
                await asyncio.sleep(0.001)

    async def idle(self) -> None:
        async with asyncio.timeout(10):
            while self.router.waiting().running or self.router.waiting().queued:
                await asyncio.sleep(0.001)


def reply(text: str) -> TurnReply:
    return TurnReply(id=new_id(), role="assistant", text=text)


async def test_before_the_start_nothing_is_taken(store: Store, ear: Ear) -> None:
    with pytest.raises(ServiceError, match="Send the message again in a moment"):
        await House(store, ear).router.deliver(letter())
    assert await store.inbox.unfinished() == []


async def test_a_handler_that_crashes_ends_its_turn_and_not_the_conversation(
    store: Store, ear: Ear, logged: list[MutableMapping[str, Any]]
) -> None:
    async def script(turn: Turn, stream: TurnStream) -> None:
        if turn.text == "one":
            raise RuntimeError("the secret of the handler")
        if turn.text == "two":
            stream.text("half an ")
            raise ProcessingError("Not for people.", public="It did not work out. Ask again.")
        await house.answer(turn, stream)

    house = House(store, ear, script)
    await house.router.start()
    receipts = [await house.router.deliver(letter(text, key=text)) for text in ("one", "two", "three")]
    await house.idle()
    one, two, three = ear.of("turn_end")
    assert one["status"] == "refused"
    assert receipts[0].turn_id in one["reason"]
    assert (two["status"], two["reason"]) == ("interrupted", "It did not work out. Ask again.")
    assert three["status"] == "answered"
    messages = await store.conversations.messages(receipts[0].conversation_id)
    assert [message.role for message in messages] == ["user", "system", "user", "assistant", "user", "assistant"]
    assert messages[3].text == "half an "
    assert "the secret" not in str(ear.heard)
    assert {line["event"] for line in logged} >= {"turn.crashed", "turn.failed"}
    assert await store.inbox.unfinished() == []
    await house.router.stop()


async def test_an_outcome_that_cannot_be_stored_is_told_and_made_up_for(
    store: Store, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(store, ear)
    await house.router.start()

    async def full(*args: Any, **options: Any) -> Any:
        raise ServiceError("The disk is full: make room.")

    monkeypatch.setattr(ending, "FIRST_PAUSE", 0.001)
    with monkeypatch.context() as patch:
        patch.setattr(store.inbox, "finish", full)
        receipt = await house.router.deliver(letter())
        async with asyncio.timeout(10):
            while not ear.of("turn_end"):
                await asyncio.sleep(0.001)
    await house.idle()
    told, stored = ear.of("turn_end")
    assert (told["status"], told["message_id"], told["reason"]) == ("answered", None, "The disk is full: make room.")
    assert (stored["turn_id"], stored["status"], stored["reason"]) == (receipt.turn_id, "answered", None)
    assert [message.text for message in await store.conversations.messages(receipt.conversation_id)][1:] == ["HELLO"]
    assert await store.inbox.unfinished() == []
    await house.router.stop()


async def test_a_message_that_cannot_be_stored_is_not_accepted(
    store: Store, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*args: Any, **options: Any) -> Any:
        raise ServiceError("The disk is full: make room.")

    house = House(store, ear)
    await house.router.start()
    with monkeypatch.context() as patch:
        patch.setattr(store.inbox, "accept", full)
        with pytest.raises(ServiceError, match="disk is full"):
            await house.router.deliver(letter())
    assert ear.heard == []
    await house.router.deliver(letter())
    await house.idle()
    assert len(ear.of("turn_end")) == 1
    await house.router.stop()


async def test_tickets_decide_the_order_and_not_who_is_told_first(
    store: Store, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two messages are stored, and the later one is heard of first while an earlier turn runs."""
    gate, held = asyncio.Event(), asyncio.Event()

    async def script(turn: Turn, stream: TurnStream) -> None:
        if turn.text == "first":
            await gate.wait()
        await house.answer(turn, stream)

    house = House(store, ear, script)
    await house.router.start()
    await house.router.deliver(letter("first", key="0"))
    accept = store.inbox.accept

    async def slow(message: Any, **options: Any) -> Any:
        accepted = await accept(message, **options)
        if message.text == "second":
            await held.wait()
        return accepted

    monkeypatch.setattr(store.inbox, "accept", slow)
    second = asyncio.create_task(house.router.deliver(letter("second", key="2")))
    async with asyncio.timeout(10):
        while len(await store.inbox.unfinished()) < 2:
            await asyncio.sleep(0.001)
    await house.router.deliver(letter("third", key="3"))
    held.set()
    await second
    gate.set()
    await house.idle()
    assert house.order == ["first", "second", "third"]
    await house.router.stop()


async def test_the_same_key_is_the_same_turn(store: Store, ear: Ear) -> None:
    house = House(store, ear)
    await house.router.start()
    receipts = await asyncio.gather(*(house.router.deliver(letter()) for _ in range(20)))
    await house.idle()
    assert len({receipt.turn_id for receipt in receipts}) == 1
    assert sorted(receipt.duplicate for receipt in receipts) == [False] + [True] * 19
    assert house.order == ["hello"]
    await house.router.stop()


async def test_more_than_may_wait_are_refused_before_they_are_stored(store: Store, ear: Ear) -> None:
    gate = asyncio.Event()

    async def script(turn: Turn, stream: TurnStream) -> None:
        await gate.wait()
        await house.answer(turn, stream)

    house = House(store, ear, script)
    await house.router.start()
    for number in range(WAITING_LIMIT + 1):
        await house.router.deliver(letter(key=str(number)))
    with pytest.raises(ServiceError, match="wait here already"):
        await house.router.deliver(letter(key="one more"))
    await house.router.deliver(letter(place="elsewhere", key="another"))
    await house.reached(2)
    gate.set()
    await house.idle()
    assert len(house.order) == WAITING_LIMIT + 2
    await house.router.stop()


async def test_a_stop_interrupts_what_takes_too_long_and_leaves_what_waits(store: Store, ear: Ear) -> None:
    async def script(turn: Turn, stream: TurnStream) -> None:
        stopped = asyncio.Event()
        stream.start(assistant="guide", model="demo", chosen_by="system")
        stream.on_cancel(stopped.set)
        stream.text("half")
        await stopped.wait()
        record = TurnRecord(outcome="interrupted", reason=stream.stopped.text if stream.stopped else None)
        await house.ending.end(turn, record, TurnReply(id=new_id(), role="assistant", text="half"))

    house = House(store, ear, script)
    await house.router.start()
    await house.router.deliver(letter("one", key="1"))
    await house.router.deliver(letter("two", key="2"))
    await house.reached(1)
    await house.router.stop()
    assert house.order == ["one"]
    assert "The server stopped" in ear.of("turn_end")[0]["reason"]
    assert [left.turn.text for left in await store.inbox.unfinished()] == ["two"]
    with pytest.raises(ServiceError):
        await house.router.deliver(letter(key="3"))
    after = House(store, ear)
    await after.router.start()
    await after.idle()
    assert after.order == ["two"]
    await after.router.stop()


async def test_a_turn_that_does_not_hear_is_left_to_the_next_start(store: Store, ear: Ear) -> None:
    async def deaf(turn: Turn, stream: TurnStream) -> None:
        await asyncio.Event().wait()

    house = House(store, ear, deaf, drain_seconds=0.05)
    await house.router.start()
    await house.router.deliver(letter())
    await house.reached(1)
    await house.router.stop()
    (left,) = await store.inbox.unfinished()
    assert (left.turn.text, left.state) == ("hello", "accepted")
    after = House(store, ear)
    await after.router.start()
    await after.idle()
    assert after.order == ["hello"]
    await after.router.stop()


async def test_the_line_is_as_short_as_it_says_however_many_push_at_once(store: Store, ear: Ear) -> None:
    gate = asyncio.Event()

    async def script(turn: Turn, stream: TurnStream) -> None:
        await gate.wait()
        await house.answer(turn, stream)

    house = House(store, ear, script)
    await house.router.start()
    await house.router.deliver(letter("first", key="first"))
    await house.reached(1)
    pushed = [house.router.deliver(letter(f"{number}", key=f"{number}")) for number in range(3 * WAITING_LIMIT)]
    results = await asyncio.gather(*pushed, return_exceptions=True)
    assert sum(isinstance(result, ServiceError) for result in results) == 2 * WAITING_LIMIT
    gate.set()
    await house.idle()
    assert len(house.order) == 1 + WAITING_LIMIT
    await house.router.deliver(letter("there is room again", key="later"))
    await house.idle()
    await house.router.stop()


async def test_a_caller_that_gives_up_takes_nothing_back(store: Store, ear: Ear) -> None:
    """A message that the store has taken is answered, whoever has stopped waiting for the receipt."""
    house = House(store, ear)
    await house.router.start()
    caller = asyncio.create_task(house.router.deliver(letter("wait for me")))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled()
    async with asyncio.timeout(10):
        while not ear.of("turn_end"):
            await asyncio.sleep(0.001)
    assert house.order == ["wait for me"]
    await house.router.stop()


@pytest.mark.parametrize("trouble", [ValidationError("The store has changed its mind."), TypeError("a mistake")])
async def test_nothing_that_a_store_raises_strands_the_messages_behind(
    store: Store, ear: Ear, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    """Neither the writing behind nor the outcome of one turn may take the mailbox of its conversation down."""

    died = asyncio.Event()

    async def dies(*args: Any, **options: Any) -> Any:
        died.set()
        raise trouble

    async def script(turn: Turn, stream: TurnStream) -> None:
        if turn.text == "one":
            stream.text("half")
            await died.wait()
            raise ProcessingError("It did not work out.")
        monkeypatch.undo()
        await house.answer(turn, stream)

    house = House(store, ear, script)
    await house.router.start()
    monkeypatch.setattr(store.inbox, "append", dies)
    monkeypatch.setattr(store.inbox, "finish", dies)
    for text in ("one", "two"):
        await house.router.deliver(letter(text, key=text))
    await house.idle()
    assert house.order == ["one", "two"]
    assert [end["status"] for end in ear.of("turn_end")] == ["interrupted", "answered"]
    await house.router.stop()


async def test_what_had_begun_before_a_crash_is_not_run_again(store: Store, ear: Ear) -> None:
    """A tool may have done something already: the turn is ended with what there is."""
    begun = await asked(store)
    await store.inbox.begin(begun.turn, TurnRecord(outcome="interrupted", model="demo"), context=0)
    await store.inbox.append(begun.turn.id, [Chunk(seq=1, kind="text", text="half an ")])
    house = House(store, ear)
    await house.router.start()
    (end,) = ear.of("turn_end")
    assert (end["turn_id"], end["status"]) == (begun.turn.id, "interrupted")
    assert house.order == []
    _, answer = await store.conversations.messages(begun.conversation.id)
    assert answer.text == "half an "
    assert isinstance(answer.parts[-1], NoticePart)
    assert answer.record is not None
    assert answer.record.model == "demo"
    await house.router.stop()


class Crowd(Post):
    """A platform that lets nobody through before as many are there as may come at once."""

    def __init__(self) -> None:
        super().__init__(idempotent=True)
        self.here = self.most = 0
        self.open = asyncio.Event()

    async def send_message(self, target: Target, message: Message) -> str | None:
        self.here += 1
        self.most = max(self.most, self.here)
        if self.here == RECOVERED_AT_ONCE:
            self.open.set()
        await self.open.wait()
        self.here -= 1
        return await super().send_message(target, message)


async def test_a_start_ends_many_turns_side_by_side_and_those_of_one_conversation_in_order(
    store: Store, ear: Ear
) -> None:
    places = [f"loft {number}" for number in range(RECOVERED_AT_ONCE + 8)]
    tickets: dict[str, list[str]] = {}
    for text in ("one", "two", "three"):
        for place in places:
            turn = (await asked(store, text, place=place, key=f"{place} {text}")).turn
            tickets.setdefault(turn.conversation_id, []).append(turn.id)
            if text != "three":
                await store.inbox.begin(turn, TurnRecord(outcome="interrupted"), context=0)
    house, crowd = House(store, ear), Crowd()
    house.adapters[crowd.name] = crowd
    async with asyncio.timeout(20):
        await house.router.start()
        assert (crowd.most, len(crowd.sent)) == (RECOVERED_AT_ONCE, 2 * len(places))
        await house.idle()
    ended: dict[str, list[str]] = {}
    for topic, event, payload in ear.heard:
        if event == "turn_end":
            ended.setdefault(topic.removeprefix("conversation:"), []).append(payload["turn_id"])
    assert ended == tickets
    await house.router.stop()
    await house.outbox.stop()


async def test_nothing_runs_when_a_start_could_not_end_what_was_interrupted(
    store: Store, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*args: Any, **options: Any) -> None:
        raise ServiceError("The disk is full: make room.")

    await asked(store, "waits", place="elsewhere", key="1")
    begun = await asked(store, "begun", key="2")
    await store.inbox.begin(begun.turn, TurnRecord(outcome="interrupted"), context=0)
    house = House(store, ear)
    monkeypatch.setattr(store.inbox, "finish", full)
    with pytest.raises(ServiceError, match="The disk is full"):
        await house.router.start()
    assert (house.router.waiting().queued, house.order) == (0, [])


async def test_a_turn_is_cancelled_before_during_and_not_after(store: Store, ear: Ear) -> None:
    heard: list[str] = []
    gate = asyncio.Event()

    async def script(turn: Turn, stream: TurnStream) -> None:
        stream.on_cancel(lambda: heard.append(turn.text))
        if turn.text == "one":
            await gate.wait()
        await house.answer(turn, stream)

    house = House(store, ear, script)
    await house.router.start()
    one = await house.router.deliver(letter("one", key="1"))
    two = await house.router.deliver(letter("two", key="2"))
    await house.reached(1)
    where = one.conversation_id
    assert [stream.turn.id for stream in house.router.turns(where)] == [one.turn_id, two.turn_id]
    assert await house.router.cancel(where, two.turn_id)
    # What waited is over at once: not even a crash brings it back.
    assert [(end["turn_id"], end["status"]) for end in ear.of("turn_end")] == [(two.turn_id, "interrupted")]
    assert [left.turn.id for left in await store.inbox.unfinished()] == [one.turn_id]
    assert not await house.router.cancel(where, two.turn_id)
    assert not await house.router.cancel("elsewhere", one.turn_id)
    assert await house.router.cancel(where, one.turn_id)
    assert await house.router.cancel(where, one.turn_id)
    assert heard == ["one"]
    gate.set()
    await house.idle()
    assert heard == house.order == ["one"]
    assert not await house.router.cancel(where, one.turn_id)
    await house.router.stop()


async def test_a_turn_is_taken_back_also_for_somebody_who_has_gone(
    store: Store, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, asked_for, stored = asyncio.Event(), asyncio.Event(), asyncio.Event()
    finish = store.inbox.finish

    async def slow(*turn: Any, **how: Any) -> Finished:
        asked_for.set()
        await stored.wait()
        return await finish(*turn, **how)

    async def script(turn: Turn, stream: TurnStream) -> None:
        await gate.wait()
        await house.answer(turn, stream)

    house = House(store, ear, script)
    await house.router.start()
    await house.router.deliver(letter("one", key="1"))
    two = await house.router.deliver(letter("two", key="2"))
    await house.reached(1)
    with monkeypatch.context() as patched:
        patched.setattr(store.inbox, "finish", slow)
        impatient = asyncio.create_task(house.router.cancel(two.conversation_id, two.turn_id))
        await asked_for.wait()
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert two.turn_id in house.router.open(), "nobody else may take it for forgotten"
    gate.set()
    stopping = asyncio.create_task(house.router.stop())
    stored.set()
    await stopping
    assert (two.turn_id, "interrupted") in [(end["turn_id"], end["status"]) for end in ear.of("turn_end")]
    assert house.router.open() == set()
    assert house.order == ["one"]


async def test_a_conversation_that_was_deleted_leaves_the_next_one_of_its_place_alone(store: Store, ear: Ear) -> None:
    gates = {"old": asyncio.Event(), "new": asyncio.Event()}

    async def script(turn: Turn, stream: TurnStream) -> None:
        await gates[turn.text].wait()

    house = House(store, ear, script)
    await house.router.start()
    old = await house.router.deliver(letter("old", key="1"))
    await house.reached(1)
    await store.conversations.delete(old.conversation_id)
    new = await house.router.deliver(letter("new", key="2"))
    await house.reached(2)
    (worker,) = (task for task in asyncio.all_tasks() if task.get_name() == f"mailbox:{new.conversation_id}")
    gates["old"].set()
    async with asyncio.timeout(10):
        while house.router.waiting().running > 1:
            await asyncio.sleep(0.001)
    gates["new"].set()
    await worker
    await house.router.stop()
