"""From a database URL to the store that serves it."""

from importlib import import_module
from typing import cast

from antiphon.errors import ConfigError
from antiphon.storage.base import Store
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.sqlite.claim import Claim
from antiphon.storage.sqlite.connection import path_of
from antiphon.telemetry.metrics import Metrics

_POSTGRES = "antiphon.storage.postgres.store:PostgresStore"
_STORES = {
    "sqlite": "antiphon.storage.sqlite.store:SqliteStore",
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
}


def open_store(settings: DatabaseSettings, *, metrics: Metrics | None = None) -> Store:
    """The store for `settings.url`, not yet started. Raises `ConfigError` when no store serves its scheme."""
    scheme = settings.url.partition(":")[0]
    if scheme not in _STORES:
        raise ConfigError(
            f"database.url begins with {scheme!r}, which no store serves; possible is sqlite:///path or "
            "postgresql://user:password@host:port/database."
        )
    module, name = _STORES[scheme].split(":")
    try:
        made = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise ConfigError("PostgreSQL needs asyncpg: pip install 'antiphon[postgres]'.") from error
    return cast("Store", made(settings, metrics=metrics))


def open_claim(settings: DatabaseSettings) -> Claim:
    """The claim that a process takes before it answers from this database; see `sqlite.claim`."""
    return Claim(path_of(settings.url))
