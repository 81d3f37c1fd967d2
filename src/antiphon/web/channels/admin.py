"""`admin`: the house at work, for operators: numbers every few seconds, and an alert for what changes."""

import asyncio
from typing import Any

from antiphon.conversation.router import MessageRouter
from antiphon.realtime.channel import Channel, Rejected
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.phoenix import Phoenix
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.runtime.tasks import Restart, Tasks
from antiphon.telemetry.health import CheckResult
from antiphon.telemetry.monitoring import MonitoringService, SystemStatus
from antiphon.web.auth import is_operator

TOPIC = "admin"
EVERY_SECONDS = 2.0


class AdminFeed:
    """Looks at the house while somebody is in the topic, and tells the members on this node."""

    def __init__(
        self, phoenix: Phoenix, router: MessageRouter, monitoring: MonitoringService, *, clock: Clock | None = None
    ) -> None:
        self._phoenix = phoenix
        self._router = router
        self._monitoring = monitoring
        self._clock = clock or SystemClock()
        self._tasks = Tasks(clock=self._clock)
        self._task: asyncio.Task[Any] | None = None
        self._members: set[Channel] = set()
        self._checks: dict[str, bool] | None = None
        self._stalls = 0

    def enter(self, channel: Channel) -> None:
        """Goes on from now until everybody has left."""
        self._members.add(channel)
        if self._task is None:
            self._checks, self._stalls = None, self._monitoring.stalls
            self._task = self._tasks.start("admin feed", self._watch, restart=Restart())

    def leave(self, channel: Channel) -> None:
        """Leaving twice is fine."""
        self._members.discard(channel)
        if not self._members and self._task is not None:
            self._task.cancel()
            self._task = None

    async def snapshot(self) -> dict[str, Any]:
        """What a member begins with: the numbers, and everything that is not well."""
        status = await self._monitoring.status()
        return {
            "counters": self._counters(status),
            "alerts": [_health(check) for check in status.checks if not check.healthy],
        }

    async def tell(self) -> None:
        """One round: an alert for each change since the last one, then the numbers."""
        status = await self._monitoring.status()
        known, self._checks = self._checks, {check.name: check.healthy for check in status.checks}
        for check in status.checks:
            if known is not None and check.healthy != known.get(check.name, True):
                self._phoenix.broadcast_here(TOPIC, "alert", _health(check))
        stalls, self._stalls = self._monitoring.stalls - self._stalls, self._monitoring.stalls
        if stalls:
            detail = f"The event loop stood still at {self._monitoring.stalled_at}."
            alert = {"alert": "loop stalled", "healthy": False, "detail": detail}
            self._phoenix.broadcast_here(TOPIC, "alert", alert)
        self._phoenix.broadcast_here(TOPIC, "counters", self._counters(status))

    async def _watch(self) -> None:
        while True:
            await self.tell()
            await self._clock.sleep(EVERY_SECONDS)

    def _counters(self, status: SystemStatus) -> dict[str, Any]:
        phoenix, turns = self._phoenix, self._router.waiting()
        return {
            "node": phoenix.cluster.node,
            "other_nodes": len(phoenix.cluster.peers()),
            "status": status.status,
            "draining": status.draining,
            "turns": {"running": turns.running, "queued": turns.queued},
            "sockets": len(phoenix.sockets),
            "topics": len(phoenix.topics),
            "loop_lag_ms": round(1000 * status.loop_lag, 1),
            "stalls": self._monitoring.stalls,
            "cpu": round(status.cpu, 3),
            "memory_bytes": status.process.memory,
        }


class AdminChannel(Channel):
    """Watching only: there is nothing to say here."""

    def __init__(self, feed: AdminFeed) -> None:
        self._feed = feed

    async def on_join(self, payload: Any, socket: Socket) -> dict[str, Any]:
        if not is_operator(socket.assigns["person"]):
            raise Rejected({"reason": "This topic is for operators only.", "code": "forbidden"})
        self.listen_now()
        return await self._feed.snapshot()

    async def after_join(self) -> None:
        self._feed.enter(self)

    async def on_leave(self, reason: str, socket: Socket) -> None:
        self._feed.leave(self)


def _health(check: CheckResult) -> dict[str, Any]:
    return {"alert": check.name, "healthy": check.healthy, "detail": check.detail}
