"""Opening a SQLite file the way this store needs it (https://sqlite.org/pragma.html)."""

import os
import sqlite3
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, sleep

from antiphon.errors import ConfigError, ServiceError
from antiphon.storage.config import DatabaseSettings

_OLDEST = (3, 35, 0)  # RETURNING
_SCHEME = "sqlite:///"

_PAUSE = 0.005
"""Seconds between two attempts to have a file alone for a moment."""

_ROOM_BYTES = 256 * 1024
"""What a database must have room for to be of use: some messages and their index."""


def path_of(url: str) -> Path | None:
    """The file a URL names (`sqlite:///relative`, `sqlite:////absolute`), None for `:memory:`."""
    if not url.startswith(_SCHEME) or "?" in url:
        raise ConfigError(f"database.url {url!r} is not of the form sqlite:///path/to/file.db.")
    name = url.removeprefix(_SCHEME)
    if not name:
        raise ConfigError("database.url names no file: write sqlite:///data/antiphon.db, for example.")
    return None if name == ":memory:" else Path(name)


def prepare(path: Path) -> None:
    """Makes the folders and the file when they are missing, for this user alone."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise ServiceError(f"SQLite {sqlite3.sqlite_version} is too old: use a Python with SQLite 3.35 or newer.")
    try:
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ServiceError(
            f"The database {path} cannot be made ({error.strerror}): check its folder in database.url.",
            public="The database cannot be made: check its folder in database.url.",
        ) from error


def identity_of(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to now: another one has another device or inode. None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def has_room(path: Path) -> bool:
    """Whether there is room for more beside the file, whatever its log still holds."""
    try:
        with TemporaryFile(dir=path.parent, buffering=0) as probe:
            return probe.write(bytes(_ROOM_BYTES)) == _ROOM_BYTES
    except OSError:
        return False


def connect(path: Path | None, settings: DatabaseSettings, *, readonly: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, for use by one thread at a time. The caller closes it."""
    connection = sqlite3.connect(
        path or ":memory:",
        timeout=settings.busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        _configure(connection, settings, readonly=readonly)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection, give_up: float) -> None:
    """Changing the mode needs the file for itself, and SQLite waits for that only sometimes: not where two connections
    that both have begun to read would wait for each other."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() >= give_up:
                raise
            sleep(_PAUSE)
        else:
            return


def _configure(connection: sqlite3.Connection, settings: DatabaseSettings, *, readonly: bool) -> None:
    if not readonly:
        _write_ahead(connection, monotonic() + settings.busy_seconds)
        connection.execute(f"PRAGMA synchronous = {settings.synchronous}")
        # 16 MB of log: the same few pages change with every message, and a checkpoint copies each of them once.
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
    for pragma in (
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -16000",
        "mmap_size = 134217728",
        f"query_only = {'ON' if readonly else 'OFF'}",
    ):
        connection.execute(f"PRAGMA {pragma}")
