"""Where lines end up: a stream of the process, or a file that is rotated. Neither is ever the reason why work fails."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Protocol, TextIO

from antiphon.errors import ConfigError

if sys.platform != "win32":
    import fcntl

LOOK_SECONDS = 1.0
"""How often a file is compared with what is at its path: that long after somebody moved it, it is opened anew."""


class Outlet(Protocol):
    """Takes whole lines from any thread."""

    name: str
    terminal: bool
    trouble: str

    def write(self, line: str) -> bool:
        """Writes the line with its end; False when that was not possible, and `trouble` says why."""
        ...

    def close(self) -> None: ...


class StreamOutlet:
    """`sys.stderr` or `sys.stdout` as they are at each moment, or a stream of the caller's, who closes it."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self.name = name
        self.trouble = ""
        self._stream = stream
        current = self._current()
        self.terminal = current is not None and not current.closed and current.isatty()

    def _current(self) -> TextIO | None:
        return self._stream or getattr(sys, self.name, None)

    def write(self, line: str) -> bool:
        stream = self._current()
        if stream is None:
            self.trouble = "there is none"
            return False
        try:
            _put(stream, line + "\n")
        except (OSError, ValueError) as error:  # the terminal is gone, the disk is full, the stream is closed
            self.trouble = _why(error)
            return False
        return True

    def close(self) -> None:
        """Leaves the stream open."""


class FileOutlet:
    """A file that is appended to, one `write` a line, so that several writers never mix theirs.

    Before it grows beyond `max_bytes` (0: never) it becomes `name.1`, the last `name.1` becomes `name.2`, and so on
    up to `backups`. When another program moves or deletes it, as logrotate does, a new one is begun within a second.
    Raises `ConfigError` when it cannot be opened.
    """

    terminal = False

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self.name = str(path)
        self.trouble = ""
        self._path = path.absolute()
        self._max_bytes = max_bytes
        self._backups = backups
        self._lock = Lock()
        self._torn = False
        self._file = -1
        self._size = 0
        self._look_at = 0.0
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise ConfigError(f"The log file {path} cannot be opened: {error.strerror}.") from None

    def write(self, line: str) -> bool:
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            with self._lock:
                if monotonic() >= self._look_at:
                    self._look()
                if self._max_bytes and self._size and self._size + len(data) > self._max_bytes:
                    self._rotate()
                whole = self._append(data)
        except OSError as error:
            self.trouble = _why(error)
            return False
        self.trouble = "" if whole else "no room left for a whole line"
        return whole

    def close(self) -> None:
        with self._lock:
            self._close()

    def _append(self, data: bytes) -> bool:
        if self._torn:
            data = b"\n" + data
        written = os.write(self._file, data)
        self._size += written
        self._torn = 0 < written < len(data)  # the disk became full in the middle
        return written == len(data)

    def _open(self) -> None:
        self._close()
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o640)
        self._size = os.fstat(self._file).st_size
        self._look_at = monotonic() + LOOK_SECONDS

    def _close(self) -> None:
        if self._file >= 0:
            closing, self._file = self._file, -1
            os.close(closing)

    def _look(self) -> None:
        if self._file < 0 or not self._in_place():
            self._open()
        else:
            self._size = os.fstat(self._file).st_size
            self._look_at = monotonic() + LOOK_SECONDS

    def _in_place(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        """Moves the files on, unless another writer of this or another process did or does so. Where that is not
        possible the file goes on growing, and it is tried again a second later."""
        with suppress(OSError), _locked(self._file):
            if self._in_place():
                for number in range(self._backups - 1, 0, -1):
                    with suppress(FileNotFoundError):
                        self._put_aside(number).replace(self._put_aside(number + 1))
                self._path.replace(self._put_aside(1))
        if self._in_place():
            self._size = 0
        else:
            self._open()

    def _put_aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _put(stream: TextIO, text: str) -> None:
    try:
        file = stream.fileno()
    except (AttributeError, OSError, ValueError):  # one in memory
        stream.write(text)
        stream.flush()
        return
    # Past the stream's own buffer: what cannot be written would stay there, and for that Python ends with an error.
    stream.flush()
    data = text.encode(stream.encoding or "utf-8", "backslashreplace")
    while data:
        data = data[os.write(file, data) :]


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


@contextmanager
def _locked(file: int) -> Iterator[None]:
    """Holds the system's lock of an open file. Raises `OSError` at once when another writer holds it: a log waits for
    nobody."""
    if sys.platform == "win32":  # a file that is open cannot be moved there, so there is nothing to be kept apart
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
