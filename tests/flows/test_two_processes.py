"""Two processes and one database: the second finds the first, and takes nothing from it."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.serving import LONGEST, Served, Visitors, environment


async def antiphon(folder: Path, *arguments: str, say: str = "") -> tuple[int, str, str]:
    """Runs a command in `folder`; its exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "antiphon", *arguments),
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(LONGEST):
        output, errors = await process.communicate(say.encode())
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def test_a_second_server_is_refused_and_harms_no_running_answer(served: Served, visitors: Visitors) -> None:
    served.start()
    visitor = await visitors.enter(served.url)
    turn_id = (await visitor.say("!slow 2 !long 1500"))["turn_id"]
    await visitor.until("delta", turn_id=turn_id)
    code, _, errors = await antiphon(served.folder, "serve", "--port", "0")
    assert code == 1
    assert f"Another process ({served.process.pid}, {served.url}) answers from this database already" in errors
    assert "Traceback" not in errors
    answer = await visitor.answer(turn_id)
    assert (answer["status"], answer["text"]) == ("answered", visitor.said[turn_id])


async def test_the_terminal_talks_to_the_server_that_runs_already(served: Served, visitors: Visitors) -> None:
    served.start()
    visitor = await visitors.enter(served.url)
    turn_id = (await visitor.say("!slow 2 !long 1500"))["turn_id"]
    await visitor.until("delta", turn_id=turn_id)
    code, output, errors = await antiphon(served.folder, "chat", say="!echo from the terminal\n")
    assert (code, output.strip(), errors) == (0, "from the terminal", "")
    assert (await visitor.answer(turn_id))["status"] == "answered"


async def test_a_message_beyond_the_limit_is_refused_and_not_tried_for_ever(served: Served) -> None:
    served.start()
    code, output, errors = await antiphon(served.folder, "chat", say="x" * 3_000_000 + "\n")
    assert (code, output) == (1, "")
    assert "3,000,000 characters; 100,000 are the most" in errors


async def test_a_killed_server_leaves_its_place(served: Served) -> None:
    served.start()
    served.kill()
    assert (await antiphon(served.folder, "chat", say="!echo alone\n"))[:2] == (0, "alone\n")
    served.start()
