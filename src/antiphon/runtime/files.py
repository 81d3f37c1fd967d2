"""Files that several processes may want at the same time, and that are left whole whatever ends one of them."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_BEHIND = 1 << 30  # of a file's text, which stays readable


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file, which gets its name when the block has ended without an error: half a file is no file. Raises
    `FileExistsError`, also at the end, when somebody else was faster."""
    _must_be_new(path)
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _must_be_new(path)  # a hard link would do this and the next in one step, but some file systems have none
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _must_be_new(path: Path) -> None:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def lock_now(file: IO[bytes]) -> bool:
    """Whether the system's lock of an open file is ours now, until it is closed; nobody waits for it."""
    try:
        if sys.platform == "win32":
            place = file.tell()
            file.seek(_BEHIND)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(place)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
