"""What a vendor says in the head of an answer about how much it will still take, and when to come back.

OpenAI, Azure, Groq, xAI, Fireworks and Mistral: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, some with a
period behind (`-minute`); OpenRouter and Together name no unit. Anthropic: `anthropic-ratelimit-{requests,tokens,
input-tokens,output-tokens}-{limit,remaining,reset}`. A reset is a duration (`6m0s`, `12ms`), seconds, a moment (RFC
3339) or seconds or milliseconds since 1970. What is no number, negative, past or absurd says nothing.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from antiphon.domain import now
from antiphon.providers.base import LimitUnit, RateLimit

LONGEST = 86_400.0
"""Seconds. A vendor that names more time than this until it takes more is not believed."""

MOST = 1e12
"""Requests or tokens. Nobody sells more a minute."""

_FIELDS = {"limit": 0, "remaining": 1, "reset": 2}
_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": LONGEST}
_WHAT = r"(requests|req|tokens|input-tokens|output-tokens|tokens-prompt|tokens-generated)(?:-(second|minute|hour|day))?"
_FIELD = "(limit|remaining|reset)"
_OPENAI = re.compile(rf"x-ratelimit-{_FIELD}(?:-{_WHAT})?")
_ANTHROPIC = re.compile(rf"anthropic-ratelimit-{_WHAT}-{_FIELD}")
_DURATION = re.compile(
    r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?",
    re.ASCII,
)
_SCALE = (86_400.0, 3600.0, 60.0, 1.0, 0.001)
_EPOCH = 1e9
"""What is larger is no number of seconds to wait but a moment in seconds since 1970, a thousandfold in milliseconds."""

_UNITS: Mapping[str, LimitUnit] = {
    "tokens": "tokens",
    "input-tokens": "input",
    "tokens-prompt": "input",
    "output-tokens": "output",
    "tokens-generated": "output",
}


def read_limits(headers: Mapping[str, str], at: datetime | None = None) -> tuple[RateLimit, ...]:
    """Every limit that the headers tell of in full, `at` the time of our clock."""
    found: dict[str, list[str | None]] = {}
    for header, value in headers.items():
        if (place := _place(header)) is not None:
            found.setdefault(place[0], [None, None, None])[place[1]] = value
    if not found:
        return ()
    return tuple(limit for name, values in found.items() if (limit := _limit(name, values, headers, at)) is not None)


def retry_after(headers: Mapping[str, str], at: datetime | None = None) -> float | None:
    """The seconds a vendor asks to wait, from `retry-after-ms` or `Retry-After` (seconds or a date)."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return bounded(milliseconds / 1000)
    value = headers.get("Retry-After", headers.get("retry-after", ""))
    if (seconds := _number(value)) is not None:
        return bounded(seconds)
    until = http_date(value)
    return None if until is None else bounded((until - _their_time(headers, at)).total_seconds())


@lru_cache(maxsize=256)
def _place(header: str) -> tuple[str, int] | None:
    """Which limit a header is about, and which of its three fields it is."""
    header = header.lower()
    if match := _OPENAI.fullmatch(header):
        field, what, period = match.groups()
    elif match := _ANTHROPIC.fullmatch(header):
        what, period, field = match.groups()
    else:
        return None
    return f"{what or 'requests'}/{period or ''}", _FIELDS[field]


def _limit(name: str, values: list[str | None], headers: Mapping[str, str], at: datetime | None) -> RateLimit | None:
    most, left = _amount(values[0]), _amount(values[1])
    if most is None or left is None or most < 1 or left > most:
        return None
    what, _, period = name.partition("/")
    seconds = _PERIODS.get(period, 60.0)
    reset = (seconds, True) if values[2] is None else _reset(values[2], headers, at)
    if reset is None or not (0 < reset[0] <= LONGEST or left == most):
        return None
    wait = reset[0] if 0 < reset[0] <= LONGEST else seconds
    # A moment in whole seconds may be one of them later than it reads.
    return RateLimit(name, _UNITS.get(what, "requests"), most, left, wait + (0.01 if reset[1] else 1.0))


def _amount(text: str | None) -> float | None:
    number = _number(text)
    return number if number is not None and 0 <= number <= MOST else None


def _reset(text: str, headers: Mapping[str, str], at: datetime | None) -> tuple[float, bool] | None:
    """The seconds until it, and whether that is more exact than a second."""
    text = text.strip()[:40]
    exact = "." in text or "ms" in text
    if (duration := _duration(text)) is not None:
        return duration, exact
    if (number := _number(text)) is None:
        return _moment(text, headers, at)
    if number >= _EPOCH:
        exact = number >= _EPOCH * 1000
        number = number / (1000 if exact else 1) - _their_time(headers, at).timestamp()
    return number, exact


@lru_cache(maxsize=1024)
def _duration(text: str) -> float | None:
    match = _DURATION.fullmatch(text)
    if match is None or match.lastindex is None:
        return None
    return sum(float(part) * scale for part, scale in zip(match.groups("0"), _SCALE, strict=True))


def _moment(text: str, headers: Mapping[str, str], at: datetime | None) -> tuple[float, bool] | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _their_time(headers, at)).total_seconds(), False


def _their_time(headers: Mapping[str, str], at: datetime | None) -> datetime:
    """The time by the clock that the moment was read from, which may be minutes from ours."""
    return http_date(headers.get("Date", headers.get("date", ""))) or at or now()


def http_date(text: str) -> datetime | None:
    """The moment that a header names (RFC 9110, 5.6.7), None where it is none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def bounded(seconds: float) -> float | None:
    """A time to wait; None for one at which nobody comes back."""
    return max(0.0, seconds) if seconds <= LONGEST else None  # NaN compares false with everything


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
