"""SQLite without room while people talk: a clear refusal, nothing damaged, and it goes on once there is room again."""

import asyncio
import json
import resource
import sqlite3
import sys
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from antiphon.realtime.client import PushError
from tests.serving import LONGEST, Served, Visitor, Visitors

if not sys.platform.startswith("linux"):
    pytest.skip("only Linux changes the limits of another process", allow_module_level=True)


def limit_files(served: Served, size: int) -> None:
    """No file of the server may grow beyond `size` bytes: writing fails then as on a full disk."""
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def until_ready(served: Served, status: int) -> str:
    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"{served.url}/ready", timeout=LONGEST) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    async with asyncio.timeout(LONGEST):
        while True:
            found, body = await asyncio.to_thread(ask)
            if found == status:
                return body
            await asyncio.sleep(0.05)


async def test_a_disk_that_fills_up_while_people_talk(served: Served, visitors: Visitors) -> None:
    served.start()
    visitor = await visitors.enter(served.url)
    await visitor.ask("!echo there is room")
    turn_id = (await visitor.say("!slow 2 !long 800"))["turn_id"]
    await visitor.until("delta", turn_id=turn_id)
    data = served.folder / "data"
    limit_files(served, max(file.stat().st_size for file in data.iterdir()))
    other = await visitors.enter(served.url, visitor.conversation_id)
    with pytest.raises(PushError, match=r"check its disk|no room left"):
        await _fill(other)
    body = await until_ready(served, 503)
    assert "disk" in json.dumps(body)
    limit_files(served, resource.RLIM_INFINITY)
    await until_ready(served, 200)
    answer = await visitor.answer(turn_id)
    assert (answer["status"], answer["text"]) == ("answered", visitor.said[turn_id])
    assert (await visitor.ask("!echo there is room again"))["text"] == "there is room again"
    assert served.stop() == 0
    assert "Traceback" not in served.log
    _is_whole(data / "antiphon.db")


async def _fill(visitor: Visitor) -> None:
    """Until the log of the database has used up what it may write over."""
    for number in range(100):
        await visitor.say("x" * 5_000, client_id=f"c{number}")


def _is_whole(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM inbox WHERE state = 'running'").fetchone() == (0,)
