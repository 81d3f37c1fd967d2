"""The Python that pages show: all of it compiles, and what is complete runs as it stands.

A block that begins with an import is complete. It runs in a process and a folder of its own, with the port 4000
replaced by a free one. A program that serves is stopped with SIGINT, as people stop it.
"""

import ast
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SHOWN = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def programs() -> list[Any]:
    """Every block of Python in the pages, found before the tests run, so that each is a test of its own."""
    found = []
    for path in SHOWN:
        for number, part in enumerate(path.read_text(encoding="utf-8").split("```python\n")[1:], 1):
            name = f"{path.relative_to(ROOT).as_posix()}-{number}"
            found.append(pytest.param(part.partition("```")[0], id=name))
    return found


@pytest.mark.parametrize("program", programs())
def test_it_compiles(program: str) -> None:
    compile(program, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


COMPLETE = [each for each in programs() if str(each.values[0]).startswith(("import ", "from "))]


@pytest.mark.parametrize("program", COMPLETE)
def test_it_runs(program: str, start: Callable[..., Popen[str]], tmp_path: Path, free_port: int) -> None:
    (tmp_path / "program.py").write_text(program.replace("4000", str(free_port)))
    process = start(["program.py"], tmp_path, free_port)
    try:
        if ".run()" in program or "app.start(" in program:
            assert process.poll() is None, (tmp_path / "stderr").read_text()
            process.send_signal(signal.SIGINT)
        code, said = process.wait(20), (tmp_path / "stderr").read_text()
    finally:
        process.kill()
        process.wait()
    assert code == 0, said


def test_there_is_something_to_run() -> None:
    assert len(COMPLETE) >= 8
