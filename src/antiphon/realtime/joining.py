"""What happens until a join is answered: what is broadcast meanwhile, and what the callback's outcome means."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from antiphon.realtime.channel import Rejected, Reply
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.wire.base import UNSENDABLE


class Held:
    """Broadcasts kept for a member whose join is not answered yet."""

    __slots__ = ("_size", "batches")

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self._size = 0

    def keep(self, batch: Batch) -> int:
        """Returns how many bytes are kept."""
        self.batches.append(batch)
        self._size += batch.size
        return self._size


def join_answer(
    encode: Callable[[str, Any], bytes],
    shown: Callable[[BaseException], str | None],
    result: Any,
    error: BaseException | None,
) -> tuple[Reply, bytes, BaseException | None]:
    """The reply to a join, encoded by `encode(status, response)`, and the exception when the join has crashed, of which
    the client is told what `shown` gives."""
    try:
        reply = _join_reply(result, error)
        return reply, encode(reply.status, reply.response), None
    except (*UNSENDABLE, _JoinCrashedError) as failure:
        crash, detail = error or failure, shown(error or failure)
        reply = Reply("error", {"reason": "join crashed"} | ({} if detail is None else {"error": detail}))
        return reply, encode(reply.status, reply.response), crash


class _JoinCrashedError(Exception):
    """The join callback raised, or returned what is no answer."""


def _join_reply(result: Any, error: BaseException | None) -> Reply:
    """What a join callback's outcome means: `status` inside a dict is the status, the rest the response."""
    if isinstance(error, Rejected):
        return Reply("error", error.response)
    if error is not None:
        raise _JoinCrashedError from error
    if result is None:
        return Reply()
    if isinstance(result, Reply):
        return result
    if isinstance(result, Mapping):
        response = dict(result)
        return Reply(str(response.pop("status", "ok")), response)
    if isinstance(result, msgspec.Struct):
        return Reply("ok", result)
    raise _JoinCrashedError(f"a join returns a dict, a struct, a Reply or None, not {type(result).__name__}")
