"""Whose turn is whose, when several processes answer from one database: `NodeStore`, and what it makes of the inbox."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from msgspec import structs

from antiphon.domain import ChannelMessage, NoticePart, TextPart, TurnRecord, new_id
from antiphon.errors import ServiceError
from antiphon.storage.base import Accepted, Chunk, Store, TurnReply
from antiphon.storage.claim import Claim
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_claim, open_store
from tests.postgres import Databases

OpenNode = Callable[[str], Awaitable[Store]]

BEGUN = TurnRecord(outcome="interrupted", assistant="guide", model="demo:demo")


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSettings]:
    if request.param == "sqlite":
        yield DatabaseSettings(url=f"sqlite:///{tmp_path_factory.mktemp('nodes')}/antiphon.db")
        return
    databases: Databases = request.getfixturevalue("databases")
    url = databases.ready()
    yield DatabaseSettings(url=url)
    databases.drop(url)


@pytest.fixture
async def node(settings: DatabaseSettings) -> AsyncIterator[OpenNode]:
    """Opens the store of a process by the name of its node."""
    async with AsyncExitStack() as opened:

        async def open_node(name: str) -> Store:
            store = open_store(settings, node=name)
            await store.start()
            opened.push_async_callback(store.stop)
            return store

        yield open_node


@pytest.fixture
async def two(node: OpenNode) -> tuple[Store, Store]:
    return await node("a"), await node("b")


async def ask(store: Store, key: str = "", *, place: str = "room", most: int | None = None) -> Accepted:
    message = ChannelMessage(adapter="telegram", place=place, account="ann", key=key or new_id(), text="Hello")
    return await store.inbox.accept(message, assistant="guide", most=most)


def reply(text: str = "An answer.") -> TurnReply:
    return TurnReply(id=new_id(), role="assistant", text=text, parts=(TextPart(text=text),))


async def test_a_conversation_is_one_nodes_until_nothing_of_it_is_open(two: tuple[Store, Store]) -> None:
    a, b = two
    first = await ask(a)
    assert first.elsewhere is None
    assert (await ask(b)).elsewhere == "a"
    assert (await ask(b, place="elsewhere")).elsewhere is None
    third = await ask(a)
    assert third.elsewhere is None
    for unfinished in await a.inbox.unfinished():
        done = await a.inbox.finish(unfinished.turn, BEGUN, reply(), deliver=unfinished.turn.id == third.turn.id)
    assert done.delivery_id is not None
    assert (await ask(b, "held by the reply")).elsewhere == "a"
    [waiting] = await a.inbox.unfinished()
    await a.inbox.finish(waiting.turn, BEGUN, None)
    await a.outbox.delivered(done.delivery_id)
    assert (await ask(b)).elsewhere is None


async def test_each_node_is_given_its_own_and_a_process_alone_everything(
    two: tuple[Store, Store], node: OpenNode
) -> None:
    a, b = two
    one, other = await ask(a, place="1"), await ask(b, place="2")
    done = await a.inbox.finish((await ask(a, place="3")).turn, BEGUN, reply())
    assert done.message is not None
    assert [unfinished.turn.id for unfinished in await a.inbox.unfinished()] == [one.turn.id]
    assert [unfinished.turn.id for unfinished in await b.inbox.unfinished()] == [other.turn.id]
    assert await b.inbox.unfinished([one.turn.id]) == []
    assert [unfinished.turn.id for unfinished in await b.inbox.unfinished([one.turn.id, other.turn.id])] == [
        other.turn.id
    ]
    assert await a.nodes.turns() == {one.turn.id, done.message.turn_id}
    assert [delivery.id for delivery in await a.outbox.pending()] == [done.delivery_id]
    assert await b.outbox.pending() == await b.outbox.pending(turn_ids=[done.message.turn_id]) == []
    alone = await node("")
    assert {unfinished.turn.id for unfinished in await alone.inbox.unfinished()} == {one.turn.id, other.turn.id}
    assert [delivery.id for delivery in await alone.outbox.pending()] == [done.delivery_id]
    assert (await ask(alone, place="1")).elsewhere is None


async def test_replies_of_given_turns_come_in_the_order_in_which_they_were_made(two: tuple[Store, Store]) -> None:
    """And not in that of their turns, whose ids may come from two processes with two clocks."""
    a, _ = two
    first, second = (await ask(a)).turn, (await ask(a)).turn
    made = [(await a.inbox.finish(turn, BEGUN, reply())).delivery_id for turn in (second, first)]
    turns = [first.id, second.id]
    assert [delivery.id for delivery in await a.outbox.pending(turn_ids=turns)] == made
    assert [delivery.id for delivery in await a.outbox.pending(turn_ids=turns, limit=1)] == made[:1]


async def test_the_same_key_on_another_node_is_known_with_its_node(two: tuple[Store, Store]) -> None:
    a, b = two
    first = await ask(a, "k")
    again = await ask(b, "k")
    assert (again.duplicate, again.turn.id, again.elsewhere) == (True, first.turn.id, "a")


async def test_only_its_node_begins_and_ends_a_turn(two: tuple[Store, Store]) -> None:
    a, b = two
    turn = (await ask(a)).turn
    assert await b.inbox.begin(turn, BEGUN, context=10) is None
    refused = await b.inbox.finish(turn, BEGUN, reply())
    assert (refused.elsewhere, refused.message, refused.delivery_id) == (True, None, None)
    assert [unfinished.state for unfinished in await a.inbox.unfinished()] == ["accepted"]
    assert await a.inbox.begin(turn, BEGUN, context=10) == []
    assert await a.inbox.begin(turn, BEGUN, context=10) == []  # as after a COMMIT whose answer was lost
    done = await a.inbox.finish(turn, BEGUN, reply("mine"))
    again = await a.inbox.finish(turn, BEGUN, reply("mine, too"))
    assert (again.message, again.delivery_id, again.elsewhere) == (done.message, done.delivery_id, False)
    assert (await b.inbox.finish(turn, BEGUN, reply())).elsewhere
    assert await a.inbox.begin(turn, BEGUN, context=10) is None


async def test_the_limit_holds_for_all_nodes_together(two: tuple[Store, Store]) -> None:
    a, b = two
    for number in range(4):
        await ask(two[number % 2], most=4)
    for store in two:
        with pytest.raises(ServiceError, match="wait here already"):
            await ask(store, "too much", most=4)
    assert len(await b.conversations.messages((await ask(b)).turn.conversation_id)) == 5
    await ask(a, place="elsewhere", most=4)


async def test_what_is_taken_over_goes_to_one_whole_and_is_not_the_others_any_more(
    two: tuple[Store, Store], node: OpenNode
) -> None:
    a, b = two
    c = await node("c")
    running, waiting = (await ask(a)).turn, (await ask(a)).turn
    await a.inbox.begin(running, BEGUN, context=10)
    await a.inbox.append(running.id, [Chunk(seq=7, kind="text", text="half ")])
    sent = await a.inbox.finish((await ask(a, place="2")).turn, BEGUN, reply())
    ended = (await ask(a, place="3")).turn
    await a.inbox.finish(ended, BEGUN, reply(), deliver=False)
    assert sent.message is not None
    taken = await asyncio.gather(b.nodes.take_over({"a"}), c.nodes.take_over({"a"}))
    assert sorted(map(len, taken)) == [0, 3]
    assert {*taken[0], *taken[1]} == {running.id, waiting.id, sent.message.turn_id}
    heir = b if taken[0] else c
    found = await heir.inbox.unfinished(taken[0] or taken[1])
    assert [(one.turn.id, one.state, one.parts, one.seq) for one in found] == [
        (running.id, "running", (TextPart(text="half "),), 7),
        (waiting.id, "accepted", (), 0),
    ]
    assert [delivery.id for delivery in await heir.outbox.pending(turn_ids=taken[0] or taken[1])] == [sent.delivery_id]
    assert await a.inbox.begin(waiting, BEGUN, context=10) is None
    assert (await a.inbox.finish(running, BEGUN, reply("late"))).elsewhere
    parts = (*found[0].parts, NoticePart(code="stopped", text="Stopped."))
    told = await heir.inbox.finish(running, BEGUN, structs.replace(reply(), text="half ", parts=parts))
    assert told.message is not None
    assert await a.nodes.turns() == set()


async def test_nobody_takes_apart_what_is_said_meanwhile(two: tuple[Store, Store], node: OpenNode) -> None:
    """While a dead node's turns are taken over by two at once, messages of the same conversations come in."""
    a, b = two
    c = await node("c")
    places = [str(number) for number in range(10)]
    for place in places:
        await ask(a, place=place)

    async def speak(store: Store) -> None:
        for place in places * 3:
            await ask(store, place=place)

    async def take(store: Store) -> None:
        for _ in range(10):
            await store.nodes.take_over({"a"})

    await asyncio.gather(speak(b), take(b), speak(c), take(c))
    owners: dict[str, set[str]] = {}
    for name, store in (("b", b), ("c", c)):
        for unfinished in await store.inbox.unfinished():
            owners.setdefault(unfinished.turn.target.place, set()).add(name)
    assert await a.nodes.turns() == set()
    assert [len(owners[place]) for place in places] == [1] * 10


async def test_what_is_given_away_is_nobodys_until_it_is_taken(two: tuple[Store, Store]) -> None:
    a, b = two
    turn = (await ask(a)).turn
    await a.nodes.give_away()
    assert await a.inbox.unfinished() == []
    assert "" in await b.nodes.gone()
    later = await ask(b)
    assert later.elsewhere == ""
    assert sorted(await b.nodes.take_over({""})) == sorted([turn.id, later.turn.id])
    assert "" not in await b.nodes.gone()


async def test_the_open_turns_of_a_conversation_are_known_with_their_node(two: tuple[Store, Store]) -> None:
    a, b = two
    first, second = (await ask(a)).turn, (await ask(a)).turn
    await a.inbox.begin(first, BEGUN, context=10)
    await a.inbox.append(first.id, [Chunk(seq=3, kind="text", text="so far")])
    whose, found = await b.nodes.open(first.conversation_id)
    assert (whose, [(one.turn.id, one.state, one.seq) for one in found]) == (
        "a",
        [(first.id, "running", 3), (second.id, "accepted", 0)],
    )
    assert found[0].record == BEGUN
    assert await b.nodes.open("nowhere") == ("", [])


async def test_a_process_that_is_alone_takes_nothing_over(node: OpenNode) -> None:
    alone = await node("")
    with pytest.raises(ServiceError, match="everything is its own"):
        await alone.nodes.take_over({"a"})
    await ask(alone)
    await alone.nodes.give_away()
    assert len(await alone.inbox.unfinished()) == 1


# --- who lives, on a server ---------------------------------------------------------------------------------------


@pytest.fixture
async def claimed(postgres_url: str) -> AsyncIterator[Callable[[str], Awaitable[tuple[Store, Claim]]]]:
    """A node with its claim."""
    settings = DatabaseSettings(url=postgres_url)
    async with AsyncExitStack() as opened:

        async def enter(name: str) -> tuple[Store, Claim]:
            claim, store = open_claim(settings, node=name), open_store(settings, node=name)
            await claim.take(f"http://{name}")
            opened.push_async_callback(claim.release)
            await store.start()
            opened.push_async_callback(store.stop)
            return store, claim

        yield enter


async def test_a_node_lives_as_long_as_it_holds_its_claim(claimed: Any) -> None:
    (a, claim_of_a), (b, claim_of_b) = await claimed("a"), await claimed("b")
    await ask(a)
    assert await a.nodes.gone() == await b.nodes.gone() == set()
    assert {holder.url for holder in await claim_of_b.holders()} == {"http://a", "http://b"}
    await claim_of_a.release()
    assert await a.nodes.gone() == await b.nodes.gone() == {"a"}
    await a.nodes.give_away()
    assert await b.nodes.gone() == {""}


async def test_a_node_that_was_killed_is_gone_for_its_replies_too(claimed: Any) -> None:
    (a, claim_of_a), (b, _) = await claimed("a"), await claimed("b")
    await a.inbox.finish((await ask(a)).turn, BEGUN, reply())
    assert await b.nodes.gone() == set()
    await claim_of_a.release()
    assert await b.nodes.gone() == {"a"}
