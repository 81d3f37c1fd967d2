"""Errors as OpenAI words them: `{"error": {message, type, param, code}}` under the status that its clients act upon.

https://platform.openai.com/docs/guides/error-codes: a client tries 408, 409, 429 and 5xx again by itself, so what the
same request would meet again is 4xx.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from antiphon.providers.base import ErrorKind
from antiphon.providers.protocols.openai_chat.serving import error_body

INVALID = "invalid_request_error"

_BY_KIND: Mapping[str, tuple[int, str, str]] = {
    "rate": (429, "rate_limit_error", "rate_limit_exceeded"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "budget": (429, "insufficient_quota", "insufficient_quota"),
    "resting": (503, "server_error", "overloaded"),
    "overload": (503, "server_error", "overloaded"),
    "timeout": (504, "server_error", "timeout"),
    "invalid": (400, INVALID, "invalid_request"),
    "too_long": (400, INVALID, "context_length_exceeded"),
    "filtered": (400, INVALID, "content_filter"),
    "stopped": (503, "server_error", "stopped"),
}
"""By the name of how a run ended; what the vendor does wrong otherwise is a bad gateway."""


class ApiError(Struct, frozen=True):
    """One error as it is answered."""

    status: int
    message: str
    type: str = INVALID
    code: str | None = None
    param: str | None = None

    def body(self) -> bytes:
        return msgspec.json.encode({"error": error_body(self.message, self.type, self.code, self.param)})

    def chunk(self) -> bytes:
        """The error in the middle of a stream: clients raise it, whatever the status was."""
        return b"data: " + self.body() + b"\n\n"


class RefusedError(Exception):
    """A request that is answered with `error`."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


def invalid(message: str, param: str | None = None, code: str | None = None) -> RefusedError:
    """What is wrong with a request, and in which field."""
    return RefusedError(ApiError(400, message, param=param, code=code))


def of_run(kind: ErrorKind | str | None, reason: str | None) -> ApiError:
    """Why an answer could not be given, or broke off."""
    status, type_, code = _BY_KIND.get(kind or "", (502, "server_error", kind or "interrupted"))
    return ApiError(status, reason or "The model could not answer. Ask again.", type_, code)
