"""The page of limits is the code: every setting that bounds something, and what is counted and said when it is met."""

import re
from pathlib import Path
from typing import Any

import pytest

from antiphon.realtime.config import RealtimeSettings

LIMITS, METRICS = "docs/reference/limits.md", "docs/reference/metrics.md"
REFUSED, TIMES = "What is refused or ended", "Times and sizes that nobody is refused for"
PRESENCE = {"max_entries", "max_meta_bytes", "max_state_bytes", "backlog"}
"""The bounds; the other numbers of presence are how often it does what."""


@pytest.fixture(scope="module")
def source(root: Path) -> str:
    folder = root / "src/antiphon/realtime"
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*.py")))


def numbers(section: str) -> set[str]:
    kind: Any = RealtimeSettings.model_fields[section].annotation
    return {name for name, field in kind.model_fields.items() if field.annotation in (int, float)}


def test_every_setting_that_bounds_something_is_there_once(page: Any) -> None:
    named = [row[0].strip("`") for heading in (REFUSED, TIMES) for row in page(LIMITS).table(heading)]
    assert len(set(named)) == len(named)
    bounds = {f"{section}.{name}" for section in ("security", "transport") for name in numbers(section)}
    assert set(named) == bounds | {f"presence.{name}" for name in PRESENCE}
    assert numbers("presence") >= PRESENCE


def test_each_has_a_metric_a_line_and_a_reason(page: Any, source: str) -> None:
    metrics = {row[0] for row in page(METRICS).table("Ours")}
    for setting, beyond, seen, metric, event, why in page(LIMITS).table(REFUSED):
        assert metric in metrics, setting
        assert f'"{event.strip("`")}"' in source, (setting, event)
        assert all((beyond, seen, why)), setting
        if metric == "`antiphon_ws_limits_met_total`":
            name = setting.strip("`").rpartition(".")[2]
            # Those of a slow client are put together from a word that the transport says.
            counted = 'met(f"blocked_{limit}"' if name.startswith("blocked_") else f'met("{name}"'
            assert counted in source, setting


def test_what_clients_are_told_is_what_they_hear(page: Any, source: str) -> None:
    for row in page(LIMITS).table(REFUSED):
        for reason in re.findall(r"`(too [^`]+)`", row[2]):
            assert f'"{reason}"' in source
        for code in re.findall(r"close code (\d+)", row[2]):
            assert code in source


def test_each_line_that_is_named_elsewhere_exists(page: Any, source: str) -> None:
    for name in page(LIMITS).spans:
        if re.fullmatch(r"(realtime|presence)\.[a-z_]+", name) and name.partition(".")[2] not in PRESENCE:
            assert f'"{name}"' in source, name
