"""Messages that are larger than what a server takes, in parts."""

import secrets

from antiphon.realtime.brokers.base import LARGEST

_WAITING = 4 * LARGEST
"""Bytes of unfinished messages to keep; of honest senders there is never more than one message each."""


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
        """The whole message with its last part, None with the others. Raises `ValueError` when one before is missing,
        or when nobody here marked it: what was there of the message is let go of."""
        sender, place, count = mark.split(b".")
        if place == b"0":
            self._forget(sender)
            self._begun[sender] = []
        begun = self._begun.get(sender)
        if begun is None or int(place) != len(begun) or self._size + len(part) > _WAITING:
            self._forget(sender)
            raise ValueError("a part is missing, or there are too many")
        begun.append(part)
        self._size += len(part)
        if int(place) + 1 < int(count):
            return None
        self._forget(sender)
        return b"".join(begun)

    def _forget(self, sender: bytes) -> None:
        self._size -= sum(map(len, self._begun.pop(sender, ())))
