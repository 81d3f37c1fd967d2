"""PostgreSQL that is gone, restarts, hangs or refuses: clear errors within a time, nothing lost, nothing twice, and
everything works again by itself."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import asyncpg
import pytest

from antiphon.domain import ChannelMessage, Conversation, TurnRecord, new_id, now
from antiphon.errors import ServiceError, ValidationError
from antiphon.storage.base import Accepted, Chunk, Store, TurnReply
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store
from antiphon.storage.postgres.pool import Pool
from antiphon.telemetry.metrics import Metrics
from tests.postgres import PostgresServer, address_of, administer
from tests.proxy import Proxy

ANSWERED = TurnRecord(outcome="answered", assistant="guide", model="demo:demo", chosen_by="system")


def quick(url: str, **more: Any) -> DatabaseSettings:
    """Settings that lose patience soon."""
    return DatabaseSettings(url=url, **({"connect_seconds": 0.3, "answer_seconds": 0.4, "connections": 4} | more))


def inbound(text: str = "Hello", key: str = "") -> ChannelMessage:
    return ChannelMessage(adapter="telegram", place="room", account="ann", key=key or new_id(), text=text, sender="Ann")


async def ask(store: Store, text: str = "Hello", key: str = "") -> Accepted:
    return await store.inbox.accept(inbound(text, key), assistant="guide")


async def opened(settings: DatabaseSettings, metrics: Metrics | None = None) -> Store:
    store = open_store(settings, metrics=metrics)
    await store.start()
    return store


async def healed(store: Store) -> None:
    """Waits until the store works again."""
    async with asyncio.timeout(15):
        while True:
            try:
                await store.check()
            except ServiceError:
                await asyncio.sleep(0.02)
            else:
                return


@pytest.fixture
async def proxy(postgres_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(*address_of(postgres_url)) as made:
        yield made


@pytest.fixture
async def through(proxy: Proxy, postgres_url: str) -> AsyncIterator[Store]:
    """A store whose connections go through the proxy."""
    host, port = address_of(postgres_url)
    store = await opened(quick(postgres_url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")))
    yield store
    proxy.resume()
    await proxy.restore()
    await store.stop()


# --- at the start -------------------------------------------------------------------------------------------------


async def refusal(url: str, **more: Any) -> ServiceError:
    store = open_store(quick(url, **more))
    with pytest.raises(ServiceError) as refused:
        await store.start()
    for shown in (str(refused.value), refused.value.public):
        assert "secret" not in shown
        assert "wrong-word" not in shown
    await store.stop()
    return refused.value


async def test_each_way_to_be_refused_is_one_sentence(postgres_url: str, free_port: int) -> None:
    host, port = address_of(postgres_url)
    if "secret-word" in postgres_url:
        assert "password" in str(await refusal(postgres_url.replace("secret-word", "wrong-word")))
    absent = await refusal(f"{postgres_url}_absent")
    assert "does not exist: create it" in str(absent)
    assert f"{host}:{port}" in str(absent)
    assert host not in absent.public
    gone = await refusal(postgres_url.replace(f":{port}", f":{free_port}"))
    assert "check that the server runs" in str(gone)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("sslmode=bogus", "check what stands behind its `\\?`"),
        ("sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "check what stands behind its `\\?`"),
        ("sslmode=require", "does not agree on encryption"),
    ],
)
async def test_what_a_url_asks_of_the_connection_has_sentences_of_its_own(
    postgres_url: str, asked: str, sentence: str
) -> None:
    with pytest.raises(ServiceError, match=sentence) as caught:
        await open_store(DatabaseSettings(url=f"{postgres_url}?{asked}", connect_seconds=0.2)).start()
    assert "secret-word" not in str(caught.value)


async def test_a_server_that_never_answers_is_given_up(proxy: Proxy, postgres_url: str) -> None:
    proxy.pause()
    host, port = address_of(postgres_url)
    began = time.monotonic()
    silent = await refusal(postgres_url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}"))
    assert time.monotonic() - began < 5
    assert "check that the server runs" in str(silent)


# --- while it runs ------------------------------------------------------------------------------------------------


async def test_a_cut_connection_is_replaced_and_nobody_notices(through: Store, proxy: Proxy) -> None:
    first = await ask(through)
    proxy.cut()
    second = await ask(through)
    assert (first.turn.ticket, second.turn.ticket) == (1, 2)
    assert await through.check()


async def test_cuts_in_the_middle_of_everything_lose_and_double_nothing(through: Store, proxy: Proxy) -> None:
    """A break after COMMIT was sent leaves open whether it happened; the key of a message and the state of a turn
    decide. A caller that got an error asks again, as a platform does, and is told that it was there."""
    proxy.delay = 0.0005
    kept: dict[str, str] = {}

    async def one(number: int) -> None:
        key = f"k{number}"
        while key not in kept:
            try:
                accepted = await ask(through, str(number), key)
                await through.inbox.begin(accepted.turn, TurnRecord(outcome="interrupted"), context=5)
                await through.inbox.append(accepted.turn.id, [Chunk(seq=1, kind="text", text="x")])
                reply = TurnReply(id=new_id(), role="assistant", text=f"to {number}")
                await through.inbox.finish(accepted.turn, ANSWERED, reply)
                kept[key] = accepted.turn.id
            except ServiceError:
                await asyncio.sleep(0.005)

    work = asyncio.gather(*(one(number) for number in range(40)))
    for _ in range(12):  # far enough apart for some work to be done in between
        await asyncio.wait({work}, timeout=0.15)
        proxy.cut()
    await work
    proxy.delay = 0
    [place] = {turn.conversation_id for turn in [(await ask(through, "last")).turn]}
    messages = await through.conversations.messages(place, limit=1_000)
    said = [message.text for message in messages if message.role == "user" and message.text != "last"]
    answered = [message.text for message in messages if message.role == "assistant"]
    assert sorted(said, key=int) == [str(number) for number in range(40)]
    assert sorted(answered) == sorted(f"to {number}" for number in range(40))
    assert sorted(message.position for message in messages) == list(range(1, 82))
    assert len(await through.outbox.pending()) == 40


async def test_an_accept_whose_commit_was_not_confirmed_is_no_duplicate(through: Store, proxy: Proxy) -> None:
    """Somebody has to answer the message: the one who stored it."""
    await ask(through, "warm")
    lost: list[int] = []

    async def commit_unheard(link: Any, *args: Any, **kwargs: Any) -> Any:
        if args[0] == "COMMIT" and not lost:
            lost.append(1)
            await execute(link, *args, **kwargs)
            proxy.cut()
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return await execute(link, *args, **kwargs)

    execute = asyncpg.Connection.execute
    patch = pytest.MonkeyPatch()
    patch.setattr(asyncpg.Connection, "execute", commit_unheard)
    accepted = await ask(through, "once", "the key")
    patch.undo()
    assert lost
    assert (accepted.duplicate, accepted.turn.ticket) == (False, 2)
    assert (await ask(through, "once", "the key")).duplicate
    assert len(await through.inbox.unfinished()) == 2


async def test_a_conversation_whose_commit_was_not_confirmed_is_new_to_its_maker(through: Store, proxy: Proxy) -> None:
    me = await through.people.by_account("web", "local")
    at = now()
    made = Conversation(id=new_id(), title="", assistant="g", created_at=at, updated_at=at, person_id=me.id, place="c1")
    await through.conversations.create(made)
    assert (await through.conversations.create(made))[1]
    other = Conversation(
        id=new_id(), title="", assistant="g", created_at=at, updated_at=at, person_id=me.id, place="c1"
    )
    assert not (await through.conversations.create(other))[1]


async def test_silence_is_an_error_within_a_time_and_over_by_itself(through: Store, proxy: Proxy) -> None:
    await asyncio.gather(*(ask(through, str(number)) for number in range(8)))
    proxy.pause()
    began = time.monotonic()
    outcomes = await asyncio.gather(*(ask(through, "x", f"k{n}") for n in range(30)), return_exceptions=True)
    assert time.monotonic() - began < 5
    assert all(isinstance(one, ServiceError) for one in outcomes)
    assert "was too slow" in str(outcomes[0])
    with pytest.raises(ServiceError):
        await through.check()
    proxy.resume()
    await healed(through)
    again = await asyncio.gather(*(ask(through, "x", f"k{n}") for n in range(30)))
    assert len({one.turn.id for one in again}) == 30
    assert len(await through.inbox.unfinished()) == 38


async def test_a_slow_network_is_only_slow(through: Store, proxy: Proxy) -> None:
    proxy.delay = 0.005
    accepted = await asyncio.gather(*(ask(through, str(number)) for number in range(5)))
    assert sorted(one.turn.ticket for one in accepted) == [1, 2, 3, 4, 5]


async def test_a_server_out_of_reach_is_refused_quickly_once_that_is_known(
    through: Store, proxy: Proxy, logged: list[MutableMapping[str, Any]]
) -> None:
    await proxy.refuse()
    with pytest.raises(ServiceError, match="does not answer"):
        await ask(through)
    began = time.monotonic()
    outcomes = await asyncio.gather(*(ask(through) for _ in range(200)), return_exceptions=True)
    assert all(isinstance(one, ServiceError) for one in outcomes)
    assert time.monotonic() - began < 3
    await proxy.restore()
    await healed(through)
    events = [event["event"] for event in logged]
    assert (events.count("store.unreachable"), events.count("store.reconnected")) == (1, 1)
    assert "secret-word" not in str(logged)


async def test_a_server_that_is_gone_is_tried_once_and_not_by_every_connection(own_postgres: PostgresServer) -> None:
    store = await opened(quick(own_postgres.url(), connections=20, connect_seconds=1, answer_seconds=10))
    await asyncio.gather(*(ask(store, str(number)) for number in range(100)))
    own_postgres.stop(signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(ServiceError, match="does not answer"):
        await ask(store)
    assert time.monotonic() - began < 4
    await store.stop()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
async def test_a_server_that_restarts_is_waited_for(own_postgres: PostgresServer, how: signal.Signals) -> None:
    store = await opened(quick(own_postgres.url(), connect_seconds=10, answer_seconds=5))
    before = await asyncio.gather(*(ask(store, str(number)) for number in range(5)))
    own_postgres.stop(how)
    during = [asyncio.create_task(ask(store, "during", f"k{number}")) for number in range(5)]
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in during)
    await asyncio.to_thread(own_postgres.start)
    accepted = [*before, *await asyncio.gather(*during)]
    assert sorted(one.turn.ticket for one in accepted) == list(range(1, 11))
    assert len(await store.inbox.unfinished()) == 10
    await store.stop()


async def test_a_server_that_stands_still_is_given_up_and_heals(own_postgres: PostgresServer) -> None:
    store = await opened(quick(own_postgres.url()))
    await ask(store, "before")
    own_postgres.freeze()
    began = time.monotonic()
    for number in range(2):
        with pytest.raises(ServiceError, match=r"was too slow|does not answer"):
            await ask(store, "during", f"k{number}")
    assert time.monotonic() - began < 4
    own_postgres.thaw()
    await healed(store)
    for number in range(2):
        await ask(store, "during", f"k{number}")
    assert len(await store.inbox.unfinished()) == 3
    await store.stop()


async def test_a_stop_while_the_server_is_gone_takes_no_time(own_postgres: PostgresServer) -> None:
    store = await opened(quick(own_postgres.url()))
    await ask(store)
    own_postgres.stop(signal.SIGKILL)
    async with asyncio.timeout(5):
        await store.stop()


async def test_more_connections_than_the_server_gives_are_not_needed(own_postgres: PostgresServer) -> None:
    own_postgres.stop()
    own_postgres.start("max_connections=6", "superuser_reserved_connections=3")
    taken = [await asyncpg.connect(own_postgres.url()) for _ in range(4)]
    store = await opened(quick(own_postgres.url(), connections=20, answer_seconds=5))
    accepted = await asyncio.gather(*(ask(store, str(number)) for number in range(100)))
    assert sorted(one.turn.ticket for one in accepted) == list(range(1, 101))
    await store.stop()
    for link in taken:
        await link.close()


async def test_a_server_without_room_for_anybody_says_so(own_postgres: PostgresServer) -> None:
    await administer(
        own_postgres.url(), "CREATE ROLE plain LOGIN PASSWORD 'secret-word'", "CREATE DATABASE d OWNER plain"
    )
    await administer(own_postgres.url(), "ALTER ROLE plain CONNECTION LIMIT 0")
    assert "takes no more connections" in str(await refusal(own_postgres.url("d").replace("antiphon:", "plain:")))


async def test_a_database_that_may_only_be_read_says_so(postgres_url: str) -> None:
    store = await opened(quick(postgres_url))
    name = postgres_url.rpartition("/")[2]
    await administer(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await administer(
        postgres_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'antiphon' AND datname = current_database()",
    )
    with pytest.raises(ServiceError, match="takes no changes now"):
        await ask(store)
    with pytest.raises(ServiceError, match="takes no changes now"):
        await store.check()
    assert await store.outbox.pending() == []
    await store.stop()


async def test_a_lock_that_another_program_holds_is_not_waited_for_for_ever(postgres_url: str) -> None:
    store = await opened(quick(postgres_url))
    other = await asyncpg.connect(postgres_url)
    await other.execute("BEGIN; LOCK TABLE messages")
    with pytest.raises(ServiceError, match="was too slow"):
        await ask(store, key="k")
    await other.close()
    await healed(store)
    assert not (await ask(store, key="k")).duplicate
    await store.stop()


async def test_a_client_that_vanishes_in_a_transaction_gives_its_locks_back(
    through: Store, proxy: Proxy, postgres_url: str
) -> None:
    """The server never hears that it has gone: the network between them swallows everything."""
    first = await ask(through)
    stuck: list[int] = []
    execute = asyncpg.Connection.execute

    async def silent(link: Any, *args: Any, **kwargs: Any) -> Any:
        if args[0] == "COMMIT" and not stuck:
            stuck.append(1)
            proxy.pause()
        return await execute(link, *args, **kwargs)

    patch = pytest.MonkeyPatch()
    patch.setattr(asyncpg.Connection, "execute", silent)
    with pytest.raises(ServiceError):
        await ask(through, "gone")
    patch.undo()
    direct = await opened(quick(postgres_url, answer_seconds=5))
    again = await ask(direct, "there")
    assert (first.turn.ticket, again.turn.ticket) == (1, 2)
    await direct.stop()


async def test_a_piece_that_arrives_while_its_turn_ends_is_not_left_behind(postgres_url: str) -> None:
    """Two connections: one has ended the turn and dropped its pieces, and not yet committed."""
    store = await opened(DatabaseSettings(url=postgres_url))
    asked = await ask(store)
    await store.inbox.begin(asked.turn, ANSWERED, context=0)
    other = await asyncpg.connect(postgres_url)
    ending = other.transaction()
    await ending.start()
    await other.execute("UPDATE inbox SET state = 'ended' WHERE id = $1", asked.turn.id)
    await other.execute("DELETE FROM chunks WHERE turn_id = $1", asked.turn.id)
    piece = asyncio.create_task(store.inbox.append(asked.turn.id, [Chunk(seq=1, kind="text", text="too late")]))
    async with asyncio.timeout(10):
        while not piece.done() and not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.005)
    await ending.commit()
    await piece
    assert await other.fetchval("SELECT count(*) FROM chunks") == 0
    await other.close()
    await store.stop()


async def test_an_error_of_the_server_shows_nothing_of_what_was_written(postgres_url: str) -> None:
    store = await opened(quick(postgres_url))
    await administer(postgres_url, "ALTER TABLE messages ADD CONSTRAINT odd CHECK (text NOT LIKE '%private%')")
    with pytest.raises(ServiceError, match="reports an error \\(23514\\)") as odd:
        await ask(store, "a private word")
    assert "private" not in f"{odd.value}{odd.value.public}"
    with pytest.raises(ValidationError):
        await ask(store, key="a\0b")
    assert (await ask(store, "fine")).turn.ticket == 1
    await store.stop()


# --- at the same time ---------------------------------------------------------------------------------------------


async def test_two_processes_make_the_same_things_at_the_same_moment(postgres_url: str) -> None:
    one, two = (
        await opened(quick(postgres_url, answer_seconds=10)),
        await opened(quick(postgres_url, answer_seconds=10)),
    )
    for number in range(20):
        messages = [ChannelMessage(adapter="t", place=f"p{number}", account=f"a{number}", key="k", text="x")] * 4
        accepted = await asyncio.gather(
            *(store.inbox.accept(message, assistant="g") for message in messages for store in (one, two))
        )
        assert sum(not each.duplicate for each in accepted) == 1
        person = accepted[0].turn.person_id
        kept = await asyncio.gather(*(store.facts.add(person, "tea") for _ in range(4) for store in (one, two)))
        assert len({one.fact.id for one in kept}) == 1
    await one.stop()
    await two.stop()


async def test_a_queue_has_an_end_and_is_counted(postgres_url: str) -> None:
    metrics = Metrics()
    store = await opened(quick(postgres_url, queue=10, connections=2, answer_seconds=10), metrics)
    outcomes = await asyncio.gather(*(ask(store, str(number)) for number in range(25)), return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, ServiceError)]
    assert len(refused) == 15
    assert "Too much work waits" in str(refused[0])
    shown = metrics.render().decode()
    assert 'antiphon_store_waiting{lane="store-writer"} 0.0' in shown
    assert 'antiphon_store_seconds_count{lane="store-writer"} 10.0' in shown
    await store.stop()


async def test_behind_a_pooler_every_unit_is_a_transaction_without_prepared_statements(postgres_url: str) -> None:
    store = await opened(quick(postgres_url, statement_cache_size=0, answer_seconds=5))
    asked = await ask(store, "a lighthouse")
    await store.inbox.begin(asked.turn, TurnRecord(outcome="interrupted"), context=5)
    await store.inbox.append(asked.turn.id, [Chunk(seq=1, kind="text", text="x")])
    await store.inbox.finish(asked.turn, ANSWERED, TurnReply(id=new_id(), role="assistant", text="yes"))
    assert len(await store.conversations.search(asked.turn.person_id, "lighthouse")) == 1
    [delivery] = await store.outbox.pending()
    await store.outbox.delivered(delivery.id)
    assert await store.outbox.pending() == []
    await store.stop()


async def test_a_reading_unit_cannot_write(postgres_url: str) -> None:
    store = await opened(quick(postgres_url))
    with pytest.raises(ServiceError, match="was given to read"):
        await store.read(iter_write)  # type: ignore[attr-defined]
    await store.stop()


def iter_write() -> Any:
    yield "chunk_drop", {"turn_id": "x"}


async def test_a_pool_that_is_stopped_twice_is_stopped() -> None:
    async def never(_: bool) -> Any:
        raise AssertionError

    pool = Pool(never, "nowhere", size=1, limit=1)
    await pool.stop()
    await pool.stop()
