"""A disk that is full while people talk: they are told so, nothing is damaged, and it goes on when there is room."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.realtime.client.push import PushError
from tests.serving import Program, Served, Visitors, environment, until_ready

DISK = 4 * 1024 * 1024
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")
"""A file system of its own for one process, which is gone with it."""


class SmallDisk(Served):
    """A server whose `data` is a disk of `DISK` bytes that nobody else sees."""

    @property
    def data(self) -> Path:
        """Its data, by the process: from here it looks empty."""
        return Path(f"/proc/{self.process.pid}/root{self.folder}/data")

    def launch(self, *arguments: str) -> None:
        serve = f"exec {sys.executable} -m antiphon serve --port 0"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*UNSHARE, "sh", "-c", f"mount -t tmpfs -o size={DISK},mode=700 none data && {serve}"],
                cwd=self.folder,
                env=environment(self.folder, **self.variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def fill(self) -> None:
        """Leaves no byte of the disk."""
        with (self.data / "ballast").open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(512))
            except OSError:
                return

    def free(self) -> None:
        (self.data / "ballast").unlink()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    tried = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", str(tmp_path)], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"no process may have a file system of its own here: {tried.stderr.strip()}")
    (tmp_path / "data").mkdir()
    server = SmallDisk(tmp_path)
    yield server
    server.end()


async def test_a_full_disk_refuses_clearly_and_recovers_by_itself(
    small: SmallDisk, visitors: Visitors, tmp_path: Path
) -> None:
    small.start()
    visitor = await visitors.enter(small.url)
    accepted = [(await visitor.say("!echo before"))["turn_id"]]
    await visitor.answer(accepted[0])
    running = await visitor.say("!slow 20 !long 60")
    await visitor.until("delta", turn_id=running["turn_id"])
    small.fill()
    refusal = ""
    while not refusal:  # what SQLite has room for in its log is still taken
        try:
            accepted.append((await visitor.say(f"!echo {'x' * 20_000}"))["turn_id"])
        except PushError as error:
            refusal = str(error)
    assert "has no room left: free some space on its disk; a house that runs needs no restart." in refusal
    # Whoever spreads people over several servers sends them elsewhere, and the log tells why.
    told = await until_ready(small, 503)
    assert "no room left" in next(check["detail"] for check in told["checks"] if check["name"] == "store")
    assert 1 <= small.log.count("store.unit_failed") <= 20
    # The answer is there for who watches, and that it could not be stored is said.
    first = await visitor.until("turn_end", turn_id=running["turn_id"])
    assert first["message_id"] is None
    assert "no room left" in first["reason"]
    small.free()
    await until_ready(small, 200)
    accepted.append((await visitor.say("!echo after"))["turn_id"])
    answer = await visitor.answer(accepted[-1])
    assert answer["text"] == "after"
    half = next(m for m in visitor.shown() if m["turn_id"] == running["turn_id"] and m["role"] == "assistant")
    assert (half["status"], half["text"]) == ("answered", visitor.said[running["turn_id"]])
    again = await visitors.enter(small.url, visitor.conversation_id)
    asked = [message["turn_id"] for message in again.shown() if message["role"] == "user"]
    assert asked == [accepted[0], running["turn_id"], *accepted[1:]]
    assert all(message["status"] == "answered" for message in again.shown())
    assert integrity(small.data, tmp_path / "copy") == "ok"
    assert "Traceback" not in small.log
    assert small.stop(signal.SIGTERM) == 0


def integrity(data: Path, copy: Path) -> str:
    shutil.copytree(data, copy)
    database = sqlite3.connect(copy / "antiphon.db")
    try:
        return str(database.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        database.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process cannot be stopped here")
async def test_a_server_that_stood_still_goes_on_where_it_was(program: Program, visitors: Visitors) -> None:
    """As a laptop that slept, or a disk that did not answer."""
    program.start()
    visitor = await visitors.enter(program.url)
    running = await visitor.say("!slow 5 !long 60")
    await visitor.until("delta", turn_id=running["turn_id"])
    program.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, program.process.pid, os.WSTOPPED | os.WNOWAIT)
    waiting = [visitor.channel.push("message", {"text": f"!echo {number}"}) for number in range(3)]
    program.process.send_signal(signal.SIGCONT)
    assert (await visitor.answer(running["turn_id"]))["status"] == "answered"
    for number, said in enumerate(waiting):
        assert (await visitor.answer((await said)["turn_id"]))["text"] == str(number)
