"""Tells the members of a topic on this node who came and went, in order (PR-11, PR-13)."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from inspect import isawaitable
from typing import Any

import msgspec

from antiphon.realtime.members.topics import TopicPattern
from antiphon.realtime.presence.complaints import Complaints
from antiphon.realtime.presence.config import PresenceConfig
from antiphon.realtime.presence.instruments import PresenceInstruments
from antiphon.realtime.presence.loops import LoopStepper, Soon
from antiphon.realtime.presence.pending import Diff, PendingDiff
from antiphon.realtime.presence.roster import Presences, Roster
from antiphon.realtime.presence.state import Entry
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

Broadcast = Callable[[str, str, Any], None]
"""Takes topic, event and payload to the members of the topic on this node."""
Fetch = Callable[[str, Presences], Awaitable[Presences] | Presences]
"""Adds to presences what the application knows of them."""
Push = Callable[[Presences], None]

_SLICE = 200
"""Topics served in one go before the loop does other things."""


class _Lane:
    """What one topic waits for while the fetch hook works for it."""

    __slots__ = ("busy", "due", "pushes")

    def __init__(self) -> None:
        self.busy = False
        self.due = False
        self.pushes: list[Push] = []


class DiffSender:
    """Gathers changes by topic and sends each topic one diff for all of them: at the end of the loop tick, or of
    `debounce_seconds`. While the fetch hook is busy with a topic its changes go on gathering, so nothing piles up."""

    def __init__(
        self,
        config: PresenceConfig,
        roster: Roster,
        stepper: LoopStepper,
        instruments: PresenceInstruments,
        complaints: Complaints,
        *,
        broadcast: Broadcast,
        diff_made: Callable[[str, Diff], None],
    ) -> None:
        self.fetch: Fetch | None = None
        self._config = config
        self._roster = roster
        self._stepper = stepper
        self._instruments = instruments
        self._complaints = complaints
        self._broadcast = broadcast
        self._diff_made = diff_made
        self._quiet = [TopicPattern(text) for text in config.without_diffs]
        self._pending: dict[str, PendingDiff] = {}
        self._dirty: deque[str] = deque()
        self._lanes: dict[str, _Lane] = {}
        self._soon = Soon(self._flush)

    def add(self, joins: Iterable[Entry], leaves: Iterable[Entry]) -> None:
        """Takes changes up; what left goes first, as an update is both."""
        for entry in leaves:
            self._gather(entry.topic).leave(entry)
        for entry in joins:
            self._gather(entry.topic).join(entry)
        self._soon.ask(self._config.debounce_seconds)

    def read(self, topic: str) -> None:
        """Somebody has seen the topic as it is now, with changes that no diff has told of yet."""
        pending = self._pending.get(topic)
        if pending is not None:
            pending.read = True

    def push_state(self, topic: str, push: Push) -> None:
        """Calls `push` with the presences of the topic, in order with its diffs: at once where no hook is to be
        asked."""
        if self.fetch is None:
            push(self._state(topic))
            return
        self._lane(topic).pushes.append(push)
        self._go_on(topic)

    def enrich(self, topic: str, presences: Presences) -> Awaitable[Presences]:
        """What the fetch hook makes of them; raises what it raises."""
        return _ask(self.fetch, topic, presences)

    def clear(self) -> None:
        """Forgets what was not sent yet."""
        self._pending.clear()
        self._dirty.clear()
        self._lanes.clear()

    def _gather(self, topic: str) -> PendingDiff:
        pending = self._pending.get(topic)
        if pending is None:
            pending = self._pending[topic] = PendingDiff()
            self._dirty.append(topic)
        return pending

    def _flush(self) -> None:
        for _ in range(min(_SLICE, len(self._dirty))):
            topic = self._dirty.popleft()
            if self.fetch is None:
                self._send(topic, self._take(topic))
            else:
                self._lane(topic).due = True
                self._go_on(topic)
        if self._dirty:
            self._soon.ask()

    def _take(self, topic: str) -> Diff | None:
        """The diff of the topic; None when nothing is left of it, or nobody is to be sent it."""
        pending = self._pending.pop(topic, None)
        if not pending:
            return None
        diff = pending.diff()
        self._diff_made(topic, diff)
        if any(pattern.matches(topic) for pattern in self._quiet):
            self._instruments.diffs_withheld.inc()
            return None
        return diff

    def _send(self, topic: str, diff: Diff | None) -> None:
        if diff is not None:
            self._instruments.diffs_sent.inc()
            self._broadcast(topic, "presence_diff", diff)

    def _state(self, topic: str) -> Presences:
        self.read(topic)
        listed, whole = self._roster.list_up_to(topic, self._config.max_state_bytes)
        if not whole:
            self._instruments.states_cut.inc()
            self._complaints.make("presence.state_cut", topic, sent=len(listed))
        return listed

    # With a fetch hook: one thing at a time for each topic

    def _lane(self, topic: str) -> _Lane:
        lane = self._lanes.get(topic)
        if lane is None:
            lane = self._lanes[topic] = _Lane()
        return lane

    def _go_on(self, topic: str) -> None:
        lane = self._lanes.get(topic)
        if lane is None or lane.busy:
            return
        if lane.pushes:
            pushes, lane.pushes = lane.pushes, []
            self._enrich(topic, self._state(topic), lambda state: self._push(topic, pushes, state))
            return
        diff = self._take(topic) if lane.due else None
        lane.due = False
        if diff is None:
            del self._lanes[topic]
        else:
            self._enrich(topic, diff["joins"], lambda joins: self._enrich_leaves(topic, joins, diff["leaves"]))

    def _push(self, topic: str, pushes: list[Push], state: Presences) -> None:
        for push in pushes:
            self._stepper.run(_call(push, state), self._pushed)
        self._go_on(topic)

    def _pushed(self, _result: None, error: BaseException | None) -> None:
        if error is not None:
            self._fail("presence.push_failed", error)

    def _fail(self, event: str, error: BaseException) -> None:
        self._instruments.failed.inc()
        log.error(event, exc_info=error)

    def _enrich_leaves(self, topic: str, joins: Presences, leaves: Presences) -> None:
        def send(enriched: Presences) -> None:
            self._send(topic, {"joins": joins, "leaves": enriched})
            self._go_on(topic)

        self._enrich(topic, leaves, send)

    def _enrich(self, topic: str, presences: Presences, then: Callable[[Presences], None]) -> None:
        """Calls `then` with what the hook makes of them, or with themselves if it fails: a hook takes nothing away."""
        lane = self._lane(topic)

        def asked(result: Any, error: BaseException | None) -> None:
            lane.busy = False
            if error is not None:
                self._fail("presence.fetch_failed", error)
            if self._lanes.get(topic) is lane:
                then(presences if error is not None else result)

        if presences:
            lane.busy = True
            self._stepper.run(_ask(self.fetch, topic, presences), asked)
        else:
            then(presences)


async def _call(push: Push, state: Presences) -> None:
    push(state)


async def _ask(fetch: Fetch | None, topic: str, presences: Presences) -> Presences:
    """The presences with what the hook adds to each; `metas` stay what they were (PR-13)."""
    if fetch is None:
        return presences
    answer: Any = fetch(topic, presences)
    if isawaitable(answer):
        answer = await answer
    if not isinstance(answer, Mapping):
        raise TypeError(f"a fetch hook returns presences by key, not {type(answer).__name__}")
    added = msgspec.to_builtins(answer, str_keys=True)  # what cannot be sent shows here, where it harms nobody
    return {key: {**added.get(key, {}), "metas": presence["metas"]} for key, presence in presences.items()}
