"""The tool that knows what time it is, here and elsewhere."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from types import MappingProxyType
from zoneinfo import ZoneInfo, available_timezones

from antiphon.errors import ToolError
from antiphon.runtime.spelling import near
from antiphon.search.lexical import fold
from antiphon.tools.base import tool

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_OFFSET = re.compile(r"(?:utc|gmt)?([+-])(\d{1,2})(?::?([0-5]\d))?")

# Places that many people ask for and that the time zone database knows only by a larger neighbour.
_PLACES = MappingProxyType(
    {
        "America/Los_Angeles": ("san francisco", "seattle", "san diego", "las vegas", "california", "pst", "pdt"),
        "America/New_York": ("washington", "boston", "miami", "atlanta", "philadelphia", "edt"),
        "America/Chicago": ("houston", "dallas", "austin", "texas", "cst", "cdt"),
        "America/Toronto": ("ottawa",),
        "America/Sao_Paulo": ("rio de janeiro", "brasilia", "brazil"),
        "Asia/Dubai": ("abu dhabi",),
        "Asia/Kolkata": ("mumbai", "delhi", "new delhi", "bangalore", "chennai", "hyderabad", "india"),
        "Asia/Shanghai": ("beijing", "shenzhen", "guangzhou", "china"),
        "Asia/Tokyo": ("osaka", "kyoto", "jst"),
        "Australia/Sydney": ("canberra",),
        "Europe/Berlin": ("munich", "hamburg", "frankfurt", "cologne", "germany", "cest"),
        "Europe/London": ("england", "uk", "manchester", "edinburgh", "bst"),
        "Europe/Madrid": ("barcelona", "spain"),
        "Europe/Paris": ("lyon", "marseille", "france"),
        "Europe/Rome": ("milan", "naples", "italy"),
        "Europe/Zurich": ("geneva", "basel", "switzerland"),
    }
)


@tool
def clock(timezone: str | None = None) -> str:  # reading the time zone files blocks, hence no coroutine
    """The current date, time and weekday, here or in a city or time zone.

    Args:
        timezone: A city ("Tokyo", "New York"), an IANA name ("Europe/Berlin") or an offset ("UTC+2"). Without one:
            the time of the server.
    """
    moment = datetime.now(UTC)
    if timezone is None or not timezone.strip():
        return describe(moment.astimezone(), "server time")
    zone = find_zone(timezone)
    return describe(moment.astimezone(zone), str(zone))


def describe(moment: datetime, place: str) -> str:
    """An aware `moment` in words and numbers, the same in every locale."""
    date = f"{_DAYS[moment.weekday()]}, {moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
    offset = moment.isoformat(timespec="seconds")[19:]
    return f"{date}, {moment:%H:%M:%S} ({place}, UTC{offset})"


def find_zone(name: str) -> tzinfo:
    """The time zone that a person means by `name`. Raises `ToolError` with near matches."""
    wanted = _fold(name)
    if offset := _OFFSET.fullmatch(wanted.replace(" ", "")):
        sign, hours, minutes = offset.groups()
        return _fixed(timedelta(hours=int(hours), minutes=int(minutes or 0)), sign)
    zones = _zones()
    key = zones.get(wanted) or zones.get(wanted.split(",")[0].strip())  # "Paris, France"
    if key:
        return ZoneInfo(key)
    found = dict.fromkeys(zones[match] for match in near(wanted, zones, most=3))
    hint = f" Did you mean {' or '.join(found)}?" if found else ""
    raise ToolError(f"No time zone or city is called {name[:60]!r}.{hint} Use an IANA name such as Europe/Berlin.")


def _fixed(offset: timedelta, sign: str) -> tzinfo:
    if offset > timedelta(hours=14):
        raise ToolError("No place on earth is more than 14 hours away from UTC.")
    return timezone(offset if sign == "+" else -offset)


@cache
def _zones() -> Mapping[str, str]:
    """IANA keys by everything they may be called: the key, its last part, and the places above."""
    keys = sorted(available_timezones())
    named = {_fold(place): key for key, places in _PLACES.items() for place in places if key in keys}
    for key in keys:  # continents come before Etc, SystemV and US, so the usual key of a city is the first
        named.setdefault(_fold(key.rpartition("/")[2]), key)
    return MappingProxyType(named | {_fold(key): key for key in keys})


def _fold(name: str) -> str:
    return " ".join(fold(name).replace("_", " ").split())
