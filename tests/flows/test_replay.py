"""Turns that were stored, answered again: in this process beside the house that runs, and by the command."""

import asyncio
import io
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from rich.console import Console

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.trial import NOT_RECORDED
from antiphon.cli.answers import Shown, show
from antiphon.cli.options import ReplayOptions
from antiphon.cli.replay import replay as replay_command
from antiphon.conversation.replay import Replay
from antiphon.domain import Usage, new_id, now
from antiphon.errors import AntiphonError, ConfigError, NotFoundError, ServiceError
from antiphon.providers.base import ChatMessage, ModelRequest
from antiphon.providers.demo.provider import DemoProvider
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import to_read
from antiphon.storage.summaries import Summary
from antiphon.tools.base import tool
from antiphon.workspace import Workspace
from tests.plugins import plugin
from tests.postgres import Databases
from tests.serving import Served, Visitors, environment, serving

Asked = list[ModelRequest]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the demo model is asked."""
    requests: Asked = []
    answers = DemoProvider.stream

    def stream(self: DemoProvider, request: ModelRequest) -> Any:
        requests.append(request)
        return answers(self, request)

    monkeypatch.setattr(DemoProvider, "stream", stream)
    return requests


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/antiphon.db"
        return
    databases: Databases = request.getfixturevalue("databases")
    made = databases.ready()
    yield made
    databases.drop(made)


@asynccontextmanager
async def aside(workspace: Workspace, *added: Assistant) -> AsyncIterator[tuple[Replay, Workspace]]:
    config = workspace.config.model_copy(update={"database": to_read(workspace.config.database)})
    other = Workspace(config)
    for assistant in added:
        other.assistants.add(assistant)
    async with other.aside() as replay:
        yield replay, other


@tool(approval=lambda arguments: arguments["item"] == "gold")
def order(item: str) -> str:
    """Orders an item."""
    ORDERED.append(item)
    return f"ordered {item}"


@tool
def fail(why: str) -> str:
    """Fails."""
    raise ValueError(why)


ORDERED: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ordered() -> Iterator[None]:
    ORDERED.clear()
    yield
    ORDERED.clear()


SHOP = Assistant("shop", instructions="You sell things.", tools=[order, fail])


def calls(name: str, **arguments: str) -> str:
    return f"!tool {name} {json.dumps(arguments)}"


async def test_a_turn_is_made_again_of_what_it_was_made_of(url: str, tmp_path: Path, asked: Asked) -> None:
    visitors = Visitors()
    async with serving(tmp_path, database={"url": url}) as house:
        visitor = await visitors.enter(house.url)
        for text in (
            "/remember I am called Ann",
            "What is 17% of 2340?",
            "And 20%?",
            "/reset",
            "What is 3+4?",
            "And 8?",
        ):
            await visitor.ask(text)
        await visitor.ask("/remember I have a dog")
        await visitor.ask("/reset")
        there = [request for request in asked if request.messages[-1].role == "user"]
        turns = [message["turn_id"] for message in visitor.shown() if message["role"] == "assistant"]
        assert len(there) == len(turns) == 4
        async with aside(house) as (replay, _):
            for request, turn_id in zip(there, turns, strict=True):
                original = await replay.original(await replay.find(turn_id))
                assert plain(original.prompt("demo")) == plain(request.messages)
                trial = await replay.run(original)
                assert original.answer is not None
                assert (trial.ended.text, trial.model) == (original.answer.text, "demo")
        assert len(visitor.shown()) == 16
    await visitors.close()


def plain(messages: tuple[ChatMessage, ...]) -> list[tuple[str, str]]:
    return [(message.role, message.text + message.notes) for message in messages]


async def test_a_long_conversation_gives_the_newest_before_the_turn(tmp_path: Path, asked: Asked) -> None:
    visitors = Visitors()
    async with serving(tmp_path, assistants={"history_messages": 6, "compaction": {"enabled": False}}) as house:
        visitor = await visitors.enter(house.url)
        for number in range(12):
            await visitor.ask(f"Say {number}")
        there = asked[7]
        assert there.messages[-1].text == "Say 7"
        async with aside(house) as (replay, _):
            ticket = next(each["ticket"] for each in visitor.shown() if each["text"] == "Say 7")
            past = await replay.find(f"{visitor.conversation_id}:{ticket}")
            assert plain((await replay.original(past)).prompt("demo")) == plain(there.messages)
    await visitors.close()


async def test_a_summary_stands_for_what_it_tells_of_once_it_was_there(tmp_path: Path, asked: Asked) -> None:
    visitors = Visitors()
    async with serving(tmp_path, assistants={"compaction": {"enabled": False}}) as house:
        visitor = await visitors.enter(house.url)
        first, second = await visitor.ask("Say one"), await visitor.ask("Say two")
        summary = Summary(context_from=0, upto=first["ticket"], text="Ann said one.", model="demo", created_at=now())
        assert await house.store.summaries.put(visitor.conversation_id, summary)
        third = await visitor.ask("Say three")
        async with aside(house) as (replay, _):
            before = (await replay.original(await replay.find(second["turn_id"]))).prompt("demo")
            assert plain(before) == plain(asked[1].messages)
            said = plain((await replay.original(await replay.find(third["turn_id"]))).prompt("demo"))
        assert "Ann said one." in said[1][1]
        assert [text[:9] for role, text in said if role == "user"] == ["Say two" + "A ", "Say three"]
    await visitors.close()


async def test_calls_are_given_what_they_were_given_and_nothing_is_done(tmp_path: Path) -> None:
    visitors = Visitors()
    async with serving(tmp_path, added=(SHOP,)) as house:
        visitor = await visitors.enter(house.url)
        bought = await visitor.ask(calls("order", item="tea"))
        failed = await visitor.ask(calls("fail", why="of the weather"))
        assert ORDERED == ["tea"]
        async with aside(house, SHOP) as (replay, _):
            original = await replay.original(await replay.find(bought["turn_id"]))
            trial = await replay.run(original)
            assert [(call.status, call.result) for call in trial.calls] == [("done", "ordered tea")]
            original = await replay.original(await replay.find(failed["turn_id"]))
            trial = await replay.run(original)
            assert [(call.status, call.result) for call in trial.calls] == [
                (call.status, call.result) for call in original.calls
            ]
            assert trial.calls[0].status == "failed"
            trial = await replay.run(original, tools="none")
            assert trial.calls[0].result is not None
            assert "There is no tool called fail" in trial.calls[0].result
            # The recorded calls of one turn are not those of another one.
            other = await replay.original(await replay.find(bought["turn_id"]))
            strange = await replay.trials.answer(
                SHOP, "demo", other.prompt("demo"), tools="recorded", recorded=original.calls
            )
            assert [(call.status, call.result) for call in strange.calls] == [("failed", NOT_RECORDED)]
        assert ORDERED == ["tea"]
    await visitors.close()


async def test_live_calls_are_carried_out_but_those_that_people_must_allow(tmp_path: Path) -> None:
    visitors = Visitors()
    async with serving(tmp_path, added=(SHOP,)) as house:
        visitor = await visitors.enter(house.url)
        bought = await visitor.ask(calls("order", item="tea"))
        receipt = await visitor.say(calls("order", item="gold"))
        await visitor.until("approval", turn_id=receipt["turn_id"])
        await visitor.ask("/approve all")
        await visitor.answer(receipt["turn_id"])
        assert ORDERED == ["tea", "gold"]
        async with aside(house, SHOP) as (replay, _):
            trial = await replay.run(await replay.original(await replay.find(bought["turn_id"])), tools="live")
            assert [call.status for call in trial.calls] == ["done"]
            trial = await replay.run(await replay.original(await replay.find(receipt["turn_id"])), tools="live")
            assert [call.status for call in trial.calls] == ["cancelled"]
        assert ORDERED == ["tea", "gold", "tea"]
    await visitors.close()


async def test_another_assistant_and_other_instructions_get_the_same_question(tmp_path: Path, asked: Asked) -> None:
    visitors = Visitors()
    async with serving(tmp_path) as house:
        visitor = await visitors.enter(house.url)
        await visitor.ask("Say hello")
        async with aside(house, SHOP) as (replay, other):
            past = await replay.find(None)
            original = await replay.original(past, assistant=SHOP)
            assert plain(original.prompt("demo")) == [("system", "You sell things."), ("user", "Say hello")]
            original = await replay.original(past, instructions="Be brief.")
            assert original.prompt("demo")[0].text == "Be brief."
            told = other.prompts.register("shorter", "You are {assistant}. Use one word.")
            await replay.run(await replay.original(past, instructions=told))
            assert asked[-1].messages[0].text == "You are shop. Use one word."
            strange = await replay.original(past, instructions=type(told)("nothing"))
            with pytest.raises(ConfigError, match="no prompt 'nothing'"):
                await replay.run(strange)
    await visitors.close()


async def test_an_assistant_of_a_plugin_answers_again(tmp_path: Path, asked: Asked) -> None:
    visitors = Visitors()
    add = 'def register(self, house):\n    house.add_assistant(Assistant("cook", instructions="You cook."))'
    plugin(tmp_path / "plugins", "kitchen", add)
    async with serving(tmp_path, plugins={"folders": [str(tmp_path / "plugins")], "enabled": ["kitchen"]}) as house:
        client = await visitors.connect(house.url)
        cook = await visitors.join(client, await visitors.new_conversation(client, "c1", assistant="cook"))
        await cook.ask("!echo soup")
        async with aside(house) as (replay, _):
            original = await replay.original(await replay.find(None))
            assert original.assistant.name == "cook"
            await replay.run(original)
            assert asked[-1].messages[0].text == "You cook."
    await visitors.close()


async def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    visitors = Visitors()
    async with serving(tmp_path) as house:
        async with aside(house) as (replay, _):
            with pytest.raises(NotFoundError, match="nothing to replay"):
                await replay.find(None)
        visitor = await visitors.enter(house.url)
        await visitor.ask("Say hello")
        await visitor.ask("/help")
        async with aside(house) as (replay, _):
            past = await replay.find(visitor.conversation_id)
            assert past.turn.text == "Say hello"
            for name in ("nothing", f"{visitor.conversation_id}:99", f"{visitor.conversation_id}:x", new_id(), ":", ""):
                with pytest.raises(NotFoundError, match="is called"):
                    await replay.find(name)
            await house.store.conversations.delete(visitor.conversation_id)
            with pytest.raises(NotFoundError):
                await replay.original(past)
    await visitors.close()


async def test_a_vendor_that_fails_is_what_comes_of_it(tmp_path: Path) -> None:
    visitors = Visitors()
    async with serving(tmp_path) as house:
        visitor = await visitors.enter(house.url)
        await visitor.ask("Say hello")
        nowhere = {"lost": {"base_url": "http://127.0.0.1:9/v1"}}
        config = type(house.config)(database=house.config.database, providers=nowhere)
        other = Workspace(config)
        async with other.aside() as replay:
            trial = await replay.run(await replay.original(await replay.find(None)), "lost:model")
        assert (trial.ended.status, trial.first_ms) == ("refused", None)
        assert trial.ended.reason is not None
        assert "lost" in trial.ended.reason
    await visitors.close()


# --- the command --------------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "antiphon", "replay", *arguments],
        cwd=folder,
        env=environment(folder, **({"COLUMNS": "100"} | variables)),
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def everything(database: Path) -> list[str]:
    """All that is stored, but for the index of words, which anybody who searches may bring up to date, and the numbers
    of what was counted already, which go when more is."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [line for line in connection.iterdump() if "messages_fts" not in line and '"charges"' not in line]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.end()


async def ask(served: Served, *texts: str) -> list[dict[str, Any]]:
    visitors = Visitors()
    visitor = await visitors.enter(served.url)
    try:
        return [await visitor.ask(text) for text in texts]
    finally:
        await visitors.close()


async def test_beside_the_server_and_without_it_nothing_changes(served: Served, tmp_path: Path) -> None:
    served.start()
    _, answer = await ask(served, "What is 17% of 2340?", "And what is 20% of 50?")
    # What was spent is written behind, or when somebody asks.
    (await asyncio.to_thread(urlopen, f"{served.url}/api/v1/usage")).close()
    before = await asyncio.to_thread(everything, tmp_path / "data" / "antiphon.db")
    code, said, _ = await asyncio.to_thread(run, tmp_path, "--last", "--json", "--times", "2")
    data = json.loads(said)
    assert (code, data["turn_id"], data["question"]) == (0, answer["turn_id"], "And what is 20% of 50?")
    assert [each["text"] for each in data["answers"]] == [answer["text"]] * 2
    assert data["original"]["text"] == answer["text"]
    assert await asyncio.to_thread(everything, tmp_path / "data" / "antiphon.db") == before
    assert served.stop() == 0
    code, said, _ = await asyncio.to_thread(run, tmp_path, answer["turn_id"])
    assert code == 0
    for word in ("And what is 20% of 50?", "then", "again", "demo", "answered", "tools:", "cost $0.000000"):
        assert word in said
    assert await asyncio.to_thread(everything, tmp_path / "data" / "antiphon.db") == before


async def test_words_cannot_reach_the_terminal_as_orders(served: Served, tmp_path: Path) -> None:
    served.start()
    await ask(served, "!echo \x1b]0;mine\x07 \x9b2J and \x1b[31mred")
    for width in ("120", "40"):
        code, said, _ = await asyncio.to_thread(run, tmp_path, "--last", COLUMNS=width)
        assert (code, "red" in said) == (0, True)
        assert not set(said) & {"\x1b", "\x07", "\x9b"}


def test_long_answers_are_laid_side_by_side_at_once() -> None:
    words = [f"{kind}{number % 7}" for number in range(20_000) for kind in ("the ", "a ", "of ")]
    then, again = (
        Shown(model="a:b", status="answered", text=" ".join(said), tools=(), usage=Usage(), elapsed_ms=1.0)
        for said in (words, words[::-1])
    )
    began = time.process_time()
    show(Console(file=io.StringIO(), width=80), "?", [then, again])
    assert time.process_time() - began < 20  # about 3 s; each word with each like it would take minutes


def test_without_a_name_or_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    for words in ((), ("some-turn", "--last")):
        sentence = (
            "antiphon: Name a turn, a conversation or conversation:ticket, or take the newest turn with --last.\n"
        )
        assert run(tmp_path, *words) == (1, "", sentence)
    code, _, said = run(tmp_path, "--last")
    assert (code, "There is no database" in said) == (1, True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"models": ["nothing:new"]}, "There is no provider “nothing”"),
        ({"prompt": "missing.md:x"}, "There is no file missing.md:x"),
        ({"assistant": "nobody"}, "There is no assistant called 'nobody'"),
        ({"assistant": "json:dumps"}, "json:dumps is no assistant"),
    ],
)
async def test_what_is_wrong_is_one_sentence(wish: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    visitors = Visitors()
    async with serving(tmp_path) as house:
        await (await visitors.enter(house.url)).ask("Say hello")
        settings = tmp_path / "a.yaml"
        settings.write_text(json.dumps({"database": {"url": house.config.database.url}, "detect_local_models": False}))
        with pytest.raises(AntiphonError, match=sentence):
            await asyncio.to_thread(replay_command, ReplayOptions(last=True, config=settings, **wish))
    await visitors.close()


def test_a_database_of_another_version_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="There is no database"):
        to_read(DatabaseSettings(url=f"sqlite:///{tmp_path}/none.db"))
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("CREATE TABLE conversations (id TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
        connection.commit()
    before = everything(old)
    code, _, said = run(tmp_path, "--last", ANTIPHON_DATABASE__URL=f"sqlite:///{old}")
    assert (code, "run `antiphon migrate`" in said) == (1, True), said
    assert everything(old) == before
