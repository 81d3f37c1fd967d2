"""What SQLite's errors mean for the person who runs this, in one sentence each."""

import sqlite3

from antiphon.errors import ServiceError, ValidationError

_LOCKED = "is locked by another program that writes for too long: close that program."
_SENTENCES = {
    sqlite3.SQLITE_FULL: "has no room left: free some space on its disk; nothing needs to be restarted.",
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


_GONE = "This refers to a conversation or person that does not exist (any more)."
_TAKEN = "Something with this id or name exists already."
_UNSTORABLE = "This holds a character or a number that cannot be stored: half of a surrogate pair, or beyond 64 bits."


def translated(error: Exception, place: str) -> Exception:
    """`error` as one of ours when it is about the database, otherwise itself. `place` is shown to operators only."""
    found = _translated(error, place)
    if found is not error:
        found.__cause__ = error
    return found


def _translated(error: Exception, place: str) -> Exception:
    if isinstance(error, sqlite3.IntegrityError):
        gone = error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
        return ValidationError(_GONE if gone else _TAKEN)
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return ValidationError(_UNSTORABLE)
    if not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte of the extended code is the primary one
    sentence = _SENTENCES.get(code)
    return ServiceError(
        f"The database {place} {sentence or _OTHER.format(error=error)}",
        public=f"The database {sentence or _OTHER.format(error=type(error).__name__)}",
    )
