"""From a database URL to the store that serves it, the right to answer from it, and what changes its schema."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

from antiphon.errors import ConfigError, ServiceError
from antiphon.storage.base import Store
from antiphon.storage.claim import Claim
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.migrations.base import Migrator
from antiphon.storage.sqlite.claim import FileClaim
from antiphon.storage.sqlite.connection import path_of
from antiphon.telemetry.metrics import Metrics


def open_store(settings: DatabaseSettings, *, node: str = "", metrics: Metrics | None = None) -> Store:
    """The store for `settings.url`, not yet started, as it is used by the process `node` of several, or by one that is
    alone. Raises `ConfigError` when no store serves its scheme."""
    if is_server(settings):
        return cast("Store", _load("postgres.store").PostgresStore(settings, node=node, metrics=metrics))
    return cast("Store", _load("sqlite.store").SqliteStore(settings, node=node, metrics=metrics))


def to_read(settings: DatabaseSettings) -> DatabaseSettings:
    """The settings for a database that is there, beside whoever answers from it: nothing is made and no schema changed.
    Raises `ServiceError` when there is none."""
    path = None if is_server(settings) else path_of(settings.url)
    if path is not None and not path.exists():
        raise ServiceError(f"There is no database {path} yet. Look into database.url, or begin with `antiphon serve`.")
    return settings.model_copy(update={"migrate": "check"})


def open_claim(
    settings: DatabaseSettings, lost: Callable[[ServiceError], object] = lambda _: None, *, node: str = ""
) -> Claim:
    """The claim that a process takes before it answers from this database: alone, or as `node` beside others that are
    nodes too. `lost` is called when another process has taken it, which can happen on a server only.

    Raises `ConfigError` for a node of a file."""
    if is_server(settings):
        return cast("Claim", _load("postgres.claim").PostgresClaim(settings, lost, node=node))
    if node:
        raise ConfigError(
            "Several processes cannot answer from a SQLite file: name a PostgreSQL database in database.url, or serve "
            "with one process and without cluster.url."
        )
    return FileClaim(path_of(settings.url))


def open_migrator(settings: DatabaseSettings) -> Migrator:
    """What shows and changes the schema of this database."""
    if is_server(settings):
        return cast("Migrator", _load("migrations.upgrade_postgres").PostgresMigrator(settings))
    return cast("Migrator", _load("migrations.upgrade").SqliteMigrator(settings))


def is_server(settings: DatabaseSettings) -> bool:
    """Whether the database is on a PostgreSQL server and not a SQLite file. Raises `ConfigError` when it is neither."""
    scheme, colon, _ = settings.url.partition(":")
    if scheme not in {"sqlite", "postgresql", "postgres"}:
        # What is no scheme may be anything, also a password.
        begins = (
            f"begins with {scheme!r}, which no store serves"
            if colon and scheme.isalnum()
            else "is no address of a database"
        )
        raise ConfigError(
            f"database.url {begins}; possible is sqlite:///path or postgresql://user:password@host:port/database."
        )
    return scheme != "sqlite"


def _load(module: str) -> Any:
    """A module of this package, when it is needed: asyncpg is an extra, and Alembic takes longer than a start."""
    try:
        return import_module(f"antiphon.storage.{module}")
    except ModuleNotFoundError as error:
        raise ConfigError("PostgreSQL needs asyncpg: pip install 'antiphon[postgres]'.") from error
