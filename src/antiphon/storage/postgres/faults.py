"""What PostgreSQL's errors mean for the person who runs this, in one sentence each.

By code, never by text: an error's own text may hold what somebody wrote, or a password
(https://www.postgresql.org/docs/current/errcodes-appendix.html).
"""

from ssl import SSLError
from typing import Literal

import asyncpg

from antiphon.errors import ServiceError, ValidationError
from antiphon.storage.faults import GOES_ON, GONE, TAKEN, UNSTORABLE, with_cause

Kind = Literal["collision", "double", "lost", "slow", "other"]

_COLLISION = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    OSError,
)

_DOWN = f"does not answer: check that the server runs and can be reached; {GOES_ON}"
_SENTENCES: dict[str, str] = {
    "08": _DOWN,
    "28": "refuses the name or the password. Check both in database.url.",
    "3D000": "does not exist: create it (createdb), or name another one in database.url.",
    "42501": "does not let this user do it: make the user the owner of the database (ALTER DATABASE … OWNER TO …).",
    "53100": f"has no room left: free some space on the disk of its server; {GOES_ON}",
    "53200": "has no memory left: give its server more, or lower max_connections there.",
    "53300": "takes no more connections: raise max_connections of the server, or lower database.connections.",
    "25006": "takes no changes now: name the server that writes (not a replica) in database.url.",
    "57014": "was too slow: it took longer than database.answer_seconds; see what else keeps the server busy.",
    "55P03": "was too slow: another program holds what is needed; see what else keeps the server busy.",
    "57P0": "is stopping or starting: try again in a moment.",
    "42P01": "lacks a table: what made it has been undone; restore a backup, or name another one in database.url.",
    "XX001": "is damaged: stop the server and put a backup in its place.",
}
_SLOW = "was too slow: it took longer than database.answer_seconds; see what else keeps the server busy."
_UNCLEAR = (
    "cannot be reached in the way that database.url asks for: check what stands behind its `?`, and the files it names."
)
_UNSAFE = "does not agree on encryption: check sslmode and the certificates that database.url names."
_OTHER = "reports an error ({code}): the log of the PostgreSQL server says more."


def kind_of(error: Exception, *, closed: bool) -> Kind:
    """What an error of a unit of work asks for; `closed` tells whether its connection is.

    collision: the server undid it for another one; double: what it makes is there; lost: the connection broke, and what
    was asked last may have happened or not; slow: no answer in time, and the connection may hang."""
    if isinstance(error, TimeoutError):  # an OSError, too
        return "slow"
    if closed or isinstance(error, _LOST):
        return "lost"
    if isinstance(error, _COLLISION):
        return "collision"
    return "double" if isinstance(error, asyncpg.UniqueViolationError) else "other"


def unreachable(error: Exception, place: str) -> ServiceError:
    """For an attempt to connect: silence is not slowness there."""
    found = translated(ConnectionResetError() if isinstance(error, TimeoutError) else error, place)
    return found if isinstance(found, ServiceError) else ServiceError(f"The database {place} {_DOWN}")


@with_cause
def translated(error: Exception, place: str) -> Exception:
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return ValidationError(GONE)
    if isinstance(error, asyncpg.UniqueViolationError):
        return ValidationError(TAKEN)
    # DataError: refused by asyncpg before it was sent, or by the server (22021 is a NUL in a text).
    if isinstance(error, asyncpg.DataError | UnicodeEncodeError | OverflowError):
        return ValidationError(UNSTORABLE)
    sentence = _sentence(error)
    if sentence is None:
        return error
    return ServiceError(f"The database {place} {sentence}", public=f"The database {sentence}")


def _sentence(error: Exception) -> str | None:
    """What is wrong with the database; None when the error is about something else."""
    if isinstance(error, TimeoutError):
        return _SLOW
    if isinstance(error, asyncpg.PostgresError):
        code = error.sqlstate or "unknown"
        return next((text for start, text in _SENTENCES.items() if code.startswith(start)), _OTHER.format(code=code))
    if isinstance(error, asyncpg.ClientConfigurationError | FileNotFoundError):
        return _UNCLEAR
    if isinstance(error, SSLError) or type(error) is ConnectionError:  # asyncpg's word for a server without TLS
        return _UNSAFE
    if isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return _DOWN
    return None
