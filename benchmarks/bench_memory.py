"""What processes hold at rest."""

import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench_start import READY, SERVE
from benchmarks.measuring import Case, process, resident_mib

UNIT = "MiB resident"
REFERENCE = "python"
ROUNDS = 3


def resident(*arguments: str, ready: str) -> Case:
    def case() -> float:
        with tempfile.TemporaryDirectory() as name:
            quiet = {"ANTIPHON_DETECT_LOCAL_MODELS": "false"}
            with process(*arguments, ready=ready, folder=Path(name), **quiet) as (pid, said):
                if said.startswith("http"):
                    urllib.request.urlopen(f"{said}/ready", timeout=10).close()
                return resident_mib(pid)

    return case


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    del scale  # rest is rest
    waits = "print('here'); import signal; signal.pause()"
    yield {
        "antiphon serve": resident(*SERVE, ready=READY),
        "import antiphon": resident("-c", f"import antiphon; {waits}", ready="(here)"),
        REFERENCE: resident("-c", waits, ready="(here)"),
    }
