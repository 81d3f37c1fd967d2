"""Replies on their way out: each to the target that was frozen when its question came in, in order, once."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import timedelta

from msgspec import structs

from antiphon.adapters.base import ChannelAdapter
from antiphon.domain import Message, Target, now
from antiphon.errors import AdapterError, AntiphonError, ServiceError
from antiphon.runtime.tasks import Tasks
from antiphon.storage.outbox import Delivery, OutboxStore
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

ATTEMPTS = 8
"""Sends of one reply before it is given up; with the pauses below that is about two minutes."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 120.0

log = get_logger(__name__)


class Outbox:
    """Delivers replies, one lane for each place, so that a slow platform holds up nobody else."""

    def __init__(
        self, store: OutboxStore, adapters: Mapping[str, ChannelAdapter], *, metrics: Metrics | None = None
    ) -> None:
        self._store = store
        self._adapters = adapters
        self._lanes: dict[tuple[str, str], deque[Delivery]] = {}
        self._tasks = Tasks()
        self._deliveries = (metrics or get_metrics()).counter(
            "antiphon_deliveries_total", "Replies that left the outbox, by adapter and result.", ("adapter", "result")
        )

    async def start(self) -> None:
        """Takes up what the last process left. A send that was in flight then is repeated where that shows it once."""
        await self.take_up(await self._store.pending(limit=10_000))

    async def take_up(self, left: Iterable[Delivery]) -> None:
        """Sends what another process has left, this one's predecessor or one beside it."""
        for delivery in left:
            adapter = self._adapters.get(delivery.target.adapter)
            if delivery.state == "sending" and not (adapter and adapter.capabilities.idempotent):
                await self._store.uncertain(delivery.id)
                self._deliveries.labels(delivery.target.adapter, "maybe_sent").inc()
            else:
                self._enqueue(delivery)

    async def stop(self) -> None:
        """Stops sending; what is left is taken up by the next start."""
        await self._tasks.stop()
        self._lanes.clear()  # one that is cancelled before its first step leaves its lane

    def open(self) -> set[str]:
        """The ids of the turns whose replies wait here."""
        return {delivery.message.turn_id for lane in self._lanes.values() for delivery in lane}

    def keeps(self, target: Target) -> bool:
        """Whether a reply to `target` needs an entry: not where everybody reads the store anyhow."""
        adapter = self._adapters.get(target.adapter)
        return adapter is None or not adapter.capabilities.reads_store

    async def reply(self, target: Target, message: Message, entry: str | None) -> None:
        """Sends a reply now if its lane is free, else behind what is already on its way there. Never raises: a reply
        that could not be sent stays in the store with its error. Without an `entry` it is only told."""
        if entry is None:
            await self._tell(target, message)
            return
        delivery = Delivery(id=entry, target=target, message=message, state="pending", attempts=0, due_at=now())
        lane = target.adapter, target.place
        if lane in self._lanes:
            self._lanes[lane].append(delivery)
            return
        # The lane is taken from here on, so that nothing overtakes what is being sent.
        queue = self._lanes[lane] = deque()
        again: Delivery | None = None
        try:
            again = await self._attempt(delivery)
        finally:  # also for whoever is cancelled: what became of that send, the next start asks the store
            if again is not None:
                queue.appendleft(again)
            self._go_on(lane)

    async def tell(self, target: Target, message: Message) -> None:
        """Sends what is no reply, once, without an entry. Raises `AdapterError` or another error of ours."""
        await self._hand_over(target, message)

    async def _tell(self, target: Target, message: Message) -> None:
        try:
            await self._hand_over(target, message)
        except AntiphonError as error:
            log.warning("outbox.not_told", message_id=message.id, adapter=target.adapter, error=str(error))

    def _enqueue(self, delivery: Delivery) -> None:
        lane = delivery.target.adapter, delivery.target.place
        if lane in self._lanes:
            self._lanes[lane].append(delivery)
        else:
            self._lanes[lane] = deque([delivery])
            self._go_on(lane)

    def _go_on(self, lane: tuple[str, str]) -> None:
        if self._lanes[lane]:
            self._tasks.start(f"outbox:{lane[0]}", self._work, lane)
        else:
            del self._lanes[lane]

    async def _work(self, lane: tuple[str, str]) -> None:
        queue = self._lanes[lane]
        try:
            while queue:
                await asyncio.sleep(max(0.0, (queue[0].due_at - now()).total_seconds()))
                again = await self._attempt(queue[0])
                if again is None:
                    queue.popleft()
                else:
                    queue[0] = again
        finally:
            del self._lanes[lane]

    async def _attempt(self, delivery: Delivery) -> Delivery | None:
        """Tries once; returns the delivery as it is to be tried again, None when there is nothing more to do."""
        adapter = self._adapters.get(delivery.target.adapter)
        try:
            if adapter is not None and not adapter.capabilities.idempotent:
                await self._store.sending(delivery.id)
            platform_id = await self._hand_over(delivery.target, delivery.message)
        except AntiphonError as error:
            return await self._failed(delivery, error)
        try:
            await self._store.delivered(delivery.id, platform_id=platform_id)
        except ServiceError as trouble:
            # It is out there: sending it again would double it.
            log.warning("outbox.not_recorded", delivery_id=delivery.id, error=str(trouble))
        return None

    async def _hand_over(self, target: Target, message: Message) -> str | None:
        """The platform's id of the message. Raises `AdapterError` or another error of ours, whatever happens."""
        adapter = self._adapters.get(target.adapter)
        if adapter is None:
            raise AdapterError(f"The adapter {target.adapter} is not configured here.")
        try:
            platform_id = await adapter.send_message(target, message)
        except AntiphonError:
            raise
        except Exception as error:  # a named boundary: an adapter is a stranger's code and must not take the flow down
            log.exception("outbox.adapter_crashed", message_id=message.id, adapter=target.adapter)
            raise AdapterError(f"The adapter {target.adapter} crashed ({type(error).__name__}).") from error
        self._deliveries.labels(target.adapter, "delivered").inc()
        return platform_id

    async def _failed(self, delivery: Delivery, error: AntiphonError) -> Delivery | None:
        adapter, attempts = delivery.target.adapter, delivery.attempts + 1
        again = error.retryable and attempts < ATTEMPTS
        due_at = now() + timedelta(seconds=min(FIRST_PAUSE * 2**delivery.attempts, LONGEST_PAUSE))
        log.warning(
            "outbox.failed", delivery_id=delivery.id, adapter=adapter, attempts=attempts, again=again, error=str(error)
        )
        self._deliveries.labels(adapter, "failed").inc()
        try:
            await self._store.failed(delivery.id, error=str(error), retry_at=due_at if again else None)
        except ServiceError as trouble:
            log.warning("outbox.not_recorded", delivery_id=delivery.id, error=str(trouble))
        return structs.replace(delivery, attempts=attempts, due_at=due_at) if again else None
