"""Three processes' worth of a house in one loop, on a real PostgreSQL: whose turn, who takes over, who is asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from antiphon.adapters.base import Capabilities, ChannelAdapter
from antiphon.conversation import neighbours, watch
from antiphon.conversation.ending import TurnEnding
from antiphon.conversation.entrance import MessageEntrance
from antiphon.conversation.neighbours import Neighbours
from antiphon.conversation.outbox import Outbox
from antiphon.conversation.router import WAITING_LIMIT, MessageRouter
from antiphon.conversation.stream import TurnStream
from antiphon.conversation.watch import TurnWatch
from antiphon.domain import Message, Target, ToolPart, Turn, TurnRecord, new_id
from antiphon.errors import ServiceError
from antiphon.files.config import FileSettings
from antiphon.files.keeper import FileKeeper
from antiphon.realtime.brokers.memory import MemoryBroker, MemoryHub
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.runtime.tasks import Restart
from antiphon.storage.base import Store, TurnReply, Unfinished
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_claim, open_store
from antiphon.telemetry.metrics import Metrics
from tests.unit.conversation.conftest import Ear, Post, letter

BEGUN = TurnRecord(outcome="interrupted", assistant="guide", model="demo:demo")


class Node:
    """A process of the house, without its sockets. Its turns begin, say what they are told to and wait for `go`."""

    def __init__(self, url: str, hub: MemoryHub) -> None:
        metrics = Metrics()
        settings = DatabaseSettings(url=url)
        self.ear = Ear()
        self.cluster = Cluster(MemoryBroker(hub), name=new_id(), metrics=metrics)
        self.store: Store = open_store(settings, node=self.cluster.node, metrics=metrics)
        self.claim = open_claim(settings, node=self.cluster.node)
        self.post = Post()
        self.adapters: dict[str, ChannelAdapter] = {self.post.name: self.post}
        self.outbox = Outbox(self.store.outbox, self.adapters, metrics=metrics)
        self.ending = TurnEnding(self.store.inbox, self.outbox, self.ear.live, metrics=metrics)
        self.neighbours = Neighbours(self.cluster, self.store.nodes)
        self.router = MessageRouter(
            self.store, self, self.ending, self.ear.live,
            MessageEntrance(FileKeeper(self.store.files, FileSettings()), self.store, lambda: "guide"),
            drain_seconds=0.2, others=self.neighbours, metrics=metrics,
        )  # fmt: skip
        self.watch = TurnWatch(self.store, self.router, self.outbox, self.cluster.node)
        self.neighbours.serve(self.router, self.watch)
        self.go = asyncio.Event()
        self.ran: list[str] = []
        self._open = AsyncExitStack()

    async def handle(self, turn: Turn, stream: TurnStream) -> None:
        if await self.store.inbox.begin(turn, BEGUN, context=10) is None:
            return
        self.ran.append(turn.text)
        stream.start(assistant="guide", model="demo:demo", chosen_by="system")
        stream.text(f"{turn.text} ")
        stream.on_cancel(self.go.set)
        await self.go.wait()
        stopped = stream.stopped is not None
        record = TurnRecord(outcome="interrupted" if stopped else "answered")
        await self.ending.end(turn, record, TurnReply(id=new_id(), role="assistant", text=turn.text.upper()))

    async def start(self) -> None:
        await self.claim.take(f"http://{self.cluster.name}")
        await self.store.start()
        await self.outbox.start()
        await self.router.start()
        await self.watch.start()
        await self.cluster.start()

    async def stop(self) -> None:
        await self.cluster.stop()
        await self.watch.stop()
        await self.neighbours.stop()
        await self.router.stop()
        await self.outbox.stop()
        await self.watch.leave()
        await self.store.stop()
        await self.claim.release()

    async def die(self) -> None:
        """As `kill -9` does for the others: its lock is gone, and nobody answers for it any more."""
        await self.watch.stop()
        await self.claim.release()
        await self.cluster.stop()


Enter = Callable[[], Awaitable[Node]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watch, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(neighbours, "ANSWER_SECONDS", 0.3)


@pytest.fixture
async def enter(postgres_url: str) -> AsyncIterator[Enter]:
    hub = MemoryHub()
    async with AsyncExitStack() as opened:

        async def node() -> Node:
            made = Node(postgres_url, hub)
            await made.start()
            opened.push_async_callback(made.stop)
            return made

        yield node


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def stored(node: Node, conversation_id: str, seq: int) -> None:
    """Waits until so much of a running answer is in the store, which is written every quarter of a second."""
    async with asyncio.timeout(10):
        while (await node.store.nodes.open(conversation_id))[1][0].seq < seq:
            await asyncio.sleep(0.005)


async def outcomes(node: Node, conversation_id: str) -> list[tuple[str, str, str]]:
    messages = await node.store.conversations.messages(conversation_id)
    return [(message.role, message.status, message.text) for message in messages]


@asynccontextmanager
async def running(node: Node, text: str = "one") -> AsyncIterator[str]:
    """A turn that runs on `node` and has said something; the id of its conversation."""
    receipt = await node.router.deliver(letter(text, key=text))
    await until(lambda: text in node.ran)
    yield receipt.conversation_id


async def test_a_conversation_has_one_mailbox_in_the_whole_house(enter: Enter) -> None:
    a, b = await enter(), await enter()
    async with running(a) as conversation_id:
        for number in range(4):
            await (b, a)[number % 2].router.deliver(letter(f"more {number}", key=str(number)))
        await until(lambda: a.router.waiting().queued == 4)
        a.go.set()
        await until(lambda: len(a.ear.of("turn_end")) == 5)
    assert a.ran == ["one", "more 0", "more 1", "more 2", "more 3"]
    assert b.ran == []
    assert a.post.sent == [text.upper() for text in a.ran]
    assert {status for _, status, _ in await outcomes(b, conversation_id)} == {"answered"}


async def test_a_message_that_its_process_was_not_told_of_is_found(enter: Enter) -> None:
    a, b = await enter(), await enter()
    async with running(a):
        await b.cluster.stop()
        await b.router.deliver(letter("unheard", key="unheard"))
        a.go.set()
        await until(lambda: a.ran == ["one", "unheard"])


async def test_what_a_dead_process_left_has_one_outcome(enter: Enter) -> None:
    a, b, c = await enter(), await enter(), await enter()
    async with running(a) as conversation_id:
        await a.router.deliver(letter("two", key="two"))
        await stored(a, conversation_id, 1)
        await a.die()
        b.go.set()
        c.go.set()
        await until(lambda: b.ran + c.ran == ["two"])
        await until(lambda: b.ear.of("turn_end") + c.ear.of("turn_end"))
        await until(lambda: b.post.sent + c.post.sent and not b.router.open() | c.router.open())
    assert await outcomes(b, conversation_id) == [
        ("user", "interrupted", "one"),
        ("assistant", "interrupted", "one "),
        ("user", "answered", "two"),
        ("assistant", "answered", "TWO"),
    ]
    a.go.set()  # it was not dead after all
    await until(lambda: not a.router.open())
    assert len(await outcomes(b, conversation_id)) == 4
    assert a.post.sent == []
    assert a.ear.of("turn_end") == []


async def test_a_process_that_was_only_cut_off_loses_nothing_within_the_grace(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "GRACE_SECONDS", 60)
    a, b = await enter(), await enter()
    async with running(a):
        await a.claim.release()
        await until(lambda: b.watch._missing)
        await a.claim.take()
        await until(lambda: not b.watch._missing)
        a.go.set()
        await until(lambda: a.ear.of("turn_end"))
    assert a.ear.of("turn_end")[0]["status"] == "answered"


async def test_a_process_that_was_replaced_lets_go(enter: Enter) -> None:
    a, b = await enter(), await enter()
    async with running(a) as conversation_id:
        await a.router.deliver(letter("two", key="two"))
        await a.claim.release()
        b.go.set()
        await until(lambda: b.ran == ["two"])
        await a.claim.take()
        await until(lambda: not a.router.open())
    assert a.ran == ["one"]
    assert a.post.sent == []
    assert [status for _, status, _ in await outcomes(b, conversation_id)].count("answered") == 2


async def test_a_process_that_stops_gives_its_waiting_turns_away(enter: Enter) -> None:
    a, b = await enter(), await enter()
    b.go.set()
    async with running(a) as conversation_id:
        await a.router.deliver(letter("two", key="two"))
        await a.stop()
        await until(lambda: b.ran == ["two"])
        await until(lambda: b.ear.of("turn_end"))
    assert [status for _, status, _ in await outcomes(b, conversation_id)].count("interrupted") == 2


async def test_replies_on_their_way_are_sent_by_the_next_one_or_marked(enter: Enter) -> None:
    a, b = await enter(), await enter()
    a.go.set()
    a.post.trouble = [ServiceError("The platform is away."), ServiceError("The platform is away.")]
    receipt = await a.router.deliver(letter("one", key="one"))
    await until(lambda: not a.router.open())
    assert a.outbox.open() == {receipt.turn_id}
    await a.outbox.stop()
    await a.die()
    await until(lambda: b.post.sent == ["ONE"])
    assert a.post.sent == []


async def test_the_limit_holds_for_the_whole_conversation(enter: Enter) -> None:
    a, b = await enter(), await enter()
    async with running(a):
        for number in range(WAITING_LIMIT):
            await (a, b)[number % 2].router.deliver(letter(str(number), key=str(number)))
        for node in (a, b):
            with pytest.raises(ServiceError, match="wait here already"):
                await node.router.deliver(letter("too much", key=new_id()))
        a.go.set()
        await until(lambda: len(a.ear.of("turn_end")) == WAITING_LIMIT + 1)


async def test_a_running_answer_is_seen_from_everywhere(enter: Enter) -> None:
    a, b = await enter(), await enter()
    async with running(a) as conversation_id:
        await b.router.deliver(letter("two", key="two"))
        await until(lambda: a.router.waiting().queued)
        [one, two], exact = await b.router.under_way(conversation_id, {})
        assert exact
        assert (one.status, one.assistant, one.events[0][1]["text"], two.status) == (
            "running",
            "guide",
            "one ",
            "queued",
        )
        [stream, _] = a.router.turns(conversation_id)
        stream.tool(ToolPart(call_id="1", name="ring", arguments="{}", status="done", result="rung"))
        [one, _], exact = await b.router.under_way(conversation_id, {one.turn_id: 1})
        assert (one.events[0][0], one.events[0][1]["seq"], len(one.events)) == ("tool", 2, 1)
        assert await b.router.under_way("01ARZ3NDEKTSV4RRFFQ69G5FAV", {}) == ([], True)


async def test_an_answer_whose_process_is_silent_is_told_as_the_store_has_it(enter: Enter) -> None:
    a, b = await enter(), await enter()
    async with running(a) as conversation_id:
        [stream] = a.router.turns(conversation_id)
        stream.tool(ToolPart(call_id="1", name="ring", arguments="{}", status="done", result="rung"))
        stream.text("more")
        await stored(a, conversation_id, 3)
        await a.cluster.stop()
        [one], exact = await b.router.under_way(conversation_id, {})
        assert not exact
        assert (one.status, one.model) == ("running", "demo:demo")
        assert [(event, payload["seq"]) for event, payload in one.events] == [("tool", 2), ("delta", 3)]
        assert one.events[1][1]["text"] == "one more"


async def test_an_answer_in_words_of_another_version_is_no_answer(enter: Enter) -> None:
    a, b = await enter(), await enter()

    async def newer(_: bytes) -> bytes:
        return b'[{"turn": "in other words"}]'

    async with running(a) as conversation_id:
        await stored(a, conversation_id, 1)
        a.cluster.on_request(neighbours.TURNS, newer)
        [one], exact = await b.router.under_way(conversation_id, {})
        assert (one.events[0][1]["text"], exact) == ("one ", False)


async def test_a_turn_is_stopped_from_everywhere(enter: Enter) -> None:
    a, b = await enter(), await enter()
    async with running(a) as conversation_id:
        waiting = await b.router.deliver(letter("two", key="two"))
        await until(lambda: a.router.waiting().queued)
        assert await b.router.cancel(conversation_id, waiting.turn_id)
        [stream] = a.router.turns(conversation_id)
        assert await b.router.cancel(conversation_id, stream.turn.id)
        await until(lambda: len(a.ear.of("turn_end")) == 2)
        assert not await b.router.cancel(conversation_id, stream.turn.id)
        assert not await b.router.cancel(conversation_id, "nothing")
    assert [status for _, status, _ in await outcomes(b, conversation_id)] == ["interrupted"] * 4


async def test_a_turn_that_is_being_taken_back_is_not_taken_up(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    a = await enter()
    a.post.capabilities = Capabilities(idempotent=True)
    asked_for, go, send = asyncio.Event(), asyncio.Event(), a.post.send_message

    async def slowly(target: Target, message: Message) -> str | None:
        asked_for.set()
        await go.wait()
        return await send(target, message)

    monkeypatch.setattr(a.post, "send_message", slowly)
    async with running(a) as conversation_id:
        two = await a.router.deliver(letter("two", key="two"))
        taking_back = asyncio.create_task(a.router.cancel(conversation_id, two.turn_id))
        await asked_for.wait()
        for _ in range(3):
            await a.watch.look()
        go.set()
        assert await taking_back
        a.go.set()
        await until(lambda: not a.router.open() | a.outbox.open())
    assert a.ran == ["one"]
    assert a.post.sent == ["Stopped.", "ONE"]


async def test_what_was_just_to_be_taken_up_does_not_begin_in_a_process_that_stops(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await enter(), await enter()
    a.go.set()
    async with running(b) as conversation_id:
        asked_for, go, read = asyncio.Event(), asyncio.Event(), a.store.inbox.unfinished

        async def slowly(turn_ids: Collection[str] | None = None) -> list[Unfinished]:
            left = await read(turn_ids)
            asked_for.set()
            await go.wait()
            return left

        await b.router.deliver(letter("two", key="two"))
        monkeypatch.setattr(a.store.inbox, "unfinished", slowly)
        b.router.accepting = False  # it looks no more, and does not notice what it has lost
        await b.claim.release()
        await asked_for.wait()
        await a.router.stop()
        go.set()
        await until(lambda: not a.router.arranging.locked())
        assert a.router.open() == set()
        _, [_, two] = await a.store.nodes.open(conversation_id)
        assert (two.turn.text, two.state, a.ran) == ("two", "accepted", [])


async def test_a_watch_that_crashes_looks_again(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that did not would leave the turns of the dead to nobody, and no log would say so a second time."""
    monkeypatch.setattr(watch, "RESTART", Restart(first_pause=0.01))
    a, b = await enter(), await enter()
    crashed = asyncio.Event()

    async def crash() -> set[str]:
        crashed.set()
        raise RuntimeError("Nobody has thought of this.")

    async with running(a):
        with monkeypatch.context() as patched:
            patched.setattr(b.store.nodes, "turns", crash)
            await crashed.wait()
        await a.router.deliver(letter("two", key="two"))
        b.go.set()
        await a.die()
        await until(lambda: b.ran == ["two"])
        a.go.set()


async def test_who_cannot_be_told_to_stop_is_named_as_such(enter: Enter) -> None:
    a, b = await enter(), await enter()
    async with running(a) as conversation_id:
        [stream] = a.router.turns(conversation_id)
        await a.cluster.stop()
        with pytest.raises(ServiceError) as caught:
            await b.router.cancel(conversation_id, stream.turn.id)
        assert "Try again in a moment" in caught.value.public


async def test_a_deleted_conversation_is_stopped_everywhere(enter: Enter) -> None:
    a, b = await enter(), await enter()
    async with running(a) as conversation_id:
        await until(b.cluster.peers)
        await b.store.conversations.delete(conversation_id)
        b.router.cancel_all(conversation_id)
        await until(lambda: not a.router.open())


async def test_a_store_that_fails_gives_nobody_up(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot look does not know who was there meanwhile."""
    a, b = await enter(), await enter()
    async with running(a):
        await a.claim.release()
        await until(lambda: b.watch._missing)

        async def away() -> set[str]:
            raise ServiceError("The database does not answer.")

        with monkeypatch.context() as patch:
            patch.setattr(b.store.nodes, "turns", away)
            await until(lambda: not b.watch._missing)
        await a.claim.take()
        a.go.set()
        await until(lambda: a.ear.of("turn_end"))
        assert a.ear.of("turn_end")[0]["status"] == "answered"
