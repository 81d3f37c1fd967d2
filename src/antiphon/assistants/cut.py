"""A person's cancellation: cuts what a task waits for, at once, and nothing else of that task."""

import asyncio


class Cut:
    """Between one task that waits now and then, and others that may `request` an end to the waiting.

    The task sets `waiting` around every wait that may be cut (plain attribute: it is set twice a token) and calls
    `took` when a wait was left. A cancellation of the task by anybody else passes through.
    """

    __slots__ = ("_cancelling", "_task", "_woken", "requested", "waiting")

    def __init__(self) -> None:
        self.requested = False
        self.waiting = False
        self._woken = False
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0

    def bind(self) -> None:
        """Makes the current task the one whose waits are cut."""
        if self._task is not None:
            raise RuntimeError("A run is read once: make another one.")
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task else 0

    def request(self) -> None:
        self.requested = True
        if self.waiting and not self._woken and self._task is not None:
            self._woken = True
            self._task.cancel()

    def took(self, error: BaseException | None) -> bool:
        """Ends the wait that was left with `error`; true when that was the requested cut and must go no further.

        As `asyncio.timeout` does: a cancellation that somebody else asked for as well is theirs.
        """
        self.waiting = False
        if not self._woken or self._task is None:
            return False
        self._woken = False
        return self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError)
