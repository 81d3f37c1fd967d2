"""From a database URL to the store that serves it."""

from importlib import import_module
from typing import cast

from antiphon.errors import ConfigError
from antiphon.storage.base import Store
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.sqlite.claim import Claim
from antiphon.storage.sqlite.connection import path_of
from antiphon.telemetry.metrics import Metrics

_STORES = {"sqlite": "antiphon.storage.sqlite.store:SqliteStore"}


def open_store(settings: DatabaseSettings, *, metrics: Metrics | None = None) -> Store:
    """The store for `settings.url`, not yet started. Raises `ConfigError` when no store serves its scheme."""
    scheme = settings.url.partition(":")[0]
    if scheme not in _STORES:
        names = ", ".join(f"{name}:///…" for name in sorted(_STORES))
        raise ConfigError(f"database.url begins with {scheme!r}, which no store serves; possible is {names}.")
    module, name = _STORES[scheme].split(":")
    return cast("Store", getattr(import_module(module), name)(settings, metrics=metrics))


def open_claim(settings: DatabaseSettings) -> Claim:
    """The claim that a process takes before it answers from this database; see `sqlite.claim`."""
    return Claim(path_of(settings.url))
