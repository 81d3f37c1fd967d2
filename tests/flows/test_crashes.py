"""`kill -9` at any moment: no question is lost, no answer doubled, every accepted message has exactly one outcome."""

import asyncio
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import ServiceError
from tests.serving import Served, Visitor, Visitors

STOPPED = "The server stopped while this was being answered. Ask again if you still want to know."


def turns_of(messages: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    turns: dict[str, list[dict[str, Any]]] = {}
    for message in messages:
        turns.setdefault(message["turn_id"], []).append(message)
    return turns


def gist(visitor: Visitor) -> list[tuple[Any, ...]]:
    """What people see of the messages."""
    return [(message["id"], message["role"], message["text"], message["status"]) for message in visitor.shown()]


def in_database(folder: Path, query: str) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(folder / "data" / "antiphon.db")
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


async def rejoined(visitor: Visitor) -> None:
    joins = visitor.joins
    await visitor.see(lambda: visitor.joins > joins)


async def test_rows_that_were_damaged_by_hand_keep_nobody_from_starting(served: Served, visitors: Visitors) -> None:
    served.start()
    visitor = await visitors.enter(served.url)
    await visitor.ask("!echo whole")
    receipt = await visitor.say("!slow 20 !long 2000")
    await visitor.see(lambda: in_database(served.folder, "SELECT count(*) FROM chunks")[0][0] >= 2)
    served.kill()
    with closing(sqlite3.connect(served.folder / "data" / "antiphon.db")) as database, database:
        database.execute("INSERT INTO chunks SELECT turn_id, max(seq) + 1, max(number) + 1, 'tool', '{' FROM chunks")
        database.execute("UPDATE inbox SET record = '{'")
        database.execute("UPDATE messages SET parts = '{' WHERE parts IS NOT NULL")
    served.start()
    again = await visitors.enter(served.url, visitor.conversation_id)
    assert [message["text"] for message in again.shown()][:2] == ["!echo whole", "whole"]
    assert [message["status"] for message in again.shown() if message["turn_id"] == receipt["turn_id"]] == [
        "interrupted",
        "interrupted",
    ]
    assert (await again.ask("!echo go on"))["text"] == "go on"
    assert "store.record_damaged" in served.log


async def settled(visitor: Visitor) -> list[dict[str, Any]]:
    """The messages, once every question has an outcome."""

    def answered_all() -> bool:
        questions = {message["turn_id"] for message in visitor.shown() if message["role"] == "user"}
        replies = {message["turn_id"] for message in visitor.shown() if message["role"] != "user"}
        return questions <= replies

    await visitor.see(answered_all)
    return visitor.shown()


async def test_a_kill_in_the_middle_of_an_answer_keeps_question_and_half(served: Served, visitors: Visitors) -> None:
    served.start()
    visitor = await visitors.enter(served.url)
    receipt = await visitor.say("!slow 20 !long 2000", client_id="once")
    turn_id = receipt["turn_id"]
    await visitor.see(lambda: in_database(served.folder, "SELECT count(*) FROM chunks")[0][0] >= 2)
    stored = "".join(row[0] for row in in_database(served.folder, "SELECT text FROM chunks ORDER BY seq"))
    served.kill()
    heard = visitor.said[turn_id]
    served.start()
    again = await visitors.enter(served.url, visitor.conversation_id)
    question, half = again.shown()
    assert (question["role"], question["text"], question["status"]) == ("user", "!slow 20 !long 2000", "interrupted")
    assert (half["role"], half["status"], half["turn_id"]) == ("assistant", "interrupted", turn_id)
    assert half["text"].startswith(stored)
    assert heard.startswith(half["text"])
    assert half["parts"][-1] == {"type": "notice", "code": "stopped", "text": STOPPED}
    assert again.joined["turns"] == []
    assert "turn.recovered" in served.log
    # The same message again is the same turn, and is not answered a second time.
    repeated = await again.say("!slow 20 !long 2000", client_id="once")
    assert repeated == receipt
    assert (await again.ask("!echo go on"))["text"] == "go on"
    assert len(again.shown()) == 4
    # The client that was there all the time has come back by itself and has the same.
    await visitor.see(lambda: gist(visitor) == gist(again))
    # A second restart changes nothing any more.
    served.kill()
    served.start()
    later = await visitors.enter(served.url, visitor.conversation_id)
    assert gist(later) == gist(again)


async def test_what_waited_at_the_crash_is_answered_after_it(served: Served, visitors: Visitors) -> None:
    served.start()
    visitor = await visitors.enter(served.url)
    running = await visitor.say("!slow 60000 !long 5")
    await visitor.until("turn_start", turn_id=running["turn_id"])
    waiting = [await visitor.say(f"!echo {number}") for number in range(5)]
    served.kill()
    served.start()
    again = await visitors.enter(served.url, visitor.conversation_id)
    messages = await settled(again)
    assert [message["text"] for message in messages if message["role"] == "assistant"][1:] == ["0", "1", "2", "3", "4"]
    assert [message["turn_id"] for message in messages[::2]] == [receipt["turn_id"] for receipt in (running, *waiting)]
    assert [message["status"] for message in messages[1::2]] == ["interrupted"] + ["answered"] * 5


@pytest.mark.timeout(120)
async def test_kills_at_random_moments_lose_and_double_nothing(
    served: Served, visitors: Visitors, record_property: Any
) -> None:
    """A client that sends, and sends again what was not acknowledged, while the server dies again and again."""
    dice = random.Random(7)
    receipts: dict[str, dict[str, Any]] = {}
    served.start()
    visitor = await visitors.enter(served.url)
    number = 0

    async def send(client_id: str, text: str) -> None:
        while client_id not in receipts:
            try:
                receipts[client_id] = await visitor.say(text, client_id)
            except (ServiceError, TimeoutError):
                await rejoined(visitor)

    senders: list[asyncio.Task[None]] = []
    for _ in range(12):
        for _ in range(dice.randint(1, 4)):
            number += 1
            text = dice.choice(
                [f"!echo {number}", f"!slow 5 !long {dice.randint(2, 60)}", "!reason !long 9", "/status"]
            )
            senders.append(asyncio.create_task(send(f"m{number}", text)))
            await asyncio.sleep(dice.choice([0, 0, 0.002]))
        await asyncio.sleep(dice.random() * 0.4)
        back = asyncio.create_task(rejoined(visitor))
        await asyncio.sleep(0)
        served.kill()
        served.start()
        await back
    async with asyncio.timeout(30):
        await asyncio.gather(*senders)
    again = await visitors.enter(served.url, visitor.conversation_id)
    messages = await settled(again)
    turns = turns_of(messages)
    assert {receipt["turn_id"] for receipt in receipts.values()} == set(turns)
    assert len(turns) == number
    for turn in turns.values():
        assert [message["role"] == "user" for message in turn] == [True, False], turn
    asked = [message["text"] for message in messages if message["role"] == "user"]
    for question, reply in zip(messages[::2], messages[1::2], strict=True):
        assert question["turn_id"] == reply["turn_id"]
        if question["text"].startswith("!echo") and reply["status"] == "answered":
            assert reply["text"] == question["text"].removeprefix("!echo ")
    positions = sorted(message["position"] for message in messages)
    assert positions == list(range(1, 2 * number + 1))
    assert len(asked) == number
    outcomes = Counter(message["status"] for message in messages if message["role"] != "user")
    assert set(outcomes) <= {"answered", "interrupted"}
    assert in_database(served.folder, "SELECT count(*) FROM chunks") == [(0,)]
    assert in_database(served.folder, "SELECT count(*) FROM inbox WHERE state != 'ended'") == [(0,)]
    record_property("outcomes", dict(outcomes))
    # The client that lived through it all sees what a newcomer sees.
    await visitor.see(lambda: len(visitor.messages) == 2 * number)
    assert [(m["id"], m["text"]) for m in visitor.shown()] == [(m["id"], m["text"]) for m in messages]
