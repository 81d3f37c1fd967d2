"""A process that dies at any point of a turn that asks: nothing is done twice, nothing is lost without a word."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.serving import LONGEST, SOURCE, Visitors, environment

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
