"""Who is on a topic, as phoenix.js keeps it: the whole state after every join, then what changes (PR-2, PR-16)."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from antiphon.realtime.client.channel import ClientChannel

_MOST_PENDING = 1000
"""Diffs that wait for a state; one that comes after so many has the oldest of them in it."""

PresenceEntry = dict[str, Any]
"""`{"metas": [{"phx_ref": …, …}], …}`: one meta for each device, tab or connection of a key."""
PresenceMap = dict[str, PresenceEntry]

Chooser = Callable[[str, PresenceEntry], Any]
Joined = tuple[str, PresenceEntry | None, PresenceEntry]
"""A key, its entry before (None: it is new), and what joined."""
Left = tuple[str, PresenceEntry, PresenceEntry]
"""A key, what remains of its entry, and what left."""


class PresenceChange(msgspec.Struct, frozen=True):
    """A new state, and how it came about."""

    state: PresenceMap
    joined: list[Joined]
    left: list[Left]


class ClientPresence:
    """Follows `presence_state` and `presence_diff` of a channel; make it before the channel is joined.

    `on_join(key, before, joined)` and `on_leave(key, remaining, left)` are told of each key that gained or lost metas
    (`before` is None for one that was not there; `remaining["metas"]` is empty for one that is gone), across breaks
    too. `on_sync` is told after every change as a whole.
    """

    def __init__(
        self, channel: ClientChannel, *, state_event: str = "presence_state", diff_event: str = "presence_diff"
    ) -> None:
        self.state: PresenceMap = {}
        self.on_join: Callable[[str, PresenceEntry | None, PresenceEntry], None] | None = None
        self.on_leave: Callable[[str, PresenceEntry, PresenceEntry], None] | None = None
        self.on_sync: Callable[[], None] | None = None
        self._channel = channel
        self._join_ref: str | None = None
        self._pending: deque[tuple[str | None, Any]] = deque(maxlen=_MOST_PENDING)
        channel.on(state_event, self._take_state)
        channel.on(diff_event, self._take_diff)

    def list(self, chooser: Chooser | None = None) -> Sequence[Any]:
        """The entry of every key, or what `chooser(key, entry)` makes of it."""
        return [entry if chooser is None else chooser(key, entry) for key, entry in self.state.items()]

    def _take_state(self, _event: str, state: Any) -> None:
        self._apply(sync_state(self.state, state))
        self._join_ref = self._channel.join_ref
        pending = [diff for join_ref, diff in self._pending if join_ref == self._join_ref]
        self._pending.clear()
        for diff in pending:
            self._apply(sync_diff(self.state, diff))
        self._synced()

    def _take_diff(self, _event: str, diff: Any) -> None:
        if self._join_ref is None or self._join_ref != self._channel.join_ref:
            # Of a join whose state is still to come: a diff on top of the view before would count some twice, and one
            # on top of the state of a later join would bring back who has left in between.
            self._pending.append((self._channel.join_ref, diff))
        else:
            self._apply(sync_diff(self.state, diff))
            self._synced()

    def _apply(self, change: PresenceChange) -> None:
        self.state = change.state
        # By way of the loop: a listener that raises is reported, and keeps nothing from the others.
        call = asyncio.get_running_loop().call_soon
        if self.on_join is not None:
            for joined in change.joined:
                call(self.on_join, *joined)
        if self.on_leave is not None:
            for left in change.left:
                call(self.on_leave, *left)

    def _synced(self) -> None:
        if self.on_sync is not None:
            asyncio.get_running_loop().call_soon(self.on_sync)


def sync_state(state: PresenceMap, new: Mapping[str, Any]) -> PresenceChange:
    """From one view to a whole new one: only the metas that differ, by `phx_ref`, join and leave."""
    joins: PresenceMap = {}
    leaves: PresenceMap = {key: entry for key, entry in state.items() if key not in new}
    for key, entry in new.items():
        current = state.get(key)
        joined = _without(entry, current)
        if current is None or joined["metas"]:
            joins[key] = joined
        if current is not None and (left := _without(current, entry))["metas"]:
            leaves[key] = left
    return sync_diff(state, {"joins": joins, "leaves": leaves})


def sync_diff(state: PresenceMap, diff: Mapping[str, Mapping[str, Any]]) -> PresenceChange:
    """From one view to the next by what joined and left, in this order: an update of a meta is both (PR-6).

    What is known already is not told again: a diff may repeat what a state has said (PR-10).
    """
    result = dict(state)
    joined: list[Joined] = []
    left: list[Left] = []
    for key, entry in diff["joins"].items():
        current = result.get(key)
        new = _without(entry, current)
        if current is None or new["metas"]:
            joined.append((key, current, new))
        result[key] = {**entry, "metas": [*_without(current or {"metas": []}, entry)["metas"], *entry["metas"]]}
    for key, entry in diff["leaves"].items():
        current = result.get(key)
        if current is None:
            continue
        remaining = _without(current, entry)
        if len(remaining["metas"]) < len(current["metas"]):
            left.append((key, remaining, entry))
        result[key] = remaining
        if not remaining["metas"]:
            del result[key]
    return PresenceChange(result, joined, left)


def _without(entry: PresenceEntry, other: PresenceEntry | None) -> PresenceEntry:
    """The entry without those metas that the other one has."""
    refs = () if other is None else {meta["phx_ref"] for meta in other["metas"]}
    return {**entry, "metas": [meta for meta in entry["metas"] if meta["phx_ref"] not in refs]}
