from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.providers.base import Error
from antiphon.providers.failures import Failures, quoted

KEY = "s3cr3t-of-the-house"


def of(status: int, body: Any = b"", **headers: str) -> Error:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Failures("acme", KEY).of_status(
        status, data, {name.replace("_", "-"): value for name, value in headers.items()}
    )


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (400, {"error": {"message": "bad", "code": "context_length_exceeded"}}, "too_long", False),
        (
            400,
            {
                "error": {
                    "message": "x",
                    "code": "content_filter",
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            },
            "filtered",
            False,
        ),
        (401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}, "auth", False),
        (402, {"error": {"message": "Insufficient credits"}}, "quota", False),
        (403, {"detail": "Forbidden"}, "auth", False),
        (403, {"error": {"message": "Your input was flagged", "code": 403}}, "filtered", False),
        (404, {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}}, "invalid", False),
        (408, b"", "timeout", True),
        (410, {"error": "gone"}, "retired", False),
        (413, b"<html>too large</html>", "too_long", False),
        (422, {"detail": [{"loc": ["body"], "msg": "wrong"}]}, "invalid", False),
        (
            429,
            {"error": {"message": "Rate limit reached", "type": "tokens", "code": "rate_limit_exceeded"}},
            "rate",
            True,
        ),
        (429, {"error": {"message": "x", "type": "insufficient_quota", "code": "insufficient_quota"}}, "quota", False),
        (429, {"error": {"message": "You exceeded your current quota, check your plan and billing"}}, "quota", False),
        (429, {"error": "you have reached your weekly usage limit, please upgrade to continue"}, "quota", False),
        (429, {"error": {"message": "That model is currently overloaded"}}, "overload", True),
        (429, {"error": {"message": "busy", "code": "engine_overloaded"}}, "overload", True),
        (429, b"slow down", "rate", True),
        (500, b"<html><body>Internal Server Error</body></html>", "server", True),
        (500, {"error": {"message": "Overloaded", "type": "overloaded_error"}}, "overload", True),
        (502, b"\xff\x00garbage", "server", True),
        (503, b"", "overload", True),
        (504, b"", "timeout", True),
        (524, b"", "timeout", True),
        (529, b"", "overload", True),
        (599, b"[" * 100_000, "server", True),
        (307, b"", "protocol", False),
    ],
)
def test_a_status_and_its_body_say_what_to_do(status: int, body: Any, kind: str, *, retryable: bool) -> None:
    error = of(status, body)
    assert (error.kind, error.retryable) == (kind, retryable)
    assert "acme" in error.public
    assert len(error.public) < 500


def test_a_minute_quota_that_names_its_end_is_a_rate() -> None:
    body = {"error": {"code": 429, "message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED"}}
    assert of(429, body, Retry_After="20").kind == "rate"
    assert of(429, body).kind == "quota"
    assert of(429, {"error": {"code": "insufficient_quota"}}, Retry_After="20").kind == "quota"


def test_a_known_case_gets_a_better_sentence() -> None:
    assert "does not know this model" in of(404).public
    assert "too long" in of(413).public
    assert "too long" in of(400, {"error": {"code": "context_length_exceeded"}}).public


def test_the_sentence_of_a_retired_service_can_be_its_own() -> None:
    assert Failures("github", None, "Gone for good.").of_status(410, b"", {}).public == "Gone for good."


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "boom", "code": 529}},
        {"error": {"message": "boom", "type": "overloaded_error"}},
        [{"error": {"message": "boom", "code": 503, "status": "UNAVAILABLE"}}],
        {"object": "error", "message": "boom", "code": 503},
    ],
)
def test_an_error_inside_an_answer_is_told_by_its_codes(error: Any) -> None:
    found = Failures("acme").of_object(error)
    assert found.kind == "overload"
    assert "“boom”" in found.public


@pytest.mark.parametrize("error", ["boom", {"error": "boom"}, {"detail": "boom"}, {"message": "boom"}])
def test_an_error_without_codes_is_the_vendors(error: Any) -> None:
    found = Failures("acme").of_object(error)
    assert found.kind == "server"
    assert "“boom”" in found.public


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "detail", "innererror", "x"]), inner)
        ),
        max_leaves=12,
    )
)
def test_any_shape_of_error_is_taken(error: Any) -> None:
    found = Failures("acme").of_object(error)
    assert found.message.isprintable()
    assert len(found.public) < 500


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-aBcD1234*****wxyz. You can find it",
        "Authorization: Bearer abcdef was refused",
        "bad token ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "https://x.example/?key=AIzaSyD-1234567890abcdefg_hijk",
        "the value 0123456789abcdef0123456789abcdef is wrong",
        f"the key {KEY} is wrong",
        "api_key='hunter2' is wrong",
    ],
)
def test_what_looks_like_a_key_is_not_shown(text: str) -> None:
    error = of(401, {"error": {"message": text, "code": text, "type": KEY}})
    for secret in ("aBcD1234", "abcdef", "16C7e42F", "AIza", KEY, "hunter2", "wxyz"):
        assert secret not in error.public
        assert secret not in error.message


def test_model_names_are_still_readable() -> None:
    text = "The model `accounts/fireworks/models/llama-v3p1-405b-instruct-turbo` does not exist"
    assert quoted(text) == text


def test_a_quote_is_short_and_on_one_line() -> None:
    assert quoted("a\r\nb\u2028c\x1b[31m") == "a b c [31m"
    assert len(quoted("word " * 10_000)) == 240
    assert len(quoted("-" * 2_000_000)) == 240


def test_the_log_line_holds_no_text_of_the_vendor() -> None:
    error = of(400, {"error": {"message": "Invalid content: my diary", "code": "my diary says", "type": "bad"}})
    assert error.message == "acme: invalid, HTTP 400 bad"


def test_the_time_to_wait_is_told() -> None:
    error = of(429, b"", retry_after_ms="20000")
    assert error.retry_after == 20
    assert "in 20 s" in error.public


# --- Anthropic and Google -----------------------------------------------------------------------------------------

_RPC = "type.googleapis.com/google.rpc"
_CURRENT = "You exceeded your current quota, please check your plan and billing details."


def anthropic(kind: str, message: str = "x") -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def google(status: str, message: str = "x", *details: Any, code: int = 400) -> Any:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def violation(quota: str) -> Any:
    return {"@type": f"{_RPC}.QuotaFailure", "violations": [{"quotaMetric": "m", "quotaId": quota}]}


_DELAY = {"@type": f"{_RPC}.RetryInfo", "retryDelay": "36.5s"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, anthropic("invalid_request_error"), "invalid"),
        (
            400,
            anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
            "quota",
        ),
        (401, anthropic("authentication_error", "invalid x-api-key"), "auth"),
        (402, anthropic("billing_error"), "quota"),
        (403, anthropic("permission_error"), "auth"),
        (404, anthropic("not_found_error", "model: claude-9"), "invalid"),
        (413, anthropic("request_too_large"), "too_long"),
        (429, anthropic("rate_limit_error", "This request would exceed your rate limit"), "rate"),
        (500, anthropic("api_error"), "server"),
        (504, anthropic("timeout_error"), "timeout"),
        (529, anthropic("overloaded_error", "Overloaded"), "overload"),
        (400, google("INVALID_ARGUMENT", "API key not valid.", {"reason": "API_KEY_INVALID"}), "auth"),
        (400, google("INVALID_ARGUMENT"), "invalid"),
        (400, google("FAILED_PRECONDITION", "User location is not supported for the API use."), "invalid"),
        (403, google("PERMISSION_DENIED", code=403), "auth"),
        (404, google("NOT_FOUND", code=404), "invalid"),
        (
            429,
            google("RESOURCE_EXHAUSTED", _CURRENT, violation("RequestsPerMinutePerProject"), _DELAY, code=429),
            "rate",
        ),
        (429, google("RESOURCE_EXHAUSTED", _CURRENT, violation("RequestsPerDayPerProject"), _DELAY, code=429), "quota"),
        (429, google("RESOURCE_EXHAUSTED", _CURRENT, code=429), "quota"),
        (429, google("RESOURCE_EXHAUSTED", "Resource has been exhausted.", "junk", code=429), "rate"),
        (500, google("INTERNAL", code=500), "server"),
        (503, google("UNAVAILABLE", "The model is overloaded.", code=503), "overload"),
        (504, google("DEADLINE_EXCEEDED", code=504), "timeout"),
    ],
)
def test_what_anthropic_and_google_say(status: int, body: Any, kind: str) -> None:
    assert of(status, body).kind == kind


def test_the_time_to_wait_that_google_says_in_the_body() -> None:
    body = google("RESOURCE_EXHAUSTED", _CURRENT, _DELAY, code=429)
    assert of(429, body).retry_after == 36.5
    assert of(429, body, Retry_After="7").retry_after == 7
    for odd in ("soon", "-3s", "9999999s", 5, None):
        assert of(429, google("RESOURCE_EXHAUSTED", "x", {"retryDelay": odd}, code=429)).retry_after is None


@pytest.mark.parametrize(
    "body",
    [
        anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        google("INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens allowed."),
    ],
)
def test_a_conversation_that_is_too_long_is_told_so(body: Any) -> None:
    assert "too long for this model" in of(400, body).public
