"""The claim on a SQLite file: a lock of the operating system on a file beside the database.

The file tells who holds it, which is how a terminal finds the server that is running already.
"""

import os
import time
from pathlib import Path
from typing import IO

import msgspec

from antiphon.errors import ServiceError
from antiphon.runtime.files import lock_now
from antiphon.runtime.threads import run_async
from antiphon.storage.claim import Holder, taken
from antiphon.storage.sqlite.connection import prepare

CLAIM_SECONDS = 0.2
"""How long to try: who asks for the holder has the lock for a moment too."""


class FileClaim:
    """The right to answer from the file `database`. A database in memory (None) needs none."""

    def __init__(self, database: Path | None) -> None:
        self._database = database
        self._path = database.with_name(f"{database.name}.lock") if database else None
        self._file: IO[bytes] | None = None

    async def take(self, url: str | None = None) -> None:
        await run_async(self._take, url)

    async def release(self) -> None:
        """The file stays, because removing it would race with the next who takes it."""
        file, self._file = self._file, None
        if file is not None:
            file.truncate(0)
            file.close()

    async def holders(self) -> list[Holder]:
        found = await run_async(self._holder)
        return [found] if found else []

    def _take(self, url: str | None) -> None:
        if self._database is None or self._path is None or self._file is not None:
            return
        prepare(self._database)
        file = _open(self._path)
        if not _lock(file, patience=CLAIM_SECONDS):
            file.close()
            raise taken(self._holder())
        try:
            file.truncate(0)
            file.write(msgspec.json.encode(Holder(os.getpid(), url)))
        except OSError as error:
            file.close()
            raise _unusable(self._path, error) from error
        self._file = file

    def _holder(self) -> Holder | None:
        if self._path is None or not self._path.exists():
            return None
        with _open(self._path) as file:
            if _lock(file):
                return None
            file.seek(0)
            try:
                return msgspec.json.decode(file.read(), type=Holder)
            except (OSError, msgspec.DecodeError):  # it is being written, or on Windows not to be read
                return Holder(0)


def _open(path: Path) -> IO[bytes]:
    """For reading and writing, made when missing, readable by its owner only."""
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> ServiceError:
    return ServiceError(
        f"The file {path} beside the database cannot be written ({error.strerror}): check its folder and its disk.",
        public=f"The lock beside the database cannot be written ({error.strerror}): check its folder and its disk.",
    )


def _lock(file: IO[bytes], patience: float = 0.0) -> bool:
    """Whether the lock became free within `patience` seconds and is now ours, until the file is closed."""
    give_up = time.monotonic() + patience
    while not lock_now(file):
        if time.monotonic() >= give_up:
            return False
        time.sleep(0.02)
    return True
