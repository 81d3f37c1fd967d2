"""What a join callback may return, and what it means."""

from collections.abc import Mapping
from typing import Any

import msgspec

from antiphon.realtime.channel import Rejected, Reply


class JoinCrashedError(Exception):
    """The join callback raised, or returned what is no answer."""


def join_reply(result: Any, error: BaseException | None) -> Reply:
    """What a join callback's outcome means: `status` inside a dict is the status, the rest the response."""
    if isinstance(error, Rejected):
        return Reply("error", error.response)
    if error is not None:
        raise JoinCrashedError from error
    if result is None:
        return Reply()
    if isinstance(result, Reply):
        return result
    if isinstance(result, Mapping):
        response = dict(result)
        return Reply(str(response.pop("status", "ok")), response)
    if isinstance(result, msgspec.Struct):
        return Reply("ok", result)
    raise JoinCrashedError(f"a join returns a dict, a struct, a Reply or None, not {type(result).__name__}")
