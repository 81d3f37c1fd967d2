"""A process that dies at any point of a turn that asks: nothing is done twice, nothing is lost without a word."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.flows.conftest import Serving
from tests.serving import LONGEST, SOURCE, Visitor, Visitors, environment

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
async def start(tmp_path: Path, free_port: int) -> AsyncIterator[Start]:
    """Begins a life of the house that ends at a point."""
    lives: list[subprocess.Popen[bytes]] = []

    def begin(point: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.paying", str(tmp_path), str(free_port), point]
        with (tmp_path / "log").open("ab") as log:
            variables = environment(tmp_path, PYTHONPATH=f"{SOURCE}:{SOURCE.parent}")
            lives.append(subprocess.Popen(command, env=variables, stdout=log, stderr=log, cwd=SOURCE.parent))
        return lives[-1]

    yield begin
    for life in lives:
        life.kill()
        life.wait(LONGEST)


async def until(find: Callable[[], Any]) -> Any:
    """What `find` finds, asked again and again, also while nobody answers."""
    async with asyncio.timeout(LONGEST):
        while True:
            try:
                if found := await find():
                    return found
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("point", "ends", "paid"),
    [
        ("before pause", "interrupted", 0),
        ("after pause", "answered", 1),
        ("before decide", "answered", 1),
        ("after decide", "answered", 1),
        ("before take", "answered", 1),
        ("after take", "interrupted", 0),
        ("pay", "interrupted", 1),
    ],
)
async def test_it_is_done_once_or_said_not_to_be(
    start: Start, visitors: Visitors, tmp_path: Path, free_port: int, point: str, ends: str, paid: int
) -> None:
    url = f"http://127.0.0.1:{free_port}"
    async with aiohttp.ClientSession(f"{url}/api/v1/") as api:

        async def get(path: str) -> Any:
            async with api.get(path) as response:
                return (await response.json()).get("items")

        async def approve() -> None:
            for open_one in await get("approvals"):
                async with api.post(f"approvals/{open_one['id']}", json={"verdict": "approved"}) as response:
                    assert response.status == 200

        life = start(point)
        await until(lambda: get("assistants"))
        visitor = await visitors.enter(url)
        conversation = visitor.conversation_id
        await visitor.say('!tool pay {"amount": 500}')
        if "pause" not in point:
            await visitor.until("approval")
            with suppress(aiohttp.ClientError):  # the answer may be stored and its reply lost
                await approve()
        assert await asyncio.to_thread(life.wait, LONGEST) == -9
        await visitors.close()
        start("never")
        await until(lambda: get("assistants"))
        await approve()

        async def ended() -> Any:
            messages = await get(f"conversations/{conversation}/messages")
            return messages if messages[-1]["role"] == "assistant" else None

        messages = await until(ended)
    assert [message["status"] for message in messages] == [ends, ends]
    assert (ends == "answered") == (messages[-1]["parts"][-1]["type"] != "notice")
    record = tmp_path / "paid"
    assert (record.read_text("utf-8").split() if record.exists() else []) == ["500"] * paid


async def test_what_was_damaged_ends_and_the_rest_of_the_approvals_goes_on(
    house: Serving, visitors: Visitors, tmp_path: Path
) -> None:
    """After a restart, while one of three turns that wait is no JSON and one is of a version to come."""
    database = tmp_path / "antiphon.db"
    asked: list[tuple[str, str]] = []
    tools = {"approval": {"calculator": "always"}}
    async with house(tools=tools) as workspace:
        for number in range(3):
            visitor = await visitors.enter(workspace.url, client_id=f"c{number}")
            turn_id = (await visitor.say(f'!tool calculator {{"expression": "{number} + 40"}}'))["turn_id"]
            await visitor.until("approval", turn_id=turn_id)
            asked.append((visitor.conversation_id, turn_id))
    await visitors.close()
    with closing(sqlite3.connect(database)) as connection, connection:
        change = "UPDATE pauses SET data = ?, expires_at = ? WHERE turn_id = ?"
        connection.execute(change, ("{", 10**17, asked[0][1]))
        connection.execute(change, ('{"format":999,"value":{}}', 1, asked[1][1]))
    async with house(tools=tools) as workspace:
        for conversation_id, turn_id in asked[:2]:
            visitor = await visitors.enter(workspace.url, conversation_id)
            await visitor.see(lambda: ended(visitor, turn_id))  # noqa: B023 - called before the next round
            reply = ended(visitor, turn_id)
            assert reply["status"] == "interrupted"
            assert reply["parts"][-1]["text"].startswith("What this answer waited with cannot be read any more")
            assert (await visitor.ask("!echo go on"))["text"] == "go on"
        visitor = await visitors.enter(workspace.url, asked[2][0])
        await visitor.ask("/approve")
        assert "42" in (await visitor.answer(asked[2][1]))["text"]


def ended(visitor: Visitor, turn_id: str) -> dict[str, Any]:
    """The reply of a turn; empty where there is none yet."""
    said = (each for each in visitor.messages.values() if each["turn_id"] == turn_id and each["role"] == "assistant")
    return next(said, {})
