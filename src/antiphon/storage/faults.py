"""What the errors of any database mean for the person who runs this, as far as they mean the same for all of them."""

from collections.abc import Callable
from functools import wraps

GONE = "This refers to a conversation or person that does not exist (any more)."
TAKEN = "Something with this id or name exists already."
UNSTORABLE = (
    "This holds a character or a number that cannot be stored: NUL, half of a surrogate pair, or beyond 64 bits."
)
GOES_ON = "a house that runs needs no restart."
"""Behind what to do about a database that a process may have met at its start too, and ended."""

Translator = Callable[[Exception, str], Exception]
"""Gives an error as one of ours when it is about the database, otherwise itself. The text is the database's place,
which is shown to operators only."""


def with_cause(translate: Translator) -> Translator:
    """`translate`, whose errors have what they translate as their cause: not all of them are raised where that one is
    caught."""

    @wraps(translate)
    def translated(error: Exception, place: str) -> Exception:
        found = translate(error, place)
        if found is not error:
            found.__cause__ = error
        return found

    return translated
