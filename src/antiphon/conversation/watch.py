"""Sees to it that every open turn of a house of several processes is in somebody's hands."""

import random
from collections.abc import Collection

from antiphon.conversation.outbox import Outbox
from antiphon.conversation.router import MessageRouter
from antiphon.errors import AntiphonError
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.runtime.tasks import Restart, Tasks
from antiphon.storage.base import Store
from antiphon.telemetry.logs import get_logger

LOOK_SECONDS = 1.0
"""Between two looks, a quarter more or less, so that not all processes look at once."""

GRACE_SECONDS = 5.0
"""How long another process may be without its lock: after a restart of the database all of them come back for it."""

RESTART = Restart(longest_pause=10.0)
"""For what nobody has thought of: a house whose processes do not look loses what the next dead one leaves."""

log = get_logger(__name__)


class TurnWatch:
    """Looks at the open turns of the house again and again. What it does:

    A process that lives no more is found by its lock; its turns and replies become this one's, unless another was
    faster, and end as they do at the start of a process that is alone. Turns that were given away are taken at once.
    A turn that is this one's and was not heard of is taken up; one that was taken from it, because it was cut off for
    too long, is let go of. Both after two looks, because what is on its way looks the same for a moment.
    """

    def __init__(
        self,
        store: Store,
        router: MessageRouter,
        outbox: Outbox,
        node: str,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._router = router
        self._outbox = outbox
        self._node = node
        self._clock = clock or SystemClock()
        self._tasks = Tasks(clock=self._clock)
        self._missing: dict[str, float] = {}
        self._unknown: set[str] = set()
        self._strange: set[str] = set()

    async def start(self) -> None:
        """Looks for the first time, and goes on looking; a process that is alone has nothing to look for."""
        if self._node:
            self._tasks.start("watch", self._go_on, restart=RESTART)

    async def stop(self) -> None:
        """Looks no more."""
        await self._tasks.stop()

    async def leave(self) -> None:
        """Gives away what this process has not ended. A store that does not take it now is no error: the others find
        out."""
        try:
            await self._store.nodes.give_away()
        except AntiphonError as error:
            log.warning("watch.nothing_given_away", error=str(error))

    async def take_up(self, turn_ids: Collection[str]) -> None:
        """Takes up turns, and replies, that are this process's and nobody works on."""
        async with self._router.arranging:
            await self._take_up(turn_ids)

    async def look(self) -> None:
        """Once; not while the router stops. Raises `ServiceError` when the store cannot be asked."""
        if not self._router.accepting:
            return
        nodes, before = self._store.nodes, self._handled()
        mine = await nodes.turns()
        unknown, strange = mine - before - self._handled(), before - mine
        again, self._unknown = unknown & self._unknown, unknown
        self._router.let_go(strange & self._strange)
        self._strange = strange
        over = self._given_up(await nodes.gone())
        if not (again or over):
            return
        async with self._router.arranging:
            taken = await nodes.take_over(over) if over else []
            if taken:
                log.warning("watch.taken_over", nodes=sorted(over), turns=len(taken))
                self._router.taken_over.inc(len(taken))
            await self._take_up({*again, *taken})

    async def _go_on(self) -> None:
        while True:
            try:
                await self.look()
            except AntiphonError as error:
                # Who could not look does not know who was there meanwhile.
                self._missing.clear()
                log.warning("watch.failed", error=str(error))
            await self._clock.sleep(LOOK_SECONDS * random.uniform(0.75, 1.25))  # noqa: S311 - nothing secret

    def _handled(self) -> set[str]:
        return self._router.open() | self._outbox.open()

    def _given_up(self, gone: set[str]) -> set[str]:
        """Those of the nodes that have gone for good. Who has no lock itself cannot tell."""
        if self._node in gone:
            self._missing.clear()
            return set()
        now = self._clock.monotonic()
        self._missing = {node: self._missing.get(node, now) for node in gone}
        return {node for node, since in self._missing.items() if not node or now - since >= GRACE_SECONDS}

    async def _take_up(self, turn_ids: Collection[str]) -> None:
        wanted = set(turn_ids) - self._handled()
        if not wanted or not self._router.accepting:
            return
        replies = await self._store.outbox.pending(turn_ids=wanted, limit=len(wanted))
        left = await self._store.inbox.unfinished(wanted)
        await self._outbox.take_up(replies)
        self._router.take_up(left)
