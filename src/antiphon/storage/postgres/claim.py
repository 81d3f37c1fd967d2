"""The claim on a PostgreSQL database: an advisory lock, held by a transaction that stays open on its own connection.

A transaction and not a session, so that it works behind a pooler too; it changes nothing and holds no snapshot. The
server ends it, and so gives the claim free, when it has not heard of its client for `LEASE_SECONDS`. Who holds it is
in the name under which that connection is shown to the operator (pg_stat_activity).

A process that is alone holds it exclusively. Of several each shares it and has a second lock, that of its node: the
node lives as long as that is held (`nodes.sql`).
"""

import asyncio
import os
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack

import asyncpg

from antiphon.errors import ServiceError
from antiphon.storage.claim import Holder, taken
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.postgres.connection import BROKEN, Link, checked_url, close, connect
from antiphon.storage.postgres.faults import translated
from antiphon.telemetry.logs import get_logger

LEASE_SECONDS = 30
PULSE_SECONDS = 5.0
"""Between two signs of life."""

PATIENCE_SECONDS = 1.0
"""How long to try: the server needs a moment to notice that the last holder has gone."""

_KEYS = "1634628713, 1"  # "anti" and the claim
_BEGIN = f"BEGIN; SET LOCAL idle_in_transaction_session_timeout = '{LEASE_SECONDS}s'"
_LOCK = f"SELECT pg_try_advisory_xact_lock({_KEYS})"
_SHARE = f"SELECT pg_try_advisory_xact_lock_shared({_KEYS})"
_LOCK_NODE = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 1634628713))"
_HOLDERS = """
SELECT pid, application_name, mode = 'ShareLock' AS shared FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND (classid, objid, objsubid) = (1634628713, 1, 2) AND granted
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY backend_start
"""
_NAME = re.compile(r"antiphon (\d+)@(\S*)(?: (\S+))?")
_LONGEST_NAME = 63

log = get_logger(__name__)


class PostgresClaim:
    """The right to answer from a PostgreSQL database, alone or as `node`.

    When its connection breaks it is taken again as soon as that is possible. If another process was faster, `lost` is
    called with the error that tells so, once, and this process must answer no more. A node shares with other nodes, and
    so only loses it to a process that wants to be alone.
    """

    def __init__(self, settings: DatabaseSettings, lost: Callable[[ServiceError], object], *, node: str = "") -> None:
        checked_url(settings)
        self._settings = settings
        self._lost = lost
        self._node = node
        self._link: Link | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def take(self, url: str | None = None) -> None:
        if self._keeper is not None:
            return
        name = _name(url)
        link = await connect(self._settings, name=name)
        with ExitStack() as undo:
            undo.callback(link.terminate)
            try:
                mine = await self._lock(link)
                holders = [] if mine else await _held(link)
            except BROKEN as error:
                raise translated(error, self._settings.place) from error
            undo.pop_all()
        if not mine:
            await close(link)
            raise self._taken(holders)
        self._link = link
        self._keeper = asyncio.create_task(self._keep(link, name), name="claim")

    async def release(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        if self._link is not None:
            await close(self._link)
            self._link = None

    async def holders(self) -> list[Holder]:
        link = await connect(self._settings, patient=False)
        try:
            return [_parsed(held) for held in await _held(link)]
        except BROKEN as error:
            raise translated(error, self._settings.place) from error
        finally:
            await close(link)

    def _taken(self, holders: list[asyncpg.Record]) -> ServiceError:
        """What to say to the process that cannot have it."""
        first = _parsed(holders[0]) if holders else None
        shared = bool(holders) and holders[0]["shared"]
        if shared and not self._node:
            return ServiceError(
                f"{first} answers from this database together with others. Give this one their broker (cluster.url), "
                "or stop them first."
            )
        if self._node and not shared:
            return ServiceError(
                f"{first or Holder(0)} answers from this database alone. Stop it first, and give all of them the same "
                "broker (cluster.url)."
            )
        return taken(first)

    # --- keeping it -----------------------------------------------------------------------------------------------

    async def _keep(self, link: Link | None, name: str) -> None:
        while link is not None:
            mine = link.get_server_pid()
            await _until_broken(link)
            link.terminate()
            self._link = None
            log.warning("claim.broken", database=self._settings.place)
            self._link = link = await self._again(mine, name)

    async def _again(self, mine: int, name: str) -> Link | None:
        """A connection that holds the claim again; None when another process has it."""
        while True:
            try:
                link = await connect(self._settings, name=name)
                with ExitStack() as undo:
                    undo.callback(link.terminate)
                    held = await self._contend(link, mine, name)
                    undo.pop_all()
            except (ServiceError, *BROKEN):
                await asyncio.sleep(PULSE_SECONDS / 5)
                continue
            if held is None:
                log.info("claim.taken_again", database=self._settings.place)
                return link
            await close(link)
            log.error("claim.lost", database=self._settings.place, holder=str(_parsed(held)))
            self._lost(
                ServiceError(
                    f"{_parsed(held)} answers from this database now, and this one has stopped doing so: it was cut "
                    "off from the database for too long. Start it again once the other one has ended."
                )
            )
            return None

    async def _contend(self, link: Link, mine: int, name: str) -> asyncpg.Record | None:
        """None when the claim is ours, else who holds it. What is left of our own last connection is ended."""
        if await self._lock(link):
            return None
        holders = await _held(link)
        if not holders or any((held[0], held[1]) == (mine, name) for held in holders):
            await link.execute("SELECT pg_terminate_backend($1)", mine)
            if await self._lock(link):
                return None
            holders = await _held(link)
        others = [held for held in holders if not (self._node and held["shared"])]
        if not others:
            raise ConnectionError("The claim is in nobody's hands and cannot be taken.")
        return others[0]

    async def _lock(self, link: Link) -> bool:
        """Whether the claim became free within the patience, and is now ours until the transaction ends."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + PATIENCE_SECONDS
        if not link.is_in_transaction():
            await link.execute(_BEGIN)
        while not await self._lock_now(link):
            if clock() >= give_up:
                return False
            await asyncio.sleep(0.05)
        return True

    async def _lock_now(self, link: Link) -> bool:
        if not self._node:
            return bool(await link.fetchval(_LOCK))
        return bool(await link.fetchval(_SHARE) and await link.fetchval(_LOCK_NODE, self._node))


async def _until_broken(link: Link) -> None:
    """Gives signs of life until there is no answer."""
    ended = asyncio.Event()
    link.add_termination_listener(lambda _: ended.set())
    while not link.is_closed():
        try:
            async with asyncio.timeout(PULSE_SECONDS):
                await ended.wait()
        except TimeoutError:
            try:
                await link.execute("SELECT 1")
            except BROKEN:
                return


async def _held(link: Link) -> list[asyncpg.Record]:
    """The connections that hold the claim: their processes in the server, their names, and whether they share it."""
    return list(await link.fetch(_HOLDERS))


def _name(url: str | None) -> str:
    name = f"antiphon {os.getpid()}@{socket.gethostname()[:20]}{f' {url}' if url else ''}"
    plain = name.encode("ascii", "replace").decode()
    return plain if len(plain) <= _LONGEST_NAME else plain.rpartition(" ")[0]


def _parsed(held: asyncpg.Record) -> Holder:
    found = _NAME.fullmatch(held[1] or "")
    if found is None:
        return Holder(0)
    pid, host, url = found.groups()
    here = host == _NAME.sub(r"\2", _name(None))
    return Holder(int(pid), url, "") if here else Holder(int(pid), None, host)
