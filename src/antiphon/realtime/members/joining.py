"""What happens until a join is answered: what is broadcast meanwhile, and what the callback's outcome means."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.realtime.channel import Rejected, Reply
from antiphon.realtime.recovery.base import Missed, Recovery
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.wire.base import UNSENDABLE

if TYPE_CHECKING:
    from antiphon.realtime.members.member import Member

Receive = Callable[[Batch], None]


class Held:
    """Broadcasts kept for a member whose join is not answered yet."""

    __slots__ = ("_batches", "_size", "missed")

    def __init__(self) -> None:
        self.missed: Missed | None = None
        """What the member missed while it was away, which comes before what is kept."""
        self._batches: list[Batch] = []
        self._size = 0

    def keep(self, batch: Batch) -> int:
        """Returns how many bytes are kept."""
        self._batches.append(batch)
        self._size += batch.size
        return self._size

    def release(self, receive: Receive) -> Receive:
        """Hands over all of it, and returns what is to receive what comes from now on."""
        if self.missed is None:
            for batch in self._batches:
                receive(batch)
            return receive
        seen = self.missed.position
        if self.missed.messages:
            receive(Batch(list(self.missed.messages)))

        def receive_new(batch: Batch) -> None:
            # What the log had already may still come by the usual way, from another node.
            new = [message for message in batch.messages if not seen.covers(message.place)]
            if len(new) == len(batch):
                receive(batch)
            elif new:
                receive(Batch(new, batch.policy))

        for batch in self._batches:
            receive_new(batch)
        return receive_new


async def caught_up(member: "Member", keep: Recovery | None, payload: Any, result: Any) -> Any:
    """The outcome of a join callback with what the member missed, where its topic is kept and the client asks for it.

    The `cursor` of the answer is where the missed messages begin, each of which carries its own: a client that loses
    its connection in between asks again for the rest.
    """
    if keep is None or not isinstance(payload, dict) or "since" not in payload:
        return result
    reply = Reply() if result is None else Reply("ok", result) if isinstance(result, dict) else result
    if not isinstance(reply, Reply) or not isinstance(reply.response, dict):
        return result
    if reply.status != "ok" or reply.response.get("status", "ok") != "ok":
        return result
    response = {name: value for name, value in reply.response.items() if name != "status"}
    held = member.listen()
    missed = await member.socket.app.recorder.since(member.topic, payload["since"], keep)
    if missed is None or held is None:
        return Reply("ok", {**response, "recovered": False})
    if missed.complete:
        # Otherwise what was kept since the channel began to listen is all that the member will see of it.
        held.missed = missed
    cursor = payload["since"] if missed.complete else str(missed.position)
    return Reply("ok", {**response, "recovered": missed.complete, "cursor": cursor})


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
