"""Units of work without I/O: generators that yield statements and are sent the rows.

So each unit is written once, and a database runs it whole, in its own way: SQLite as one job of its writer thread,
a server as one transaction of a pooled connection.

A unit may be run again from its beginning when its transaction was lost; it therefore changes nothing but the database.
When a connection breaks during COMMIT nobody knows whether it happened, so each unit also finds what it did itself and
does it no second time: `accept` by the id of the turn that its caller chose, `create` by that of the conversation, a
note by its digest, an account by its name, `append` by the numbers of the chunks, `finish` because the turn has ended;
the others set what is set already. Only a deletion cannot tell its own work from another's, and returns False then.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, ParamSpec, Protocol, TypeVar

from antiphon.errors import ValidationError

T = TypeVar("T")
P = ParamSpec("P")

Row = Sequence[Any]
Step = tuple[str, Mapping[str, Any]]
"""The name of a statement (`statements.py` in small letters) and its parameters."""


class Together(NamedTuple):
    """Statements that neither change the same rows nor see each other's changes, so that a server may be given them in
    one message; the rows that come back are those of the last one."""

    steps: tuple[Step, ...]


Unit = Generator[Step | Together, list[Row], T]


class Alone(Generic[P, T]):
    """Decorator of a unit that changes something in one step only: it needs no transaction around it."""

    def __init__(self, unit: Callable[P, Unit[T]]) -> None:
        self._unit = unit

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Unit[T]:
        return self._unit(*args, **kwargs)


class Database(Protocol):
    """What runs units of work. Each call is one transaction, or raises `ServiceError` or `ValidationError`."""

    async def read(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    async def find(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, for what searches the full-text index: all that has been written by now is found."""
        ...

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...


def one(name: str, **values: Any) -> Unit[Row | None]:
    """The first row of a statement."""
    rows = yield name, values
    return rows[0] if rows else None


def sure(name: str, **values: Any) -> Unit[Row]:
    """The first row of a statement about something that was there a moment ago."""
    return there((yield name, values))


def there(rows: list[Row]) -> Row:
    """The first of `rows`, which are about something that was there a moment ago."""
    if not rows:
        raise ValidationError("The conversation of this message has been deleted in this moment.")
    return rows[0]


def many(name: str, **values: Any) -> Unit[list[Row]]:
    return (yield name, values)


@Alone
def run(name: str, **values: Any) -> Unit[None]:
    yield name, values


def together(*steps: Step) -> Unit[list[Row]]:
    """The rows of the last of `steps`; see `Together`."""
    return (yield steps[0] if len(steps) == 1 else Together(steps))
