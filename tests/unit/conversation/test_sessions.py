"""A session is found in the cache, then in the store, and is never older than the last change."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.cache.cache import Cache
from antiphon.cache.config import CacheSettings
from antiphon.commands.base import CommandOutcome
from antiphon.conversation.history import ConversationHistory
from antiphon.conversation.live import Live
from antiphon.conversation.sessions import Session, SessionManager
from antiphon.domain import ChannelMessage, Conversation, Person, Turn, new_id
from antiphon.errors import ProcessingError, ServiceError
from antiphon.runtime.clock import ManualClock
from antiphon.storage.base import InboxStore, Store
from antiphon.telemetry.metrics import Metrics


class Watched:
    """An inbox that counts how often it is asked for a session, and answers when it may."""

    def __init__(self, inbox: InboxStore) -> None:
        self._inbox = inbox
        self.asked = 0
        self.read = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    async def parties(self, turn: Turn) -> tuple[Conversation, Person] | None:
        self.asked += 1
        found = await self._inbox.parties(turn)
        self.read.set()
        await self.go.wait()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inbox, name)


@pytest.fixture
def inbox(store: Store) -> Watched:
    watched = Watched(store.inbox)
    store.inbox = watched
    return watched


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    if request.param == "memory":
        yield Cache()
        return
    settings = CacheSettings(prefix=f"test-{new_id()}", timeout=10)
    made = Cache("redis", url=request.getfixturevalue("redis_url"), settings=settings)
    yield made
    await made.clear()
    await made.stop()


@pytest.fixture
def sessions(store: Store, inbox: Watched, cache: Cache) -> SessionManager:
    return SessionManager(store, cache)


async def turn_in(store: Store, place: str = "loft", account: str = "ada") -> Turn:
    message = ChannelMessage(adapter="pigeons", place=place, account=account, key=new_id(), text="hello")
    return (await store.inbox.accept(message, assistant="guide")).turn


async def test_the_store_is_asked_once(store: Store, inbox: Watched, sessions: SessionManager) -> None:
    turn = await turn_in(store)
    first = await sessions.resolve(turn)
    assert (first.conversation.id, first.person.id) == (turn.conversation_id, turn.person_id)
    for _ in range(5):
        assert await sessions.resolve(turn) == first
    assert inbox.asked == 1


async def test_another_process_finds_it_too(
    store: Store, inbox: Watched, sessions: SessionManager, cache: Cache
) -> None:
    turn = await turn_in(store)
    assert await sessions.resolve(turn) == await SessionManager(store, cache).resolve(turn)
    assert inbox.asked == 1


@pytest.mark.parametrize(
    "outcome",
    [
        CommandOutcome(text="", model="demo:demo"),
        CommandOutcome(text="", reset_context=True),
        CommandOutcome(text="", preferred_model="demo:demo"),
    ],
    ids=["model", "reset", "preference"],
)
async def test_what_a_command_changes_is_seen_by_the_next_turn(
    store: Store, sessions: SessionManager, outcome: CommandOutcome
) -> None:
    turn = await turn_in(store)
    before = await sessions.resolve(turn)
    await sessions.change(before, outcome)
    after = await sessions.resolve(turn)
    assert after != before
    assert (after.conversation, after.person) == await store.inbox.parties(turn)
    await sessions.change(after, CommandOutcome(text="", model="", preferred_model=""))
    cleared = await sessions.resolve(turn)
    assert (cleared.conversation.model, cleared.person.preferred_model) == (None, None)


async def test_a_command_that_changes_nothing_lets_go_of_nothing(
    store: Store, inbox: Watched, sessions: SessionManager
) -> None:
    turn = await turn_in(store)
    session = await sessions.resolve(turn)
    await sessions.change(session, CommandOutcome(text="The time is now."))
    assert await sessions.resolve(turn) == session
    assert inbox.asked == 1


async def test_what_is_renamed_and_deleted_over_http(store: Store, sessions: SessionManager) -> None:
    history = ConversationHistory(store.conversations, store.people, sessions, Live(lambda *_: None, lambda *_: None))
    turn = await turn_in(store)
    me = (await sessions.resolve(turn)).person
    await history.rename(me, turn.conversation_id, "Tea")
    assert (await sessions.resolve(turn)).conversation.title == "Tea"
    await history.delete(me, turn.conversation_id)
    with pytest.raises(ProcessingError, match="deleted before"):
        await sessions.resolve(turn)
    with pytest.raises(ProcessingError, match="deleted before"):
        await sessions.resolve(turn)


async def test_a_person_is_shared_by_all_conversations(store: Store, sessions: SessionManager) -> None:
    turns = [await turn_in(store, place) for place in ("loft", "roof")]
    first, second = [await sessions.resolve(turn) for turn in turns]
    assert first.person == second.person
    await sessions.prefer_model(first.person.id, "demo:demo")
    for turn in turns:
        assert (await sessions.resolve(turn)).person.preferred_model == "demo:demo"


async def test_nobody_is_given_somebody_elses(store: Store, sessions: SessionManager) -> None:
    turns = [await turn_in(store, place, account) for place, account in (("loft", "ada"), ("loft", "bob"))]
    for turn in [*turns, *turns]:
        session = await sessions.resolve(turn)
        assert (session.conversation.id, session.person.id) == (turn.conversation_id, turn.person_id)


@pytest.mark.parametrize("changed", ["conversation", "person", "deleted"])
async def test_a_turn_that_read_before_a_change_does_not_bring_it_back(
    store: Store, inbox: Watched, sessions: SessionManager, cache: Cache, changed: str
) -> None:
    """It has read the store, another process changes it, and only then does it come to fill the cache."""
    turn = await turn_in(store)
    inbox.go.clear()
    slow = asyncio.create_task(sessions.resolve(turn))
    await inbox.read.wait()
    other = SessionManager(store, cache)
    if changed == "conversation":
        await other.update(turn.conversation_id, model="demo:demo")
    elif changed == "person":
        await other.prefer_model(turn.person_id, "demo:demo")
    else:
        await other.delete(turn.conversation_id)
    inbox.go.set()
    old = await slow
    assert (old.conversation.model, old.person.preferred_model) == (None, None)
    for manager in (sessions, other):
        if changed == "deleted":
            with pytest.raises(ProcessingError):
                await manager.resolve(turn)
        else:
            fresh = await manager.resolve(turn)
            assert (fresh.conversation, fresh.person) == await store.inbox.parties(turn)
            assert "demo:demo" in {fresh.conversation.model, fresh.person.preferred_model}


async def test_changes_and_turns_at_once(store: Store, sessions: SessionManager, cache: Cache) -> None:
    turn = await turn_in(store)
    managers = [sessions, SessionManager(store, cache), SessionManager(store, cache)]

    async def change(manager: SessionManager) -> None:
        for number in range(15):
            await manager.update(turn.conversation_id, model=f"demo:{number}")
            seen = (await manager.resolve(turn)).conversation.model
            assert seen is not None

    async def look(manager: SessionManager) -> None:
        for _ in range(40):
            await manager.resolve(turn)

    await asyncio.gather(*map(change, managers), *map(look, managers))
    stored = await store.conversations.get(turn.conversation_id)
    for manager in managers:
        assert (await manager.resolve(turn)).conversation == stored


async def test_a_change_the_store_refuses(store: Store, inbox: Watched, sessions: SessionManager) -> None:
    turn = await turn_in(store)
    before = await sessions.resolve(turn)
    await store.stop()
    with pytest.raises(ServiceError):
        await sessions.update(turn.conversation_id, model="demo:demo")
    await store.start()
    assert await sessions.resolve(turn) == before


@pytest.mark.parametrize("part", ["conversation", "person"])
async def test_what_another_version_wrote_is_read_from_the_store(
    store: Store, inbox: Watched, sessions: SessionManager, cache: Cache, part: str
) -> None:
    turn = await turn_in(store)
    session = await sessions.resolve(turn)
    key = f"session:{part}:{turn.conversation_id if part == 'conversation' else turn.person_id}"
    (entry,) = await cache.backend.get(key)
    assert entry is not None
    await cache.backend.set(key, entry[:9] + b"\x81\xa2id\x01", 100)
    assert await sessions.resolve(turn) == session
    assert await sessions.resolve(turn) == session  # fills it again
    assert await sessions.resolve(turn) == session
    assert inbox.asked == 3


async def test_a_session_ends_an_hour_after_its_last_message(store: Store, inbox: Watched) -> None:
    clock, cache = ManualClock(), Cache()
    cache.memory._clock = clock
    sessions = SessionManager(store, cache, now=clock.monotonic)
    turn = await turn_in(store)
    await sessions.resolve(turn)
    for _ in range(10):
        await clock.advance(3_000)
        await sessions.resolve(turn)
    assert inbox.asked == 1
    await clock.advance(3_601)
    await sessions.resolve(turn)
    assert inbox.asked == 2


async def test_where_sessions_were_found_is_counted(store: Store) -> None:
    metrics = Metrics()
    sessions = SessionManager(store, Cache(), metrics=metrics)
    turn = await turn_in(store)
    for _ in range(3):
        await sessions.resolve(turn)
    text = metrics.render().decode()
    assert 'antiphon_sessions_total{found="cache"} 2.0' in text
    assert 'antiphon_sessions_total{found="store"} 1.0' in text


def test_nobody_else_changes_conversations_and_people() -> None:
    """Whoever changed them in the store alone would be seen by nobody whose session is at hand."""
    source = Path(__file__).parents[3] / "src" / "antiphon"
    doors = {source / "conversation" / "sessions.py", *source.glob("storage/**/*.py")}
    words = (".conversations.update(", ".conversations.delete(", "_conversations.update(", "_conversations.delete(")
    found = [
        path.name
        for path in source.rglob("*.py")
        if path not in doors and any(word in path.read_text() for word in (*words, "people.prefer_model("))
    ]
    assert found == []
    assert Session.__struct_fields__ == ("conversation", "person")
