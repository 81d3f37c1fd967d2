"""Keeps a connection to a server, for as long as it is wanted."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from antiphon.errors import ServiceError
from antiphon.realtime.brokers._link import Link
from antiphon.realtime.brokers.base import BrokerStatus, Changed
from antiphon.runtime.tasks import Restart, Tasks
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
GOODBYE = 1.0
"""Seconds for what waits to be sent at a stop."""


class Keeper:
    """Opens what `connect` gives, and again when one of its links is lost: after a pause that grows with each failure
    and is never the same, so that the nodes of a cluster do not all return at once.

    `connect` has `timeout` seconds, and cleans up after itself when it fails. `changed` is told `up` when the very
    first attempt succeeds, and `gap` from then on: who had to wait at the start has missed what was published too.
    """

    def __init__(
        self, broker: str, where: str, connect: Callable[[], Awaitable[Sequence[Link]]], *, timeout: float
    ) -> None:
        self._about = {"broker": broker, "server": where}
        self._connect = connect
        self._timeout = timeout
        self._tasks = Tasks()
        self._links: Sequence[Link] = ()
        self._changed: Changed = lambda _: None
        self._tried: asyncio.Event = asyncio.Event()
        self._missed = self._named = False
        self._failures = 0

    async def start(self, changed: Changed) -> None:
        """Returns after the first attempt, whatever came of it."""
        self._changed, self._failures = changed, 0
        self._missed = self._named = False
        self._tried.clear()
        self._tasks.start(f"broker {self._about['broker']}", self._keep, restart=Restart())
        try:
            await self._tried.wait()
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Sends what waits and lets go."""
        await self._tasks.stop()
        await self._let_go(GOODBYE)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        await self._let_go(0)  # what is left when this was begun again after a crash
        while True:
            if await self._opened():
                began = loop.time()
                reason = await self._loss()
                if loop.time() - began > LONGEST_PAUSE:  # else it is no better than one that was not opened
                    self._failures = 0
                log.warning("broker.lost", reason=reason, **self._about)
                self._changed("down")
                await self._let_go(0)
            await asyncio.sleep(self._pause())

    async def _opened(self) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                self._links = await self._connect()
        except (OSError, ServiceError) as error:  # a TimeoutError is an OSError
            self._missed = True
            if not self._named:
                self._named = True
                log.warning("broker.unreachable", error=_sentence(error, self._timeout), **self._about)
            return False
        finally:
            self._tried.set()
        self._named = False
        status: BrokerStatus = "gap" if self._missed else "up"
        self._missed = True
        log.info("broker.connected", status=status, **self._about)
        self._changed(status)
        return True

    async def _loss(self) -> str:
        lost = [link.lost for link in self._links]
        await asyncio.wait(lost, return_when=asyncio.FIRST_COMPLETED)
        return next(each.result() for each in lost if each.done())

    async def _let_go(self, seconds: float) -> None:
        links, self._links = self._links, ()
        await asyncio.gather(*(link.close(seconds) for link in links))

    def _pause(self) -> float:
        pause = min(FIRST_PAUSE * 2.0 ** min(self._failures, 30), LONGEST_PAUSE)
        self._failures += 1
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads nodes, guards nothing


def _sentence(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    return str(error) or type(error).__name__
