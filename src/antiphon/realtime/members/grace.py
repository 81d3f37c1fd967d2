"""How long what still runs at the end of a channel may go on."""

import asyncio
from collections.abc import Callable


class Grace:
    """After `seconds` what runs is cancelled, and after as long again nobody waits for it any longer."""

    __slots__ = ("_cancel", "_give_up", "_seconds", "_timer")

    def __init__(self, seconds: float, cancel: Callable[[], None], give_up: Callable[[], None]) -> None:
        self._seconds = seconds
        self._cancel = cancel
        self._give_up = give_up
        self._timer = asyncio.get_running_loop().call_later(seconds, self._no_longer)

    def over(self) -> None:
        """It has ended by itself."""
        self._timer.cancel()

    def _no_longer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._give_up)
        self._cancel()
