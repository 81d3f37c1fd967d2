"""The statements of one kind of work, and how steps become queries: several at once are one query."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from antiphon.errors import ServiceError
from antiphon.storage.postgres.catalogue import Statement
from antiphon.storage.sql.unit import Step, Together

_NUMBERED = re.compile(r"\$(\d+)")


class Statements:
    """What units may ask for by name. Statements that are yielded together are joined, once for each combination: all
    but the last as common table expressions, which PostgreSQL carries out whether or not they are read
    (https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING)."""

    def __init__(self, statements: Mapping[str, Statement]) -> None:
        self._statements = statements
        self._joined: dict[tuple[str, ...], str] = {}

    def query(self, step: Step | Together) -> tuple[Any, ...]:
        """The text of a step and its parameters in order."""
        if not isinstance(step, Together):
            name, values = step
            statement = self._known(name)
            return (statement.sql, *[values[parameter] for parameter in statement.parameters])
        names = tuple(name for name, _ in step.steps)
        known = [self._known(name) for name in names]
        sql = self._joined.get(names) or self._joined.setdefault(names, _join(known))
        given = zip(known, step.steps, strict=True)
        return (sql, *[values[name] for statement, (_, values) in given for name in statement.parameters])

    def _known(self, name: str) -> Statement:
        try:
            return self._statements[name]
        except KeyError:
            raise ServiceError(f"The statement {name} changes the database and was given to read.") from None


def _join(statements: list[Statement]) -> str:
    texts, before = [], 0
    for statement in statements:
        texts.append(_NUMBERED.sub(partial(_shifted, before), statement.sql))
        before += len(statement.parameters)
    *first, last = texts
    return f"WITH {', '.join(f's{number} AS ({text})' for number, text in enumerate(first))} {last}"


def _shifted(by: int, number: re.Match[str]) -> str:
    return f"${int(number[1]) + by}"
