"""`antiphon finetune`: examples out of conversations, and jobs of the demo server."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from antiphon.cli import finetune as command
from antiphon.cli.options import FinetuneAction, FinetuneOptions
from antiphon.conversation.training import examined
from antiphon.errors import AntiphonError, ConfigError, ValidationError
from antiphon.providers.demo.server import DemoServer
from antiphon.providers.finetuning import FineTuning
from tests.serving import Visitors, serving

QUICK = {"detect_local_models": False, "providers": {"demo": {"rate": 0}}}
NAMED = {"cook": {"instructions": "You cook.", "tools": ["calculator"]}, "guide": {"instructions": "You guide."}}


async def run(action: str, target: str | Path | None = None, **options: Any) -> int:
    """The exit code."""
    wish = FinetuneOptions(action=FinetuneAction(action), target=None if target is None else str(target), **options)
    try:
        await asyncio.to_thread(command.finetune, wish)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture
async def settings(tmp_path: Path) -> Path:
    """Of a house with some conversations."""
    visitors, path = Visitors(), tmp_path / "a.yaml"
    async with serving(tmp_path, assistants={"named": NAMED}) as house:
        database = {"url": house.config.database.url}
        path.write_text(json.dumps(QUICK | {"database": database, "assistants": {"named": NAMED}}))
        cook = await visitors.enter(house.url, client_id="c1")
        for text in ('!tool calculator {"expression": "2+2"}', "/help", "!500", "!echo mail ann@example.com"):
            await cook.ask(text)
        for client in ("c2", "c3"):
            other = await visitors.enter(house.url, client_id=client)
            await other.ask("!echo the same")
        await other.ask("/good")
        await cook.ask("/bad")
        await visitors.close()
    return path


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_conversations_become_examples(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "examples.jsonl"
    assert await run("export", path, config=settings) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 examples with 3 turns, about ")
    assert said.endswith("tokens (1 doubled).\n")
    first, second = rows(path)
    assert [message["role"] for message in first["messages"]] == [
        "system", "user", "assistant", "tool", "assistant", "user", "assistant",
    ]  # fmt: skip
    assert first["messages"][0]["content"] == "You cook."
    assert first["messages"][2]["tool_calls"][0]["function"]["name"] == "calculator"
    assert first["tools"][0]["function"]["name"] == "calculator"
    assert "ann@example.com" in first["messages"][-1]["content"]
    assert second["messages"][-1]["content"] == "the same"
    assert examined(path.read_bytes()).rows == 2
    with pytest.raises(ValidationError, match="cannot be written"):
        await run("export", path, config=settings)


KILLED = """
import os, signal
from pathlib import Path
from antiphon.cli import finetune as command
from antiphon.cli.options import FinetuneAction, FinetuneOptions

async def rows(self):
    yield b"{}\\n" * 100_000
    os.kill(os.getpid(), signal.SIGKILL)

command.TrainingData.rows = rows
command.finetune(FinetuneOptions(action=FinetuneAction("export"), target="examples.jsonl", config=Path("a.yaml")))
"""


async def test_what_is_killed_halfway_leaves_no_file_to_be_taken_for_whole(settings: Path, tmp_path: Path) -> None:
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, cwd=tmp_path)
    assert await killed.wait() == -signal.SIGKILL
    path = tmp_path / "examples.jsonl"
    assert not path.exists()
    assert await run("export", path, config=settings) == 0
    assert len(rows(path)) == 2


async def test_only_what_people_liked(settings: Path, tmp_path: Path) -> None:
    path = tmp_path / "liked.jsonl"
    assert await run("export", path, config=settings, liked=True) == 0
    assert [row["messages"][-1]["content"] for row in rows(path)] == ["the same"]


async def test_what_is_personal_stays_here_on_request(settings: Path, tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    assert await run("export", path, config=settings, mask=True) == 0
    assert "ann@example.com" not in path.read_text()
    assert "[e-mail address]" in path.read_text()


async def test_turns_are_chosen(settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.jsonl"
    assert await run("export", path, config=settings, since=datetime(2999, 1, 1), as_json=True) == 0  # noqa: DTZ001
    assert json.loads(capsys.readouterr().out)["rows"] == 0
    assert path.read_bytes() == b""
    assert await run("export", tmp_path / "guide.jsonl", config=settings, assistant="guide") == 0
    assert (tmp_path / "guide.jsonl").read_bytes() == b""
    missing = tmp_path / "missing.jsonl"
    with pytest.raises(ConfigError, match="no assistant called 'nobody'"):
        await run("export", missing, config=settings, assistant="nobody")
    assert not missing.exists()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no example"),
        (b'{"messages": []}\n', "Line 1 is no example: its last"),
        (b'\n{"messages": [{"role": "user", "content": "a"}]}\n', "Line 2 is no example: its last"),
        (b'{"messages": [{"role": "robot"}]}', "Line 1 is no example: "),
        (b"[" * 9_000, "Line 1 is no example"),
        (b"\xff\n", "Line 1 is no example"),
    ],
)
def test_a_file_that_no_vendor_would_take_is_named_by_its_line(data: bytes, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        examined(data)


# --- jobs ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def vendor(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """Options for a vendor with jobs."""
    server = DemoServer()
    await server.start()
    path = tmp_path / "b.yaml"
    path.write_text(json.dumps(QUICK | {"providers": {"openai": {"base_url": server.url}}}))
    yield {"config": path}
    await server.stop()


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    path = tmp_path / "examples.jsonl"
    row = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "yes"}]}
    path.write_text("".join(json.dumps(row | {"n": number}) + "\n" for number in range(12)))
    return path


async def test_a_job_is_started_looked_at_and_cancelled(
    vendor: dict[str, Any], examples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("list", **vendor) == 0
    assert capsys.readouterr().out == "There are no jobs.\n"
    assert await run("start", examples, **vendor, model="openai:demo", as_json=True) == 0
    job = json.loads(capsys.readouterr().out)
    assert job["status"] == "validating_files"
    assert await run("status", job["id"], **vendor) == 0
    assert capsys.readouterr().out == f"{job['id']}  queued  openai:demo\n"
    assert await run("cancel", job["id"], **vendor) == 0
    assert "cancelled" in capsys.readouterr().out
    assert await run("status", job["id"], **vendor) == 1
    assert await run("list", **vendor, as_json=True) == 0


async def test_a_job_is_watched_to_its_model(
    vendor: dict[str, Any], examples: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FineTuning.watch.__kwdefaults__ or {}, "seconds", 0.0)
    wish = {**vendor, "model": "openai:demo", "watch": True}
    assert await run("start", examples, **wish, suffix="mine") == 0
    said = capsys.readouterr().out
    assert "12 examples with 12 turns" in said
    assert "The job is running" in said
    assert "--model openai:ft:demo:antiphon:mine:ftjob-" in said
    assert await run("start", examples, **wish, suffix="fails") == 1
    assert "as its suffix asked" in capsys.readouterr().out


async def test_what_is_wrong_is_one_sentence(vendor: dict[str, Any], examples: Path, tmp_path: Path) -> None:
    for action, target, wish, sentence in (
        ("start", examples, {}, "Name the model"),
        ("start", None, {"model": "openai:demo"}, "Name the file of examples"),
        ("start", tmp_path / "missing", {"model": "openai:demo"}, "cannot be read"),
        ("start", examples, {"model": "demo:demo"}, "demo is no vendor"),
        ("status", None, {}, "Name the id of a job"),
        ("status", "ftjob-99", {}, "404"),
        ("list", None, {"provider": "nobody"}, "nobody"),
        ("export", None, {}, "Name the file to write"),
    ):
        with pytest.raises(AntiphonError, match=sentence):
            await run(action, target, **vendor, **wish)
