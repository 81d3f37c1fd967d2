"""kill -9 at any moment: what was promised is there, nothing is half there, nothing comes twice."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from antiphon.domain import ChannelMessage, TextPart
from antiphon.storage.base import Store
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store

WRITER = """
import asyncio, sys
from antiphon.domain import ChannelMessage, TextPart, TurnRecord, new_id
from antiphon.storage.base import Chunk, TurnReply
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store

def say(*words):
    print(*words, flush=True)

async def turns(store, worker):
    for number in range(100_000):
        key = f"{worker}-{number}"
        message = ChannelMessage(adapter="telegram", place=f"room {worker % 3}", account="ann", key=key, text=key)
        accepted = await store.inbox.accept(message, assistant="guide")
        say("accepted", key, accepted.turn.id)
        await store.inbox.begin(accepted.turn, TurnRecord(outcome="interrupted"), context=0)
        for seq in range(1, 4):
            await store.inbox.append(accepted.turn.id, [Chunk(seq=seq, kind="text", text=f"{seq} ")])
        say("appended", key)
        reply = TurnReply(id=new_id(), role="assistant", text=key, parts=(TextPart(text=key),))
        finished = await store.inbox.finish(accepted.turn, TurnRecord(outcome="answered", model="m"), reply)
        say("finished", key)

async def main():
    store = open_store(DatabaseSettings(url=sys.argv[1]))
    await store.start()
    await asyncio.gather(*(turns(store, worker) for worker in range(8)))

asyncio.run(main())
"""

HELD = """
import asyncio, sys
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.sqlite.store import SqliteStore
from antiphon.storage.sql import inbox
from antiphon.storage.sql.unit import Together
from antiphon.domain import ChannelMessage

def accept_and_wait():
    message = ChannelMessage(adapter="telegram", place="room", account="ann", key="1", text="x")
    unit = inbox._accept(message, "guide", "turn", "", None)
    rows = None
    try:
        while True:
            step = next(unit) if rows is None else unit.send(rows)
            for each in step.steps if isinstance(step, Together) else (step,):
                if each[0] == sys.argv[2]:
                    print("inside", flush=True)
                    sys.stdin.read()
                rows = yield each
    except StopIteration as end:
        return end.value

async def main():
    store = SqliteStore(DatabaseSettings(url=sys.argv[1]))
    await store.start()
    await store.write(accept_and_wait)

asyncio.run(main())
"""


@contextmanager
def running(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program that is killed, not ended, when the block is left."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


async def opened(url: str) -> Store:
    store = open_store(DatabaseSettings(url=url))
    await store.start()
    return store


@pytest.mark.parametrize("lines", [1, 40, 200, 601])
async def test_what_was_promised_before_a_kill_is_there_after_it(lines: int, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with running(WRITER, url) as process:
        assert process.stdout is not None
        told = [line.split() for line in islice(process.stdout, lines)]
    assert len(told) == lines
    store = await opened(url)
    accepted = {words[1]: words[2] for words in told if words[0] == "accepted"}
    appended = {words[1] for words in told if words[0] == "appended"}
    finished = {words[1] for words in told if words[0] == "finished"}

    unfinished = {one.turn.text: one for one in await store.inbox.unfinished()}
    for key, turn_id in accepted.items():
        message = ChannelMessage(
            adapter="telegram", place=f"room {int(key.split('-')[0]) % 3}", account="ann", key=key, text=key
        )
        again = await store.inbox.accept(message, assistant="guide")
        assert (again.duplicate, again.turn.id) == (True, turn_id)
        assert (key in unfinished) == (again.message.status == "accepted")
        if key in finished:
            assert again.message.status == "answered"
    for key in appended - finished:
        if key in unfinished:
            assert unfinished[key].parts == (TextPart(text="1 2 3 "),)
            assert unfinished[key].state == "running"

    person = await store.people.by_account("telegram", "ann")
    delivered = {one.message.text for one in await store.outbox.pending(limit=100_000)}
    for conversation in await store.conversations.list(person.id):
        messages = await store.conversations.messages(conversation.id, limit=100_000)
        assert sorted(one.position for one in messages) == list(range(1, len(messages) + 1))
        answers = [one for one in messages if one.role == "assistant"]
        answered = [one for one in messages if one.role == "user" and one.status == "answered"]
        assert [one.text for one in answers] == [one.text for one in answered]
        assert {one.text for one in answers} <= delivered
    assert finished <= delivered
    await store.stop()


@pytest.mark.parametrize("step", ["person_add", "conversation_add", "message_add", "turn_add"])
async def test_a_kill_inside_a_unit_leaves_nothing_of_it(step: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with running(HELD, url, step) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
    store = await opened(url)
    assert await store.inbox.unfinished() == []
    message = ChannelMessage(adapter="telegram", place="room", account="ann", key="1", text="x")
    accepted = await store.inbox.accept(message, assistant="guide")
    assert (accepted.duplicate, accepted.created, accepted.turn.ticket) == (False, True, 1)
    assert len(await store.conversations.search(accepted.turn.person_id, "x")) == 1
    await store.stop()


NEIGHBOUR = """
import asyncio, sys
from antiphon.domain import ChannelMessage
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store

async def main():
    store = open_store(DatabaseSettings(url=sys.argv[1], busy_seconds=30))
    await store.start()
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(100):
        key = f"{sys.argv[2]}-{number}"
        message = ChannelMessage(adapter="telegram", place="room", account="ann", key=key, text="x")
        await store.inbox.accept(message, assistant="guide")
    await store.stop()

asyncio.run(main())
"""


async def test_processes_that_write_one_conversation_leave_no_gap(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with running(NEIGHBOUR, url, "a") as first, running(NEIGHBOUR, url, "b") as second:
        for process in (first, second):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in (first, second):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [first.wait(60), second.wait(60)] == [0, 0]
    store = await opened(url)
    turns = [one.turn for one in await store.inbox.unfinished()]
    assert len({turn.conversation_id for turn in turns}) == 1
    assert sorted(turn.ticket for turn in turns) == list(range(1, 201))
    await store.stop()
