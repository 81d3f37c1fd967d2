"""Work that seldom has to wait, begun at once."""

from collections.abc import Coroutine, Generator
from typing import Any


class Eager:
    """A coroutine that has run up to its first wait; `done` when it had none, and otherwise to be awaited.

    It saves what stands around a wait (a time limit costs 7 µs) where most of the time there is nothing to wait for.
    The constructor raises what the coroutine raises before it waits. Awaited by the task that made it.
    """

    __slots__ = ("_coroutine", "_waits_for", "done")

    def __init__(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self._coroutine = coroutine
        self._waits_for: Any = None
        self.done = False
        try:
            self._waits_for = coroutine.send(None)
        except StopIteration:
            self.done = True

    def __await__(self) -> Generator[Any, Any, None]:
        """What `await` would have done from here on; see PEP 492 and the expansion of `yield from` in PEP 380."""
        try:
            while not self.done:
                try:
                    sent = yield self._waits_for
                except BaseException as error:  # noqa: BLE001 - whatever it is, a cancellation too, it is the coroutine's
                    self._waits_for = self._coroutine.throw(error)
                else:
                    self._waits_for = self._coroutine.send(sent)
        except StopIteration:
            self.done = True
