"""Connecting to PostgreSQL the way this store needs it."""

import asyncio
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import asyncpg
from asyncpg.connection import Connection

from antiphon.errors import ConfigError, ServiceError
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.postgres.faults import unreachable
from antiphon.telemetry.logs import get_logger

SCHEMES = ("postgresql", "postgres")

if TYPE_CHECKING:
    Link: TypeAlias = Connection[asyncpg.Record]
else:
    Link = Connection  # generic only for type checkers

BROKEN = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a connection raises: the network, the server, and asyncpg about its own use and about what it did not expect."""

_OLDEST = 13
"""The first version with `normalize()`, and the oldest that anybody still looks after."""

_PAUSE = 0.05
"""Seconds between two attempts to reach a server that restarts."""

log = get_logger(__name__)


def checked_url(settings: DatabaseSettings) -> str:
    """The URL, if it can be one; `ConfigError` otherwise, without what may be a password in it."""
    try:
        parts = urlsplit(settings.url)
        good = parts.scheme in SCHEMES and (parts.port is None or parts.port > 0) and len(parts.path) > 1
    except ValueError:
        good = False
    if not good:
        raise ConfigError("database.url is not of the form postgresql://user:password@host:port/database.")
    return settings.url


async def connect(settings: DatabaseSettings, *, name: str = "antiphon", patient: bool = True) -> Link:
    """A connection, which the caller closes. `patient`: a server that restarts gets `connect_seconds` for it, and the
    log says that it is waited for. `name` is what its operator sees, at most 63 bytes.

    Raises `ServiceError` with what to do."""
    clock = asyncio.get_running_loop().time
    give_up, told = clock() + settings.connect_seconds, False
    while True:
        try:
            return await _connect(settings, name)
        except BROKEN as error:
            restarting = isinstance(error, OSError | asyncpg.CannotConnectNowError | asyncpg.PostgresConnectionError)
            if not (restarting and patient) or clock() + _PAUSE > give_up:
                raise unreachable(error, settings.place) from error
            if not told:
                told = True
                log.warning("store.waiting", database=settings.place, seconds=settings.connect_seconds)
        await asyncio.sleep(_PAUSE)


async def _connect(settings: DatabaseSettings, name: str) -> Link:
    link = await asyncpg.connect(
        settings.url,
        timeout=settings.connect_seconds,
        command_timeout=settings.answer_seconds,
        statement_cache_size=settings.statement_cache_size,
        max_cached_statement_lifetime=0,
        server_settings={"application_name": name},
    )
    if link.get_server_version().major < _OLDEST:
        link.terminate()
        raise ServiceError(
            f"PostgreSQL {link.get_server_version().major} is too old: version {_OLDEST} or newer is needed."
        )
    if link.get_settings().server_encoding != "UTF8":
        link.terminate()
        raise ServiceError(f"The database {settings.place} does not keep UTF-8: create it with ENCODING 'UTF8'.")
    return link


async def close(link: Link) -> None:
    """Says goodbye to the server, without waiting for one that does not listen."""
    try:
        await link.close(timeout=1.0)
    except BROKEN:
        link.terminate()
