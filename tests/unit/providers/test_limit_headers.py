from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from antiphon.providers.base import RateLimit
from antiphon.providers.limit_headers import LONGEST, MOST, read_limits, retry_after

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def read(**headers: str) -> list[tuple[str, str, float, float, float]]:
    """Name, unit, limit, what is left, and the seconds until it is whole, of headers with `_` for `-`."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return [(each.name, each.unit, each.limit, each.left, round(each.reset, 3)) for each in read_limits(named, NOW)]


def requests(reset: str) -> list[tuple[str, str, float, float, float]]:
    return read(x_ratelimit_limit_requests="60", x_ratelimit_remaining_requests="59", x_ratelimit_reset_requests=reset)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("6m0s", 361.0),  # whole seconds may be rounded down
        ("1s", 2.0),
        ("12ms", 0.022),
        ("1.5s", 1.51),
        ("2m59.56s", 179.57),
        ("1h0m0s", 3601.0),
        ("17", 18.0),
        ("17.25", 17.26),
        ("2026-11-21T12:00:30Z", 31.0),
        ("2026-11-21T13:00:30+01:00", 31.0),
        ("1795262430", 31.0),
        ("1795262430500", 30.51),
    ],
)
def test_a_reset_in_every_form(reset: str, seconds: float) -> None:
    assert requests(reset) == [("requests/", "requests", 60.0, 59.0, seconds)]


@pytest.mark.parametrize(
    "reset",
    ["", "soon", "-1s", "-5", "nan", "inf", "1e400", "0s", "2026-11-21T11:59:59Z", "99999999999999999999", "3d",
     "86401", "9" * 500, "12:00", "1795262399", "\x00", "１s"],
)  # fmt: skip
def test_a_reset_that_is_past_or_absurd_or_no_time_says_nothing(reset: str) -> None:
    assert requests(reset) == []


@pytest.mark.parametrize(
    ("most", "left"),
    [("nan", "1"), ("60", "nan"), ("60", "-1"), ("-60", "-60"), ("0", "0"), ("60", "61"), ("inf", "inf"),
     (str(MOST * 10), "1"), ("", ""), ("many", "few"), ("60", ""), ("1" * 5000, "1")],
)  # fmt: skip
def test_numbers_that_cannot_be_say_nothing(most: str, left: str) -> None:
    found = read(x_ratelimit_limit_requests=most, x_ratelimit_remaining_requests=left, x_ratelimit_reset_requests="1s")
    assert found == []


def test_a_limit_that_is_whole_needs_no_reset() -> None:
    full = read(x_ratelimit_limit_requests="60", x_ratelimit_remaining_requests="60", x_ratelimit_reset_requests="0s")
    assert full == [("requests/", "requests", 60.0, 60.0, 61.0)]


def test_openai_and_those_like_it_tell_of_requests_and_tokens() -> None:
    assert read(
        x_ratelimit_limit_requests="60",
        x_ratelimit_limit_tokens="150000",
        X_RateLimit_Remaining_Requests="59",
        X_RateLimit_Remaining_Tokens="149984",
        x_ratelimit_reset_requests="1s",
        x_ratelimit_reset_tokens="6m0s",
    ) == [("requests/", "requests", 60, 59, 2.0), ("tokens/", "tokens", 150_000, 149_984, 361.0)]


def test_anthropic_tells_moments_by_its_own_clock() -> None:
    told = {
        f"anthropic_ratelimit_{what}_{field}": value
        for what, left in {"requests": "49", "input_tokens": "0", "output_tokens": "7000"}.items()
        for field, value in {"limit": "8000", "remaining": left, "reset": "2026-11-21T09:00:20Z"}.items()
    }
    assert read(**told) == [], "by our clock these moments are long past"
    assert read(**told, Date="Sat, 21 Nov 2026 09:00:00 GMT") == [
        ("requests/", "requests", 8000, 49, 21.0),
        ("input-tokens/", "input", 8000, 0, 21.0),
        ("output-tokens/", "output", 8000, 7000, 21.0),
    ]


def test_mistral_names_a_period_and_no_reset() -> None:
    found = read(x_ratelimit_limit_req_minute="30", x_ratelimit_remaining_req_minute="29")
    assert found == [("req/minute", "requests", 30, 29, 60.01)]


def test_openrouter_names_no_unit() -> None:
    found = read(X_RateLimit_Limit="20", X_RateLimit_Remaining="0", X_RateLimit_Reset="1795262430000")
    assert found == [("requests/", "requests", 20, 0, 30.01)]


def test_azure_that_leaves_the_limit_or_the_rest_out_says_nothing() -> None:
    assert read(x_ratelimit_remaining_requests="-1", x_ratelimit_limit_requests="10") == []
    assert read(x_ratelimit_remaining_tokens="10") == []
    assert read(retry_after="3", content_type="text/plain") == []


_NAMES = st.sampled_from(
    [
        f"{front}-{field}-{what}".replace("--", "-").strip("-")
        for front in ("x-ratelimit", "X-RateLimit")
        for field in ("limit", "remaining", "reset")
        for what in ("requests", "tokens", "", "requests-day", "fish")
    ]
    + [f"anthropic-ratelimit-input-tokens-{field}" for field in ("limit", "remaining", "reset")]
    + ["Date"]
)
_VALUES = st.one_of(
    st.text(max_size=30),
    st.floats().map(str),
    st.integers().map(str),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    st.from_regex(r"\A-?[0-9]{1,7}(\.[0-9]+)?(d|h|m|s|ms)([0-9]+s)?\Z"),
)


@given(st.dictionaries(_NAMES, _VALUES))
def test_whatever_comes_is_believed_only_within_reason(headers: dict[str, str]) -> None:
    for limit in read_limits(CIMultiDict(headers), NOW):
        assert isinstance(limit, RateLimit)
        assert 0 <= limit.left <= limit.limit <= MOST
        assert 0 < limit.reset <= LONGEST + 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "20"}, 20.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": "Sat, 21 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Sat, 21 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"Retry-After": "Fri, 20 Nov 2020 12:00:30 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "1e99"}, None),
        ({"Retry-After": "Sat, 99 Nov 2026 12:00:30 GMT"}, None),
        ({"Retry-After": "Fri, 20 Nov 99999999999 12:00:30 GMT"}, None),
        ({"Retry-After": f"Fri, 20 Nov {'9' * 4000} 12:00:30 GMT"}, None),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "Sat, 21 Nov 2026 11:00:30 GMT", "Date": "Sat, 21 Nov 2026 11:00:00 GMT"}, 30.0),
        ({"Retry-After": "\u0663\u0660"}, 30.0),
    ],
)
def test_the_time_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize("date", ["Fri, 20 Nov 99999999999 12:00:30 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "\0"])
def test_a_clock_that_cannot_be_does_not_stop_the_reading(date: str) -> None:
    told = read(
        Date=date,
        anthropic_ratelimit_requests_limit="60",
        anthropic_ratelimit_requests_remaining="60",
        anthropic_ratelimit_requests_reset="2026-11-21T12:00:30Z",
    )
    assert [(name, limit, left) for name, _, limit, left, _ in told] == [("requests/", 60, 60)]
