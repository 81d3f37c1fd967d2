"""What a fault of the demo model is called: the event it ends with in process, the refusal it is on the wire."""

from collections.abc import Mapping

from msgspec import Struct

from antiphon.providers.base import Error, ErrorKind, Excess
from antiphon.providers.demo.directives import Fault

RETRY_AFTER = 1.0
"""Seconds a refusal asks to wait."""


class Refusal(Struct, frozen=True, kw_only=True):
    """A refusal as OpenAI gives it (`status`, `type`, `code`) and as the contract of providers names it (`kind`)."""

    status: int
    kind: ErrorKind
    public: str
    type: str
    code: str | None = None
    retryable: bool = False
    excess: Excess | None = None

    @property
    def retry_after(self) -> float | None:
        return RETRY_AFTER if self.kind in {"rate", "overload"} else None


UNAUTHORIZED = Refusal(
    status=401,
    kind="auth",
    public="Incorrect API key provided.",
    type="invalid_request_error",
    code="invalid_api_key",
)

_REFUSALS: Mapping[str, Refusal] = {
    "401": Refusal(
        status=401,
        kind="auth",
        public="The demo model refused the key, as `!401` asked. With a real provider: check its API key.",
        type="invalid_request_error",
        code="invalid_api_key",
    ),
    "410": Refusal(
        status=410,
        kind="retired",
        public="The demo model says it is retired, as `!410` asked. With a real provider: choose another one.",
        type="invalid_request_error",
        code="gone",
    ),
    "429": Refusal(
        status=429,
        kind="rate",
        public="The demo model says too many requests, as `!429` asked. Wait a second and try again.",
        type="requests",
        code="rate_limit_exceeded",
        retryable=True,
    ),
    "quota": Refusal(
        status=429,
        kind="quota",
        public="The demo model says its quota is used up, as `!quota` asked. With a real provider: add credit there.",
        type="insufficient_quota",
        code="insufficient_quota",
    ),
    "overload": Refusal(
        status=429,
        kind="overload",
        public="The demo model says it is overloaded, as `!overload` asked. Try again in a moment.",
        type="engine_overloaded",
        code="engine_overloaded",
        retryable=True,
    ),
    "500": Refusal(
        status=500,
        kind="server",
        public="The demo model failed, as `!500` asked. Try again.",
        type="server_error",
        retryable=True,
    ),
    "blind": Refusal(
        status=400,
        kind="invalid",
        public="The demo model takes no files, as `!blind` asked. Ask again without.",
        type="invalid_request_error",
        code="invalid_image",
    ),
    "503": Refusal(
        status=503,
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


def refusal(name: str) -> Refusal:
    """The refusal behind the directive of that name."""
    return _REFUSALS[name]


def invalid(what: str, status: int = 400, code: str | None = None) -> Refusal:
    """The refusal of a request that is wrong; `what` says why."""
    return Refusal(status=status, kind="invalid", public=what, type="invalid_request_error", code=code)


def overlong(asked: int, most: int) -> Refusal:
    """The refusal of a prompt of `asked` tokens where there is room for `most`."""
    return Refusal(
        status=400,
        kind="too_long",
        public=f"This model's maximum context length is {most} tokens. However, your messages resulted in {asked} "
        "tokens. Please reduce the length of the messages.",
        type="invalid_request_error",
        code="context_length_exceeded",
        excess=Excess(most=most, asked=asked),
    )


def error_of(fault: Fault) -> Error:
    """The event that ends a stream with this fault."""
    if fault.kind == "refusal":
        found = _REFUSALS[fault.refusal]
        message = f"{fault.refusal} by directive"
        return Error(found.kind, message, found.public, found.retryable, found.retry_after)
    kind, message, public = _BROKEN[fault.kind]
    return Error(kind, message, public, retryable=fault.kind == "error")
