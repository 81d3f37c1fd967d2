"""The databases, and a table of what became of every message that the program died with."""

from pathlib import Path
from typing import Any

import pytest

from tests.crashing.records import PostgresRecords, Records, SqliteRecords

TABLE = "crashes"
"""The property of a test that holds its rows: step, point, found, end, times."""


@pytest.fixture(params=["sqlite", "postgres"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Records:
    """A database, to be written by the program and read after its death."""
    if request.param == "sqlite":
        return SqliteRecords(tmp_path)
    return PostgresRecords(request.getfixturevalue("postgres_url"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for report in (*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())):
        rows = dict(report.user_properties).get(TABLE)
        if rows:
            terminalreporter.section(f"what a kill leaves: {report.nodeid.rpartition('::')[2]}")
            for step, point, found, end, times in rows:
                terminalreporter.write_line(f"{step:5}  {point:<42} {found:<23} → {end:<40} {times:>5} ×".rstrip())
