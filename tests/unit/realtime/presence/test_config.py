"""Periods that would make nodes look dead are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from antiphon.realtime.presence.config import PresenceConfig
from tests.rules import rule


@rule("TK-7", "TK-11", "TK-12", "TK-13", "TK-14")
def test_the_defaults_are_those_of_phoenix() -> None:
    config = PresenceConfig()
    fields = ("tick_seconds", "silent_ticks", "down_seconds", "permdown_seconds", "permdown_on_shutdown")
    assert config.model_dump(include=set(fields)) == dict(zip(fields, (1.5, 10, 30, 1200, False), strict=True))


@rule("TK-14")
@pytest.mark.parametrize(
    ("periods", "reason"),
    [
        ({"tick_seconds": 16, "silent_ticks": 1}, "at least twice"),
        ({"tick_seconds": 3, "silent_ticks": 10}, "look dead"),
        ({"permdown_seconds": 30}, "longer than down_seconds"),
        ({"tick_seconds": 0}, "greater than 0"),
        ({"cleanup": 1}, "not permitted"),
    ],
)
def test_periods_that_cannot_work_are_refused(periods: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        PresenceConfig(**periods)
