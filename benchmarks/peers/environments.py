"""The peers, each installed once into an environment of its own under `.cache/peers`, with the versions pinned here."""

import hashlib
import os
import re
import select
import subprocess
import sys
from pathlib import Path

from benchmarks.measuring import ROOT, Case

HERE = Path(__file__).parent
OURS = "antiphon"
BARE = "bare"
"""Runs on what ours stands on, and has no environment of its own."""
_PATIENCE = 600.0
"""Seconds for one round."""

PEERS = {"openai": "openai", "pydantic_ai": "pydantic-ai-slim", "agno": "agno", "langgraph": "langgraph"}
"""By the name of their file; the package that is meant."""


def called(peer: str) -> str:
    """What people call it, with its version."""
    if peer not in PEERS:
        return {OURS: OURS, BARE: "aiohttp and msgspec alone"}[peer]
    version = re.search(rf"^{PEERS[peer]}==(\S+)", (HERE / f"{peer}.txt").read_text(), re.MULTILINE)
    assert version is not None
    return f"{PEERS[peer].removesuffix('-slim')} {version[1]}"


def installed(peer: str) -> Path | None:
    """The Python that runs the peer; None where it cannot be installed, which is said on stderr."""
    if peer in {OURS, BARE}:
        return Path(sys.executable)
    pins = HERE / f"{peer}.txt"
    folder = ROOT / ".cache" / "peers" / f"{peer}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        uv = (sys.executable, "-m", "uv")
        try:
            subprocess.run([*uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
            subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), "-r", str(pins)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.stderr.write(f"{peer} is not measured, because it could not be installed ({error}).\n")
            return None
        (folder / "complete").touch()
    return python


class Peer:
    """`with_<name>.py`, running; it answers lines of work as `driver.py` says."""

    def __init__(self, name: str, python: Path) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": str(ROOT / ".cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        if name == OURS:
            environment["PYTHONPATH"] = f"{ROOT / 'src'}:{ROOT}"
        self._name = name
        self._process = subprocess.Popen(
            [str(python), str(HERE / f"with_{name}.py")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def case(self, *work: object) -> Case:
        """Microseconds of CPU for each piece of this work."""

        def measured() -> float:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(" ".join(map(str, work)) + "\n")
            self._process.stdin.flush()
            if not select.select([self._process.stdout], [], [], _PATIENCE)[0] or not (
                line := self._process.stdout.readline()
            ):
                raise RuntimeError(f"{self._name} hangs or ended at {work}; run with_{self._name}.py by hand")
            return float(line)

        return measured

    def end(self) -> None:
        self._process.kill()  # nothing of it is kept
        self._process.communicate()
