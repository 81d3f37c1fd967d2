"""Whom the application wants told of presences, and what each of them is told."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from antiphon.realtime.presence.callbacks import Callbacks
from antiphon.realtime.presence.pending import Diff
from antiphon.realtime.presence.roster import Presences
from antiphon.realtime.presence.state import Entry

Callback = Callable[[str, str, dict[str, Any]], Awaitable[None] | None]
"""Takes pid, topic and meta."""
Listener = Callable[[str, Diff, Presences, Any], Any]
"""Takes topic, diff, the presences that result and its own state; returns its new state, or a coroutine of it."""


class Listeners:
    """Callbacks for those who came and those who left, and listeners for whole diffs; called one after the other."""

    def __init__(self, callbacks: Callbacks, presences: Callable[[str], Presences]) -> None:
        self._callbacks = callbacks
        self._presences = presences
        self._joined: list[Callback] = []
        self._left: list[Callback] = []
        self._listening: list[_Listening] = []

    def on_join(self, callback: Callback) -> None:
        self._joined.append(callback)

    def on_leave(self, callback: Callback) -> None:
        self._left.append(callback)

    def listen(self, listener: Listener, state: Any) -> None:
        self._listening.append(_Listening(listener, state))

    def changed(self, joins: Sequence[Entry], leaves: Sequence[Entry]) -> None:
        """Entries came and went; one that did both only got another meta."""
        if not (self._joined or self._left):
            return
        came = {(entry.pid, entry.topic, entry.key) for entry in joins}
        gone = {(entry.pid, entry.topic, entry.key) for entry in leaves}
        self._tell(self._left, leaves, gone & came)
        self._tell(self._joined, joins, gone & came)

    def diff_made(self, topic: str, diff: Diff) -> None:
        """The topic has a new diff, whether it is sent or not."""
        if self._listening:
            presences = self._presences(topic)
            for listening in self._listening:
                self._callbacks.offer(listening.tell, topic, diff, presences)

    def _tell(
        self, callbacks: Sequence[Callback], entries: Sequence[Entry], updated: set[tuple[str, str, str]]
    ) -> None:
        for entry in entries:
            if (entry.pid, entry.topic, entry.key) not in updated:
                for callback in callbacks:
                    self._callbacks.offer(callback, entry.pid, entry.topic, dict(entry.meta))


class _Listening:
    """A listener and its state."""

    def __init__(self, listener: Listener, state: Any) -> None:
        self._listener = listener
        self._state = state

    async def tell(self, topic: str, diff: Diff, presences: Presences) -> None:
        answer = self._listener(topic, diff, presences, self._state)
        self._state = await answer if inspect.isawaitable(answer) else answer
