"""What SQLite's errors mean for the person who runs this, in one sentence each."""

import sqlite3

from antiphon.errors import ServiceError, ValidationError
from antiphon.storage.faults import GOES_ON, GONE, TAKEN, UNSTORABLE, with_cause

_LOCKED = "is locked by another program that writes for too long: close that program."
_SENTENCES = {
    sqlite3.SQLITE_FULL: f"has no room left: free some space on its disk; {GOES_ON}",
    sqlite3.SQLITE_READONLY: "may not be written: give this user write access to the file and its folder.",
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CORRUPT: "is damaged: stop the server and put a backup in its place.",
    sqlite3.SQLITE_NOTADB: "is no SQLite file: name another one in database.url, or move it away.",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that its folder exists and that this user may write there.",
    sqlite3.SQLITE_IOERR: "could not be read or written: check its disk; the system log says more.",
    sqlite3.SQLITE_PERM: "may not be opened: give this user access to the file and its folder.",
}
_OTHER = "reports an error ({error}): if it persists, stop the server and check the file."


@with_cause
def translated(error: Exception, place: str) -> Exception:
    if isinstance(error, sqlite3.IntegrityError):
        gone = error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
        return ValidationError(GONE if gone else TAKEN)
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return ValidationError(UNSTORABLE)
    if not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte of the extended code is the primary one
    sentence = _SENTENCES.get(code)
    return ServiceError(
        f"The database {place} {sentence or _OTHER.format(error=error)}",
        public=f"The database {sentence or _OTHER.format(error=type(error).__name__)}",
    )
