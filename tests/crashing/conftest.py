"""Prints what became of every message that the program died with."""

from typing import Any

TABLE = "crashes"
"""The property of a test that holds its rows: step, point, found, end, times."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for report in (*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())):
        rows = dict(report.user_properties).get(TABLE)
        if rows:
            terminalreporter.section(f"what a kill leaves: {report.nodeid.rpartition('::')[2]}")
            for step, point, found, end, times in rows:
                terminalreporter.write_line(f"{step:5}  {point:<42} {found:<23} → {end:<40} {times:>5} ×".rstrip())
