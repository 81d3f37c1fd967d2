"""What a fault of the demo model is called: the event it ends with in process, the body it has on the wire."""

from collections.abc import Mapping

from msgspec import Struct

from antiphon.providers.base import Error, ErrorKind
from antiphon.providers.demo.directives import Fault

RETRY_AFTER = 1.0
"""Seconds a refusal asks to wait."""


class Refusal(Struct, frozen=True, kw_only=True):
    """A status as OpenAI words it (`type`, `code`) and as the contract of providers does (`kind`)."""

    kind: ErrorKind
    public: str
    type: str
    code: str | None = None
    retryable: bool = False


_REFUSALS: Mapping[int, Refusal] = {
    401: Refusal(
        kind="auth",
        public="The demo model refused the key, as `!401` asked. With a real provider: check its API key.",
        type="invalid_request_error",
        code="invalid_api_key",
    ),
    410: Refusal(
        kind="retired",
        public="The demo model says it is retired, as `!410` asked. With a real provider: choose another one.",
        type="invalid_request_error",
        code="gone",
    ),
    429: Refusal(
        kind="rate",
        public="The demo model says too many requests, as `!429` asked. Wait a second and try again.",
        type="requests",
        code="rate_limit_exceeded",
        retryable=True,
    ),
    500: Refusal(
        kind="server",
        public="The demo model failed, as `!500` asked. Try again.",
        type="server_error",
        retryable=True,
    ),
    503: Refusal(
        kind="overload",
        public="The demo model says it is overloaded, as `!503` asked. Try again in a moment.",
        type="server_error",
        code="overloaded",
        retryable=True,
    ),
}
_BROKEN: Mapping[str, tuple[ErrorKind, str, str]] = {
    "cut": ("interrupted", "the stream was cut by directive", "The stream was cut, as `!cut` asked. Ask again."),
    "error": (
        "server",
        "an error came inside the stream by directive",
        "The demo model failed midway, as `!error` asked.",
    ),
    "garbage": ("protocol", "garbage by directive", "The demo model sent garbage, as `!garbage` asked. Ask again."),
    "hang": ("interrupted", "stopped while hanging by directive", "The demo model kept silent, as `!hang` asked."),
}


def refusal(status: int) -> Refusal:
    """The refusal behind a status that a directive can name."""
    return _REFUSALS[status]


def error_of(fault: Fault) -> Error:
    """The event that ends a stream with this fault."""
    if fault.kind == "status":
        found = _REFUSALS[fault.status]
        after = RETRY_AFTER if fault.status in {429, 503} else None
        return Error(found.kind, f"{fault.status} by directive", found.public, found.retryable, after)
    kind, message, public = _BROKEN[fault.kind]
    return Error(kind, message, public, retryable=fault.kind == "error")
