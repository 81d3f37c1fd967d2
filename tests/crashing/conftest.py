"""The databases, and a table of what became of every message that the program died with."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.crashing.records import PostgresRecords, Records, SqliteRecords
from tests.postgres import Databases

NewRecords = Callable[[Path], AbstractContextManager[Records]]

TABLE = "crashes"
"""The property of a test that holds its rows: step, point, found, end, times."""


@pytest.fixture
def new_records(request: pytest.FixtureRequest) -> NewRecords:
    """Makes databases of one kind, to be written by the program and read after its death; a file is in the folder."""
    if request.param == "sqlite":
        return lambda folder: nullcontext(SqliteRecords(folder))
    databases: Databases = request.getfixturevalue("databases")

    @contextmanager
    def on_server(_: Path) -> Iterator[Records]:
        url = databases.ready()
        yield PostgresRecords(url)
        databases.drop(url)

    return on_server


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for report in (*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())):
        rows = dict(report.user_properties).get(TABLE)
        if rows:
            terminalreporter.section(f"what a kill leaves: {report.nodeid.rpartition('::')[2]}")
            for step, point, found, end, times in sorted(rows):
                terminalreporter.write_line(f"{step:5}  {point:<42} {found:<23} → {end:<40} {times:>5} ×".rstrip())
