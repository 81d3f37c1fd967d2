"""Clients of others, unchanged, each in a process of its own, against the reference room in another."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.side_by_side import one_at_a_time
from tests.wire.foreign.program import Program
from tests.wire.foreign.reference_server import ReferenceServer

NODE = Path(__file__).parents[1] / "node"
PYTHON = Path(__file__).parent / "python"

Programs = Callable[..., Program]


@pytest.fixture
def room(free_port: int) -> Iterator[ReferenceServer]:
    """A room that is served; killed at the end if it still runs."""
    server = ReferenceServer(free_port).start()
    yield server
    server.stop(signal.SIGKILL)


@pytest.fixture
def javascript(node: str, npm_ci: Callable[[Path], Path]) -> Programs:
    """A script of the node folder."""
    return partial(Program, npm_ci(NODE), node)


@pytest.fixture(scope="session")
def foreign_python() -> Path:
    """A Python with the clients of others, made once for as long as their lock file stays as it is.

    They want an older websockets than the tests have.
    """
    lock, folder = PYTHON / "requirements.lock", PYTHON / ".venv"
    python, mark = folder / "bin" / "python", folder / ".antiphon-installed"
    with one_at_a_time(PYTHON):
        if not mark.exists() or mark.read_bytes() != lock.read_bytes():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=120)
            done = subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)],
                env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
            )  # fmt: skip
            assert done.returncode == 0, f"the clients could not be installed:\n{done.stdout}{done.stderr}"
            mark.write_bytes(lock.read_bytes())
    return python


@pytest.fixture
def python(foreign_python: Path) -> Programs:
    """A script of the python folder."""
    return partial(Program, PYTHON, str(foreign_python))
