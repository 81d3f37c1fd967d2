"""`Presence`: who is where, on all nodes, and `get_presence`."""

import random
import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from antiphon.errors import NotFoundError, ServiceError, ValidationError
from antiphon.realtime.presence.callbacks import Callbacks
from antiphon.realtime.presence.complaints import Complaints
from antiphon.realtime.presence.config import PresenceConfig
from antiphon.realtime.presence.diffs import Broadcast, DiffSender, Fetch, Push
from antiphon.realtime.presence.instruments import PresenceInstruments
from antiphon.realtime.presence.listeners import Callback, Listener, Listeners
from antiphon.realtime.presence.loops import LoopStepper
from antiphon.realtime.presence.metas import MetaWriter
from antiphon.realtime.presence.roster import Presences, Roster
from antiphon.realtime.presence.state import Entry
from antiphon.realtime.presence.tracker import Tracker
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.runtime.current import Current
from antiphon.runtime.tasks import Restart, Tasks
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

log = get_logger(__name__)

NewMeta = dict[str, Any] | Callable[[dict[str, Any]], dict[str, Any]]
"""The meta, or what makes it of the one there is."""

CallbackT = TypeVar("CallbackT", bound=Callback)
FetchT = TypeVar("FetchT", bound=Fetch)
ListenerT = TypeVar("ListenerT", bound=Listener)


class Presence:
    """Tracks connections (`pid`) in topics, each under a key: the pid itself unless another is given.

    A connection has a key in a topic at most once; many connections may have the same. Works by itself, and with
    `attach` as one of several nodes. Belongs to the thread of one running loop. What ends in `_now` is
    the same for callers that are no coroutine.
    """

    def __init__(
        self,
        node: str | None = None,
        *,
        config: PresenceConfig | None = None,
        publish: Callable[[bytes], None] | None = None,
        send: Callable[[str, bytes], None] | None = None,
        broadcast: Broadcast | None = None,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._instruments = PresenceInstruments(metrics or get_metrics())
        self._stepper = LoopStepper()
        self._tasks = Tasks(clock=self._clock)
        self._metas = MetaWriter()
        self._roster = Roster()
        self._tracker: Tracker
        self._mine: dict[str, dict[tuple[str, str], int]] = {}
        self._fetch: Fetch | None = None
        self._running = False
        self._complaints = Complaints()
        self._callbacks = Callbacks(self._stepper, self._instruments)
        self._listeners = Listeners(self._callbacks, self._roster.list)
        self.attach(node, config=config, publish=publish, send=send, broadcast=broadcast)

    # Its place

    def attach(
        self,
        node: str | None = None,
        *,
        config: PresenceConfig | None = None,
        publish: Callable[[bytes], None] | None = None,
        send: Callable[[str, bytes], None] | None = None,
        broadcast: Broadcast | None = None,
        is_alive: Callable[[str], bool] | None = None,
    ) -> None:
        """Gives it its place before `start`; what is tracked and registered stays.

        `node` is unique in the cluster, and may be the same after a restart. `publish` takes a body to every other
        node, `send` to one; `broadcast` takes (topic, event, payload) to the members on this node. `is_alive` tells of
        a pid whether there still is such a connection; presences of others are removed every `cleanup_interval`.
        """
        if self._running:
            raise ServiceError("presence is running: stop it before it is attached to something else")
        self.node = node or secrets.token_urlsafe(9)
        self.config = config or PresenceConfig()
        self._publish = publish or _to_nobody
        self._send = send or _to_nobody
        self._is_alive = is_alive
        self._callbacks.backlog = self.config.backlog
        self._diffs = DiffSender(
            self.config,
            self._roster,
            self._stepper,
            self._instruments,
            self._complaints,
            broadcast=broadcast or _to_nobody,
            diff_made=self._listeners.diff_made,
        )
        self._diffs.fetch = self._fetch
        self._begin_life()

    async def start(self) -> None:
        """Joins the other nodes. `track` and the rest work before and after, for this node alone."""
        if not self._running:
            self._running = True
            self._tasks.start("presence", self._beat, restart=Restart())

    async def leave(self) -> None:
        """Leaves the other nodes and goes on for this one alone.

        To be called before the connections are closed: the others then see their presences fade after `down_seconds`,
        unless `permdown_on_shutdown` has them vanish at once (TK-13).
        """
        if self._running:
            self._running = False
            await self._tasks.stop()
            if self.config.permdown_on_shutdown:
                self._tracker.say_goodbye()
            self._begin_life()

    async def stop(self) -> None:
        """Leaves, and gives callbacks that are due a few seconds to finish. Stopping twice is fine."""
        await self.leave()
        await self._callbacks.finish()
        self._diffs.clear()
        await self._stepper.stop()

    def receive(self, body: bytes) -> None:
        """Takes what another node published or sent here; never raises, whatever it is."""
        if self._running:
            self._tracker.receive(body, self._clock.monotonic())

    def announce(self) -> None:
        """To be called when messages between nodes may have been lost: gaps are then found within two ticks."""
        self._tracker.announce()

    def nodes(self) -> list[tuple[str, bool, int]]:
        """Name, whether it is up, and number of presences of each other node."""
        return self._tracker.nodes()

    # Tracking

    async def track(self, pid: str, topic: str, meta: dict[str, Any], key: str | None = None) -> str:
        """Shows the connection in the topic, until it is untracked; returns the phx_ref.

        Raises `ValidationError` when it has the key there already, or for a meta that cannot be sent; `ServiceError`
        when the topic is full.
        """
        return self.track_now(pid, topic, meta, key)

    def track_now(self, pid: str, topic: str, meta: dict[str, Any], key: str | None = None) -> str:
        pid, key = str(pid), str(pid if key is None else key)
        mine = self._mine.get(pid, {})
        if (topic, key) in mine:
            raise ValidationError("already tracked: this connection has the key in the topic; update it instead")
        if self._roster.count(topic) >= self.config.max_entries:
            self._instruments.refused_entries.inc()
            self._complaints.make("presence.topic_full", topic)
            raise ServiceError("too many presences: the topic is full; try again when some have left")
        entry = self._make_entry(topic, pid, key, meta)
        mine[topic, key] = self._tracker.own.add(entry)
        self._mine[pid] = mine
        self._changed((entry,), ())
        return entry.ref

    async def update(self, pid: str, topic: str, meta: NewMeta, key: str | None = None) -> str:
        """Replaces the meta by another, or by what a function makes of the one there is; returns the new phx_ref.

        Raises `NotFoundError` when it is not tracked, `ValidationError` for a meta that cannot be sent.
        """
        return self.update_now(pid, topic, meta, key)

    def update_now(self, pid: str, topic: str, meta: NewMeta, key: str | None = None) -> str:
        pid, key = str(pid), str(pid if key is None else key)
        clock = self._mine.get(pid, {}).get((topic, key))
        if clock is None:
            raise NotFoundError("no presence: this connection has not tracked the key in the topic; track it first")
        own = self._tracker.own
        before = own.knowledge.entries[clock]
        after = self._make_entry(topic, pid, key, meta(dict(before.meta)) if callable(meta) else meta, before.ref)
        own.remove(clock)
        self._mine[pid][topic, key] = own.add(after)
        self._changed((after,), (before,))
        return after.ref

    async def untrack(self, pid: str, topic: str, key: str | None = None) -> None:
        """Hides it again; one that is not tracked is fine (PR-8)."""
        self.untrack_now(pid, topic, key)

    def untrack_now(self, pid: str, topic: str, key: str | None = None) -> None:
        pid, key = str(pid), str(pid if key is None else key)
        mine = self._mine.get(pid, {})
        clock = mine.pop((topic, key), None)
        if clock is not None:
            if not mine:
                del self._mine[pid]
            self._changed((), (self._tracker.own.remove(clock),))

    async def untrack_all(self, pid: str) -> int:
        """Hides the connection everywhere and returns in how many places it was: for its end, whatever the reason."""
        return self.untrack_all_now(pid)

    def untrack_all_now(self, pid: str) -> int:
        own = self._tracker.own
        leaves = [own.remove(clock) for clock in self._mine.pop(str(pid), {}).values()]
        if leaves:
            self._changed((), leaves)
        return len(leaves)

    # Reading

    async def list(self, topic: str) -> Presences:
        """Key to `{"metas": [meta, ...]}`, with what the fetch hook adds; of nodes that are up (TK-16)."""
        return await self._diffs.enrich(topic, self.list_now(topic))

    def list_now(self, topic: str) -> Presences:
        """The same without what a fetch hook adds."""
        self._diffs.read(topic)
        return self._roster.list(topic)

    async def get_by_key(self, topic: str, key: str) -> dict[str, Any] | None:
        """The one presence, with what the fetch hook adds; None when nobody has the key in the topic (PR-15)."""
        found = self.get_by_key_now(topic, key)
        return None if found is None else (await self._diffs.enrich(topic, {str(key): found}))[str(key)]

    def get_by_key_now(self, topic: str, key: str) -> dict[str, Any] | None:
        self._diffs.read(topic)
        return self._roster.get(topic, str(key))

    def push_state(self, topic: str, push: Push) -> None:
        """Calls `push` with what a client is to be sent as `presence_state` (PR-3): at once, or with a fetch hook as
        soon as that is done, and in order with the diffs. Must be asked for after every join (PR-2)."""
        self._diffs.push_state(topic, push)

    def count(self, topic: str) -> int:
        """How many presences there are in the topic."""
        return self._roster.count(topic)

    def topics(self) -> Sequence[str]:
        """The topics that somebody is present in."""
        return self._roster.topics()

    # Hooks

    def on_join(self, callback: CallbackT) -> CallbackT:
        """Calls `callback(pid, topic, meta)` for each presence that appears on any node, one after the other; the
        change of a meta is not one. What a callback raises is logged. Usable as a decorator, as the others are."""
        self._listeners.on_join(callback)
        return callback

    def on_leave(self, callback: CallbackT) -> CallbackT:
        """The same for each presence that disappears."""
        self._listeners.on_leave(callback)
        return callback

    def listen(self, listener: ListenerT, state: Any = None) -> ListenerT:
        """Calls `listener(topic, diff, presences, state)` for each diff, one after the other; what it returns is its
        state from then on (PR-14)."""
        self._listeners.listen(listener, state)
        return listener

    def fetch(self, hook: FetchT) -> FetchT:
        """Has `hook(topic, presences)` add to what clients are sent: once per list and side of a diff, not per client.
        It returns presences by key; their `metas` stay what they were (PR-13)."""
        self._fetch = self._diffs.fetch = hook
        return hook

    # Inside

    def _make_entry(self, topic: str, pid: str, key: str, meta: Any, previous: str | None = None) -> Entry:
        written, size = self._metas.write((topic, pid, key), meta, previous)
        if size > self.config.max_meta_bytes:
            self._instruments.refused_meta.inc()
            self._complaints.make("presence.meta_too_large", topic)
            raise ValidationError(f"the meta is too large: {size} bytes of at most {self.config.max_meta_bytes}")
        return Entry(topic, pid, key, written, size)

    def _changed(self, joins: Sequence[Entry], leaves: Sequence[Entry]) -> None:
        for entry in leaves:
            self._roster.remove(entry)
        for entry in joins:
            self._roster.add(entry)
        self._instruments.entries.set(len(self._roster))
        self._diffs.add(joins, leaves)
        self._listeners.changed(joins, leaves)

    def _begin_life(self) -> None:
        """A new replica (TK-1) which tracks what the one before did, and has not heard of any other."""
        tracked = self._tracker.own.knowledge.entries.values() if self._mine else ()
        self._tracker = Tracker(
            self.node,
            self.config,
            publish=self._publish,
            send=self._send,
            changed=self._changed,
            instruments=self._instruments,
        )
        self._roster.clear()
        for entry in tracked:
            self._mine[entry.pid][entry.topic, entry.key] = self._tracker.own.add(entry)
            self._roster.add(entry)
        self._instruments.entries.set(len(self._roster))
        self._instruments.nodes.set(0)

    async def _beat(self) -> None:
        every = self.config.tick_seconds
        swept = self._clock.monotonic()
        # So that nodes which start together do not go on speaking together (TK-7).
        await self._clock.sleep(random.uniform(0, every / 4))  # noqa: S311 - spreads load, guards nothing
        while True:
            now = self._clock.monotonic()
            self._tracker.tick(now)
            if now - swept >= self.config.cleanup_interval:
                swept = now
                self._tracker.sweep(now)
                self._sweep()
            await self._clock.sleep(every)

    def _sweep(self) -> None:
        """Removes presences of connections that are gone: there should be none, as the end of each untracks it."""
        self._complaints.clear()
        if self._is_alive is not None:
            ghosts = sum(self.untrack_all_now(pid) for pid in list(self._mine) if not self._is_alive(pid))
            if ghosts:
                self._instruments.ghosts.inc(ghosts)
                log.error("presence.ghosts_removed", count=ghosts)


def _to_nobody(*_: Any) -> None:
    pass


_current = Current(Presence)


def get_presence() -> Presence:
    """The running application's; where none runs, a process default which the first one to start adopts."""
    return _current.get()


def adopt(presence: Presence | None = None) -> Presence:
    """The one a starting application is to use; `get_presence` returns it unless another came first."""
    return _current.adopt(presence)


def release(presence: Presence) -> None:
    """Called by the application that stopped; its callbacks stay for the next."""
    _current.release(presence)
