"""Echo and fan-out over Phoenix V2 on loopback, with a load generator in C: server CPU for each echo or delivery.

Without a C compiler there is nothing to measure with, and it says so.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.measuring import Case, process

UNIT = "µs of server CPU a message (echo) or delivery (fan-out)"
REFERENCE = "websockets and json: echo, 64 × 1"
ROUNDS = 3

SETS = {
    "echo, 64 × 1": "--mode echo --conns 64 --inflight 1 --payload-bytes 128",
    "echo, 200 × 4": "--mode echo --conns 200 --inflight 4 --payload-bytes 128",
    "1,000 members, 1 at a time": "--mode fanout --conns 1000 --window 1 --payload-bytes 200",
    "1,000 members, 4 at a time": "--mode fanout --conns 1000 --window 4 --payload-bytes 200",
    "100 rooms of 10, 2 at a time": "--mode fanout --conns 1000 --topics 100 --window 2 --payload-bytes 200",
}


def loaded(generator: Path, pid: int, port: str, options: str, seconds: float) -> Case:
    command = [
        str(generator),
        *("--url", f"ws://127.0.0.1:{port}/socket/websocket?vsn=2.0.0"),
        *("--pid", str(pid), "--duration", str(seconds), "--warmup", str(seconds / 4)),
        *options.split(),
    ]

    def case() -> float:
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        result = json.loads(output.partition("RESULT ")[2])
        if result["errors"] or not result["msgs"]:
            raise RuntimeError(f"{options}: {result}")
        return float(result["server_cpu_s"] / result["msgs"] * 1e6)

    return case


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    compiler = shutil.which("cc")
    if compiler is None:
        sys.exit("benchmarks/phxload.c needs a C compiler: install one (on Debian and Ubuntu: gcc).")
    seconds = max(0.1, scale)
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        generator = folder / "phxload"
        source = Path(__file__).with_name("phxload.c")
        subprocess.run([compiler, "-O2", "-o", generator, source], check=True)
        found: dict[str, Case] = {}
        for kind, label in (("antiphon", "antiphon"), ("websockets", "websockets and json")):
            ready = r"listening on (\d+)"
            pid, port = opened.enter_context(process("-m", "benchmarks.rooms", kind, ready=ready, folder=folder))
            for name, options in SETS.items():
                found[f"{label}: {name}"] = loaded(generator, pid, port, options, seconds)
        yield found
