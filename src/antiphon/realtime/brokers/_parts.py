"""Messages that are larger than what a server takes, in parts."""

import secrets

from antiphon.realtime.brokers.base import LARGEST

_WAITING = 4 * LARGEST
"""Bytes of unfinished messages to keep; of honest senders there is never more than one message each."""
_COST = 200
"""Bytes that a part takes besides its own, so that many empty ones are not free."""


def cut(body: bytes, size: int) -> list[bytes]:
    """Pieces of at most so many bytes."""
    return [body[at : at + size] for at in range(0, len(body), size)]


class Parts:
    """Puts messages together again. The parts of one are not mixed with others of their sender."""

    def __init__(self) -> None:
        self.sender = secrets.token_hex(8)
        """Marks the parts of who has this object."""
        self._begun: dict[bytes, list[bytes]] = {}
        self._size = 0

    def mark(self, place: int, count: int) -> str:
        """What goes with a part, so that `add` knows where it belongs."""
        return f"{self.sender}.{place}.{count}"

    def add(self, mark: bytes, part: bytes) -> bytes | None:
        """The whole message with its last part, None with the others. Raises `LookupError` when a part before it is
        missing, `ValueError` when nobody here marked it: what was there of the message is let go of.

        When too much waits, what has waited longest is let go of: who began it may have been killed.
        """
        sender, place, count = mark.split(b".")
        number, last = int(place), int(count) - 1
        if not 0 <= number <= last:
            raise ValueError("there is no such part")
        begun = self._begun.pop(sender, [])
        if number == 0:
            self._forget(begun)
            begun = []
        if number != len(begun):
            self._forget(begun)
            raise LookupError("a part is missing")
        begun.append(part)
        self._size += len(part) + _COST
        if number == last:
            self._forget(begun)
            return b"".join(begun)
        self._begun[sender] = begun
        while self._size > _WAITING:
            self._forget(self._begun.pop(next(iter(self._begun))))
        return None

    def _forget(self, parts: list[bytes]) -> None:
        self._size -= sum(len(part) + _COST for part in parts)
