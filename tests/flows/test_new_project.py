"""From an empty folder to an assistant that answers, as somebody meets Antiphon for the first time."""

import os
import pty
import select
import stat
import subprocess
import sys
import time
from pathlib import Path

from tests.serving import LONGEST, Program, Visitors, environment


def antiphon(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "antiphon", *arguments],
        cwd=folder,
        env=environment(folder, COLUMNS="80", **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


async def test_a_new_project_answers_with_its_own_tool(tmp_path: Path, visitors: Visitors, free_port: int) -> None:
    made = antiphon(tmp_path, "init", "shop", "--yes")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.endswith(" app.py\n")
    assert "\nNext: cd shop && " in made.stdout
    folder = tmp_path / "shop"
    port = {"ANTIPHON_SERVER__PORT": str(free_port)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=folder,
            env=environment(folder, **port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        give_up = time.monotonic() + LONGEST
        while "Ctrl-C stops" not in (folder / "log").read_text():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < give_up
            time.sleep(0.02)
        visitor = await visitors.enter(f"http://127.0.0.1:{free_port}")
        answer = await visitor.ask('!tool days_until {"day": "2000-01-01"}')
        (tool,) = (part for part in answer["parts"] if part["type"] == "tool")
        assert (tool["name"], tool["status"]) == ("days_until", "done")
        assert tool["result"].strip('"').startswith("-")
        seen = antiphon(folder, "doctor", "--json", **port)
        assert seen.returncode == 0, seen.stdout
        assert f"http://127.0.0.1:{free_port}" in seen.stdout
    finally:
        process.terminate()
        assert process.wait(LONGEST) == 0


async def test_the_server_serves_a_new_project_too(tmp_path: Path, visitors: Visitors) -> None:
    assert antiphon(tmp_path, "init", "--yes", "--name", "guide").returncode == 0
    served = Program(tmp_path).start()
    try:
        visitor = await visitors.enter(served.url)
        assert (await visitor.ask("!echo hello"))["text"] == "hello"
    finally:
        served.end()


def test_git_sees_neither_secrets_nor_data(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.pyc")
    assert antiphon(tmp_path, "init", "--yes", "--database", "postgresql://me:geheim@db/x").returncode == 0
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n.env\ndata/\n"
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert "geheim" in (tmp_path / ".env").read_text()
    assert not any("geheim" in path.read_text() for path in tmp_path.iterdir() if path.name != ".env")


def test_a_person_is_asked_and_the_key_is_not_shown(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "antiphon", "init"],
        cwd=tmp_path,
        env=environment(tmp_path, TERM="dumb"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = ""
    for question, reply in (
        ("called", "My Shop"),
        ("is no name", "shop"),  # what is wrong is asked again at once, not at the end
        ("provider:model", "openai:gpt-5"),
        ("kept", "mysql://shop"),
        ("no store serves", ""),
        ("later): ", "sk-geheim-geheim"),  # the blank comes once nothing is echoed any more
    ):
        shown += read_until(ours, question)
        os.write(ours, f"{reply}\n".encode())
    shown += read_until(ours, "Next:")
    assert process.wait(LONGEST) == 0
    os.close(ours)
    assert "geheim" not in shown
    assert "default_model: openai:gpt-5\n" in (tmp_path / "antiphon.yaml").read_text()
    assert (tmp_path / ".env").read_text() == "OPENAI_API_KEY='sk-geheim-geheim'\n"


def read_until(terminal: int, text: str) -> str:
    shown, give_up = "", time.monotonic() + LONGEST
    while text not in shown:
        assert time.monotonic() < give_up, shown
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 4096).decode()
    return shown
