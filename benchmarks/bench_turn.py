"""A whole turn with a tool call, on SQLite and on PostgreSQL, with a model that takes no time; and its parts."""

import asyncio
import io
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from antiphon.assistants.run import Run
from antiphon.domain import ChannelMessage, TextPart, TurnRecord, new_id
from antiphon.providers.base import ChatMessage
from antiphon.settings.config import Config
from antiphon.storage.base import Store, TurnReply
from antiphon.telemetry.logs import setup_logging
from antiphon.tools.base import ToolContext
from antiphon.workspace import Workspace
from benchmarks.measuring import Case, awaiting, fast_loop, spinning
from benchmarks.scripted import Scripted, plug_in
from tests.postgres import PostgresServer, programs

UNIT = "µs of CPU a turn"
REFERENCE = "sqlite3 alone: two rows added, one changed, twenty read, one transaction"
ROUNDS = 5

ANSWER = "An answer of some length, as models give it. " * 4


@asynccontextmanager
async def house(database: str) -> AsyncIterator["Talk"]:
    config = Config(default_model="scripted:script", detect_local_models=False, database={"url": database})
    async with Workspace(config) as workspace:
        yield Talk(workspace)


class Talk:
    """Sends messages to a workspace and waits for the end of their turns."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._ends: dict[str, asyncio.Future[None]] = {}
        self._broadcast, workspace.live.broadcast = workspace.live.broadcast, self._overhear

    async def turns(self, count: int, places: list[str]) -> int:
        await asyncio.gather(*(self._chat(place, count // len(places)) for place in places))
        return count // len(places) * len(places)

    async def places(self, count: int) -> list[str]:
        person = await self.workspace.store.people.by_account("web", "local")
        made = [
            await self.workspace.history.create(person, client_id=new_id(), assistant="guide") for _ in range(count)
        ]
        return [conversation.id for conversation in made]

    async def _chat(self, place: str, count: int) -> None:
        for _ in range(count):
            receipt = await self.workspace.deliver(
                ChannelMessage(adapter="web", place=place, account="local", key=new_id(), text="What time is it?")
            )
            await self._ends.setdefault(receipt.turn_id, asyncio.get_running_loop().create_future())
            del self._ends[receipt.turn_id]

    def _overhear(self, topic: str, event: str, payload: Any) -> None:
        self._broadcast(topic, event, payload)
        if event == "turn_end":
            end = self._ends.setdefault(payload["turn_id"], asyncio.get_running_loop().create_future())
            end.set_result(None)


async def stored(store: Store, count: int, places: list[str]) -> int:
    """The store's part of so many turns: accepted, begun, finished; the session is cached."""

    async def chat(place: str) -> None:
        for _ in range(count // len(places)):
            message = ChannelMessage(adapter="web", place=place, account="local", key=new_id(), text="What time is it?")
            accepted = await store.inbox.accept(message, assistant="guide")
            turn = accepted.turn
            await store.inbox.begin(turn, TurnRecord(outcome="interrupted"), context=20)
            reply = TurnReply(id=new_id(), role="assistant", text=ANSWER, parts=(TextPart(text=ANSWER),))
            record = TurnRecord(outcome="answered", model="scripted:script")
            await store.inbox.finish(turn, record, reply, deliver=False)

    await asyncio.gather(*map(chat, places))
    return count // len(places) * len(places)


async def answered(talk: Talk, count: int) -> int:
    """So many answers of the loop alone: model, tool, model, without store or sockets."""
    assistant = talk.workspace.assistants.default
    context = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant=assistant.name)
    question = (ChatMessage(role="user", text="What time is it?"),)
    for _ in range(count):
        async for _event in Run(assistant, Scripted(), "script", question, context).events():
            pass
    return count


def bare(folder: Path) -> Callable[[], object]:
    """The least a database can do for a turn, called where it is needed."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
        "CREATE TABLE c (id TEXT PRIMARY KEY, at INT) WITHOUT ROWID;"
        "CREATE TABLE m (id TEXT PRIMARY KEY, c TEXT, position INT, text TEXT) WITHOUT ROWID;"
        "CREATE INDEX place ON m (c, position); INSERT INTO c VALUES ('c', 0);"
    )
    position = iter(range(1_000_000_000))

    def turn() -> None:
        execute = connection.execute
        execute("BEGIN IMMEDIATE")
        execute("SELECT * FROM c WHERE id = 'c'").fetchall()
        execute("SELECT * FROM m WHERE c = 'c' ORDER BY position DESC LIMIT 20").fetchall()
        for text in ("What time is it?", ANSWER):
            execute("INSERT INTO m VALUES (?, 'c', ?, ?)", (new_id(), next(position), text))
        execute("UPDATE c SET at = at + 1 WHERE id = 'c'")
        execute("COMMIT")

    return turn


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    setup_logging("info", "json", stream=io.StringIO())
    count = max(100, round(400 * scale))
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        plug_in(folder)
        runner = opened.enter_context(fast_loop())
        small = _on(f"sqlite:///{folder / 'turns.db'}", "SQLite", runner, opened, count)
        large = {}
        if programs() is not None:
            server = PostgresServer().start()
            opened.callback(server.remove)
            large = _on(server.url(), "PostgreSQL", runner, opened, count)
        yield {**small, **large, REFERENCE: spinning(bare(folder), 0.2 * scale)}


def _on(database: str, name: str, runner: asyncio.Runner, opened: ExitStack, count: int) -> dict[str, Case]:
    inside = house(database)
    talk = runner.run(inside.__aenter__())
    opened.callback(lambda: runner.run(inside.__aexit__(None, None, None)))
    store = talk.workspace.store
    one, many = runner.run(talk.places(1)), runner.run(talk.places(100))
    return {
        f"{name}: whole turn, one after the other": awaiting(runner, lambda: talk.turns(count, one)),
        f"{name}: whole turn, 100 at once": awaiting(runner, lambda: talk.turns(count, many)),
        f"{name}: store's part, one after the other": awaiting(runner, lambda: stored(store, count, one)),
        f"{name}: store's part, 100 at once": awaiting(runner, lambda: stored(store, count, many)),
        f"{name}: loop alone": awaiting(runner, lambda: answered(talk, count)),
    }
