"""Connections that run units of work, and the queue in front of them.

Work goes to the connection that was used last, the next one is opened when all are busy, and what finds none waits in
a bounded queue: when that is full, more is refused at once. What has been asked for is carried out, also when its
caller has gone.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, NamedTuple

from antiphon.storage.meter import Meter, admit
from antiphon.storage.postgres.connection import Link, close
from antiphon.storage.postgres.faults import kind_of, translated
from antiphon.telemetry.logs import get_logger

_AGAIN = {"collision": 5, "double": 3, "lost": 1}
"""How often a unit is run again for each kind of fault: another one was in its way; somebody made at the same moment
what it wanted to make, which may be a person, a conversation and a message in turn; the connection broke. Whether a
COMMIT arrived before the break is not known: every unit finds what it did itself and does it no second time
(`sql/unit.py`)."""

_PATIENCE = 1.0
"""Seconds without a further attempt, after a connection beside others could not be opened."""

log = get_logger(__name__)


class Errand(NamedTuple):
    """A unit of work, as what runs it (again) on a connection, who waits for it, and since when (monotonic seconds)."""

    perform: Callable[[Link], Awaitable[Any]]
    meter: Meter
    future: "asyncio.Future[Any]"
    since: float


class Pool:
    """At most `size` connections. `connect` opens one, at once or not at all unless it may be patient."""

    def __init__(self, connect: Callable[[bool], Awaitable[Link]], place: str, *, size: int, limit: int) -> None:
        self._connect = connect
        self._place = place
        self._size = size
        self._limit = limit
        self._running = False
        self._down = False
        self._links: set[Link] = set()
        self._suspects: set[Link] = set()  # were there when another one broke: they may hang, too
        self._full_until = 0.0
        self._waiting = 0
        self._queue: deque[Errand] = deque()
        self._idle: list[asyncio.Future[Errand | None]] = []
        self._workers: set[asyncio.Task[None]] = set()

    def start(self, link: Link) -> None:
        """Takes over a first connection."""
        self._running = True
        self._links.add(link)
        self._hire(link, None)

    async def stop(self) -> None:
        """Carries out what has been asked for, then closes the connections."""
        self._running = False
        while self._workers:
            for idle in self._idle:
                idle.set_result(None)
            self._idle.clear()
            await asyncio.wait(self._workers)

    async def run(self, perform: Callable[[Link], Awaitable[Any]], meter: Meter) -> Any:
        admit(self._waiting, self._limit, running=self._running)
        errand = Errand(perform, meter, asyncio.get_running_loop().create_future(), monotonic())
        self._waiting += 1
        meter.waiting += 1
        if self._idle:
            self._idle.pop().set_result(errand)
        elif len(self._workers) < self._size and (errand.since > self._full_until or not self._others()):
            self._hire(None, errand)
        else:
            self._queue.append(errand)
        return await errand.future

    # --- a worker has one connection ------------------------------------------------------------------------------

    def _hire(self, link: Link | None, errand: Errand | None) -> None:
        worker = asyncio.create_task(self._work(link, errand), name="store-connection")
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    async def _work(self, link: Link | None, errand: Errand | None) -> None:
        while errand := errand or await self._next():
            if link is not None and (link.is_closed() or link in self._suspects):
                self._drop(link)
                link = None
            link = link or await self._opened(errand)
            if link is None:
                return
            link = await self._serve(link, errand)
            errand = None
        if link is not None:
            self._links.discard(link)
            await close(link)

    async def _next(self) -> Errand | None:
        """Work, when there is some; None when there will be no more."""
        if self._queue:
            return self._queue.popleft()
        if not self._running:
            return None
        idle: asyncio.Future[Errand | None] = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        return await idle

    async def _opened(self, errand: Errand) -> Link | None:
        """A connection for `errand`; None when there is none, and it was given to another or refused."""
        try:
            link = await self._connect(not self._down)
        except Exception as error:  # noqa: BLE001 - whoever waits for the work gets it
            if self._others():
                self._full_until = monotonic() + _PATIENCE
                self._pass_on(errand)
            else:
                self._refuse_all(errand, error)
            return None
        if self._down:
            log.info("store.reconnected", database=self._place)
        self._down = False
        self._links.add(link)
        return link

    def _others(self) -> bool:
        """Whether there are connections, as far as that is known."""
        return any(not link.is_closed() for link in self._links - self._suspects)

    def _pass_on(self, errand: Errand) -> None:
        if self._idle:
            self._idle.pop().set_result(errand)
        else:
            self._queue.appendleft(errand)

    def _refuse_all(self, errand: Errand, error: Exception) -> None:
        """There is no connection at all: what waits fails now, and not each after a wait of its own."""
        if not self._down:
            log.warning("store.unreachable", database=self._place, reason=str(error))
        self._down = True
        waiting = (errand, *self._queue)
        self._queue.clear()
        for one in waiting:
            self._settle(one, None, error)

    def _drop(self, link: Link) -> None:
        self._links.discard(link)
        self._suspects.discard(link)
        link.terminate()

    async def _serve(self, link: Link, errand: Errand) -> Link | None:
        """Runs a unit to its outcome; returns the connection when it is still good."""
        met: Counter[str] = Counter()
        connection: Link | None = link
        while connection is not None:
            try:
                value = await errand.perform(connection)
            except Exception as error:  # noqa: BLE001 - the caller of the unit gets it
                kind = kind_of(error, closed=connection.is_closed())
                met[kind] += 1
                broken = kind in {"lost", "slow"}
                if broken:
                    self._suspects |= self._links
                    self._drop(connection)
                if met[kind] > _AGAIN.get(kind, 0):
                    self._settle(errand, None, translated(error, self._place))
                    return None if broken else connection
                if broken:
                    connection = await self._opened(errand)
            else:
                self._settle(errand, value, None)
                return connection
        return None

    def _settle(self, errand: Errand, value: Any, error: Exception | None) -> None:
        self._waiting -= 1
        errand.meter.settle(errand.future, errand.since, value, error)
