"""Documents that come one a line (NDJSON), whatever their bytes are cut into."""

from antiphon.providers.protocols.sse import ServerEvent


class LineReader:
    """Collects lines, each one event without a name. A line longer than `limit` bytes sets `overflow`, and nothing is
    read from there on."""

    def __init__(self, limit: int = 1 << 20) -> None:
        self.overflow = False
        self._limit = limit
        self._tail = bytearray()

    def feed(self, data: bytes) -> list[ServerEvent]:
        """The lines that `data` completes, without empty ones."""
        first, feed, rest = data.partition(b"\n")
        self._tail += first
        lines: list[bytes] = []
        if feed:
            *whole, last = rest.split(b"\n")
            lines = [bytes(self._tail), *whole]
            self._tail = bytearray(last)
        self.overflow |= len(self._tail) > self._limit or any(len(line) > self._limit for line in lines)
        return [] if self.overflow else [ServerEvent("", line.strip()) for line in lines if line.strip()]

    def end(self) -> list[ServerEvent]:
        """The last line, which need not end with a line feed."""
        return self.feed(b"\n")
