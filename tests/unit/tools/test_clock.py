import json
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ToolError
from antiphon.tools.base import ToolContext
from antiphon.tools.clock import clock, describe, find_zone

MOMENT = datetime(2026, 7, 5, 22, 30, 9, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Tokyo", "Asia/Tokyo"),
        ("new york", "America/New_York"),
        ("New_York", "America/New_York"),
        ("São Paulo", "America/Sao_Paulo"),
        ("  SAO  PAULO ", "America/Sao_Paulo"),
        ("europe/berlin", "Europe/Berlin"),
        ("Paris, France", "Europe/Paris"),
        ("Mumbai", "Asia/Kolkata"),
        ("San Francisco", "America/Los_Angeles"),
        ("Melbourne", "Australia/Melbourne"),
        ("UTC", "UTC"),
    ],
)
def test_zones_are_found_by_city_and_name(name: str, key: str) -> None:
    assert str(find_zone(name)) == key


@pytest.mark.parametrize(
    ("name", "hours"), [("UTC+2", 2), ("gmt-3", -3), ("+05:30", 5.5), ("UTC + 0930", 9.5), ("-0:15", -0.25)]
)
def test_offsets_are_zones(name: str, hours: float) -> None:
    assert find_zone(name).utcoffset(MOMENT) == timedelta(hours=hours)


@pytest.mark.parametrize("name", ["xyzzy", "../../etc/passwd", "/etc/localtime", "UTC+25", "\0", "a" * 100_000, "Asia"])
def test_an_unknown_place_is_refused_in_a_short_sentence(name: str) -> None:
    with pytest.raises(ToolError) as caught:
        find_zone(name)
    assert len(caught.value.public) < 300


def test_a_slip_of_the_pen_gets_the_right_hint() -> None:
    with pytest.raises(ToolError, match="Asia/Tokyo"):
        find_zone("Toyko")
    with pytest.raises(ToolError, match="Europe/Berlin"):
        find_zone("Berlim")


def test_every_zone_of_the_database_is_found_by_its_key() -> None:
    for key in available_timezones():
        assert find_zone(key).utcoffset(MOMENT) == ZoneInfo(key).utcoffset(MOMENT), key


def test_a_sign_means_what_people_mean_and_not_what_posix_means() -> None:
    assert find_zone("GMT+2").utcoffset(MOMENT) == timedelta(hours=2)
    assert find_zone("Etc/GMT+2").utcoffset(MOMENT) == timedelta(hours=-2)


def test_a_moment_is_told_in_words_across_the_date_line() -> None:
    assert describe(MOMENT, "UTC") == "Sunday, 5 July 2026, 22:30:09 (UTC, UTC+00:00)"
    told = describe(MOMENT.astimezone(ZoneInfo("Asia/Kolkata")), "Asia/Kolkata")
    assert told == "Monday, 6 July 2026, 04:00:09 (Asia/Kolkata, UTC+05:30)"


def test_summer_time_is_respected() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before, after = (datetime(2026, 3, 29, hour, 30, tzinfo=UTC).astimezone(berlin) for hour in (0, 1))
    assert describe(before, "Berlin").endswith("01:30:00 (Berlin, UTC+01:00)")
    assert describe(after, "Berlin").endswith("03:30:00 (Berlin, UTC+02:00)")


@pytest.mark.parametrize("name", [None, "", " ", "Tokyo", "UTC-11"])
def test_the_clock_tells_the_present(name: str | None) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    told = clock(name)
    after = datetime.now(UTC)
    match = re.fullmatch(r"\w+, (.+) \(.+UTC([+-]\d\d:\d\d)\)", told)
    assert match
    moment = datetime.strptime(f"{match[1]} {match[2]}", "%d %B %Y, %H:%M:%S %z")
    assert before <= moment <= after
    assert told.startswith(f"{moment:%A},")


@given(st.text(max_size=60))
async def test_any_name_gives_a_time_or_a_sentence(name: str) -> None:
    context = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="a")
    result = await clock.call(json.dumps({"timezone": name}), context)
    assert "error in the tool itself" not in result.text
