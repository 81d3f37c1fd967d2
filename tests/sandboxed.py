"""Functions that tests run in a sandbox: well-behaved, greedy and hostile ones."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from antiphon.errors import ToolError


def echo(value: Any) -> Any:
    return value


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def surroundings() -> dict[str, Any]:
    Path("note").write_text("x")
    return {
        "environment": sorted(os.environ),
        "descriptors": sorted(path.name for path in Path("/proc/self/fd").iterdir()),  # one of them is the list's own
        "folder": str(Path.cwd()),
        "home": os.environ["HOME"],
        "session": os.getsid(0) == os.getpid(),
        "cores": len(os.sched_getaffinity(0)),
    }


def refuse() -> None:
    raise ToolError("There is no such article.")


def stumble() -> None:
    raise KeyError("what a person wrote".upper())


def vanish() -> None:
    os._exit(3)


def unsayable() -> object:
    return object()


def shout(size: int) -> str:
    print("x" * size)  # noqa: T201 - what is printed is nobody's answer
    return "x" * size


def hoard(megabytes: int) -> int:
    return len(b"x" * (megabytes << 20))


def hoard_together(megabytes: int, children: int) -> None:
    """Each of them stays below the limit."""
    for _ in range(children):
        if not os.fork():
            kept = bytearray(os.urandom(1 << 20) * megabytes)
            time.sleep(60)
            os._exit(len(kept) & 1)
    time.sleep(60)


def fill(megabytes: int, files: int) -> None:
    for number in range(files):
        with Path(f"file-{number}").open("wb") as file:
            file.writelines(b"x" * (1 << 20) for _ in range(megabytes))
    time.sleep(60)


def close_to_itself() -> None:
    locked = Path("locked")
    locked.mkdir()
    (locked / "file").touch()
    locked.chmod(0)


def bomb() -> None:
    while True:
        os.fork()


def begin(mark: str, seconds: float) -> None:
    """Has a grandchild in a session of its own, which waits with `mark` in its command line; then waits itself."""
    program = f"import time; time.sleep({seconds:g})"
    subprocess.Popen([sys.executable, "-I", "-S", "-c", program, mark], start_new_session=True)
    time.sleep(seconds)


def burn(seconds: float) -> float:
    """Processor seconds that were had within so many of the clock."""
    end = time.monotonic() + seconds
    begun = time.process_time()
    while time.monotonic() < end:
        pass
    return time.process_time() - begun


def kill_the_supervisor() -> None:
    os.kill(os.getppid(), 9)
    time.sleep(60)
