"""What every test may use: the event loop, free ports, real browsers and runtimes, and a guard around the network."""

import ipaddress
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REQUIRED = frozenset(filter(None, os.environ.get("ANTIPHON_TEST_REQUIRE", "").replace(" ", "").split(",")))
"""Servers and runtimes whose absence is a failure and no reason to skip."""


@pytest.fixture(scope="session")
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """asyncio, or uvloop for tests that ask with `@pytest.mark.parametrize("anyio_backend", ["asyncio", "uvloop"],
    indirect=True)`."""
    if getattr(request, "param", "asyncio") == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not made for this platform")
        return "asyncio", {"use_uvloop": True}
    return "asyncio"


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- servers and runtimes that may be missing ---------------------------------------------------------------------


def find_program(what: str, *names: str) -> str:
    """The path of the first of `names` on PATH; without one, the test skips, or fails when `what` is required."""
    for name in names:
        if path := shutil.which(name):
            return path
    reason = f"{what} is not installed (looked for {', '.join(names)} on PATH)"
    if what in REQUIRED:
        pytest.fail(f"{reason}, but ANTIPHON_TEST_REQUIRE names it", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node.js."""
    return find_program("node", "node")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium browser, to be given to playwright as `executable_path`."""
    return find_program("chromium", "chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def npm_ci(node: str) -> Callable[[Path], Path]:
    """Installs the packages of a folder's lock file, once for as long as the lock file stays as it is."""
    npm = find_program("node", "npm")

    def install(folder: Path) -> Path:
        lock, mark = folder / "package-lock.json", folder / "node_modules" / ".antiphon-installed"
        if mark.exists() and mark.read_bytes() == lock.read_bytes():
            return folder
        command = [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(
            command, check=False, cwd=folder, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"npm ci failed in {folder}:\n{done.stdout}{done.stderr}"
        mark.write_bytes(lock.read_bytes())
        return folder

    return install


# --- the network --------------------------------------------------------------------------------------------------


def _guard_network(event: str, args: tuple[Any, ...]) -> None:
    if event not in {"socket.connect", "socket.sendto"}:
        return
    address = args[1]
    if not isinstance(address, tuple) or str(address[0]) in {"localhost", ""}:
        return
    try:
        allowed = ipaddress.ip_address(address[0].split("%")[0]).is_loopback
    except ValueError:
        allowed = False
    if not allowed:
        raise PermissionError(f"A test tried to reach {address[0]}; tests use loopback only.")


def pytest_configure(config: pytest.Config) -> None:
    # An audit hook sees also what C code connects; it cannot be removed and need not be.
    sys.addaudithook(_guard_network)


# --- the account of what was skipped ------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    reasons: dict[str, int] = {}
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"  {count} × {reason}")
    terminalreporter.write_line(f"skipped: {len(skipped)}")
