"""Server-sent events from bytes, whatever the bytes are cut into.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html; `id:` and `retry:` mean nothing for one
answer and are skipped. No I/O: the caller feeds what it read.
"""

from msgspec import Struct

_BOM = b"\xef\xbb\xbf"


class ServerEvent(Struct, frozen=True, gc=False):
    """One event: its `event:` name, empty when it has none, and its `data:` lines joined by line feeds."""

    name: str
    data: bytes


class SseReader:
    """Collects lines into events.

    A line or an event longer than `limit` bytes sets `overflow`, and nothing is read from there on.
    """

    def __init__(self, limit: int = 1 << 20) -> None:
        self.overflow = False
        self._limit = limit
        self._tail = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._name = ""
        self._at_start = True
        self._after_cr = False

    def feed(self, data: bytes) -> list[ServerEvent]:
        """The events that `data` completes."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")  # the second half of a CRLF that was cut in two
            self._after_cr = False
        if b"\n" not in data and b"\r" not in data:
            self._tail += data
            self.overflow |= len(self._tail) > self._limit
            return []
        self._after_cr = data.endswith(b"\r")
        if self._tail:
            data = bytes(self._tail) + data
            self._tail.clear()
        # bytes.splitlines knows exactly the three line ends of the format: LF, CR and CRLF
        lines = data.splitlines()
        if not data.endswith((b"\n", b"\r")):
            self._tail += lines.pop()
        events = self._read(lines)
        self.overflow |= len(self._tail) > self._limit
        return events

    def end(self) -> list[ServerEvent]:
        """The event that lacks its blank line: real servers leave it out behind the last one."""
        lines = [bytes(self._tail)] if self._tail else []
        self._tail.clear()
        return self._read([*lines, b""])

    def _read(self, lines: list[bytes]) -> list[ServerEvent]:
        events: list[ServerEvent] = []
        if self._at_start and lines:
            lines[0] = lines[0].removeprefix(_BOM)
            self._at_start = False
        for line in lines:
            if self.overflow:
                break
            if line.startswith(b"data: "):
                self._take(line[6:])
            elif not line:
                if self._data:
                    events.append(ServerEvent(self._name, b"\n".join(self._data)))
                    self._data = []
                    self._size = 0
                self._name = ""
            else:
                self._field(line)
        return events

    def _field(self, line: bytes) -> None:
        self.overflow |= len(line) > self._limit
        name, _, value = line.partition(b":")
        if name == b"data":
            self._take(value.removeprefix(b" "))
        elif name == b"event":
            self._name = value.removeprefix(b" ").decode("utf-8", "replace")

    def _take(self, value: bytes) -> None:
        self._size += len(value) + 7  # with its field name, so that a line and its value have the same bound
        self.overflow |= self._size > self._limit
        self._data.append(value)
