"""From the command to the first answer: what an import, and a server that says 200, cost."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring import ROOT, Case, cpu_seconds, process

UNIT = "ms (of CPU unless it says elapsed)"
REFERENCE = "python -c pass"
ROUNDS = 5
PROVIDER = "import antiphon with one provider"
LIMITS = {PROVIDER: 400}

SERVE = ("-m", "antiphon", "serve", "--port", "0")
READY = r"Antiphon\s+(http://\S+)"


def script(text: str) -> Case:
    """CPU of a Python process that runs `text`, its own start included."""

    def case() -> float:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        child = subprocess.Popen([sys.executable, "-c", text], env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"python -c {text!r} failed")
        return (usage.ru_utime + usage.ru_stime) * 1e3

    return case


def served(figure: Callable[[int, float], float]) -> Case:
    """Serves in an empty folder up to the first page; `figure` makes the result of process id and elapsed seconds."""

    def case() -> float:
        with tempfile.TemporaryDirectory() as name:
            began = time.perf_counter()
            with process(*SERVE, ready=READY, folder=Path(name), ANTIPHON_DETECT_LOCAL_MODELS="false") as (pid, url):
                with urllib.request.urlopen(f"{url}/ready", timeout=10):
                    elapsed = time.perf_counter() - began
                return figure(pid, elapsed)

    return case


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    del scale  # a start is a start
    yield {
        "import antiphon": script("import antiphon"),
        PROVIDER: script("import antiphon.providers.openai"),
        "serve to the first 200": served(lambda pid, _: cpu_seconds(pid) * 1e3),
        "serve to the first 200, elapsed": served(lambda _, elapsed: elapsed * 1e3),
        REFERENCE: script("pass"),
    }
