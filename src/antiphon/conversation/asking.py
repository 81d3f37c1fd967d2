"""People on platforms are asked in words: what is to be done, and what to type."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.commands.base import CommandCall
from antiphon.conversation.outbox import Outbox
from antiphon.domain import Approval, Message, Turn, new_id, now
from antiphon.errors import AntiphonError, ValidationError
from antiphon.telemetry.logs import get_logger

ATTEMPTS, FIRST_PAUSE = 6, 1.0
"""About half a minute. Whoever is not reached writes again some time, and is told then what was not done."""

SHOWN = 1_000
"""Characters of the arguments that are shown, shared among them."""

LISTED = 20
"""Of the calls that a command may mean."""

log = get_logger(__name__)


class Asking:
    """Sends a question to the platform that a turn came from; not where people see open questions anyhow."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def ask(self, turn: Turn, approvals: Sequence[Approval]) -> None:
        """Tries for a while. Never raises `AntiphonError`: the question stays open in any case."""
        if not self._outbox.keeps(turn.target):
            return
        message = Message(
            id=new_id(),
            conversation_id=turn.conversation_id,
            position=0,
            ticket=turn.ticket,
            role="system",
            text=question(approvals),
            turn_id=turn.id,
            status="waiting",
            created_at=now(),
        )
        for attempt in range(ATTEMPTS):
            try:
                await self._outbox.tell(turn.target, message)
            except AntiphonError as error:
                log.warning("approval.not_asked", turn_id=turn.id, adapter=turn.target.adapter, error=str(error))
                await asyncio.sleep(FIRST_PAUSE * 2**attempt)
            else:
                return


def question(approvals: Sequence[Approval]) -> str:
    """What is to be allowed, in words."""
    lines = [f"- `{each.name}` {_shown(each.arguments)} (`{each.code}`)" for each in approvals]
    if len(approvals) == 1:
        what = "I need your permission for this:"
        how = "Answer with `/approve`, or with `/deny` and, if you like, the reason."
    else:
        what = "I need your permission for these:"
        how = "Answer with `/approve all`, or each with its code: `/approve CODE`, `/deny CODE` and, if you like, why."
    return "\n".join([what, "", *lines, "", how])


def wanted_of(call: CommandCall, asked: Sequence[Approval]) -> tuple[Sequence[Approval], str]:
    """Which of those that wait a command means, and what it says about them besides.

    Without a code it is the only one that was asked before it was written: of this conversation where there is one,
    else of all that are this person's. Raises `ValidationError` saying what could be meant."""
    first, _, rest = call.argument.partition(" ")
    named = [each for each in asked if first.upper() == each.code]
    if len(named) == 1:
        return named, rest.strip()
    known = [each for each in asked if each.asked_at < call.turn.created_at]
    here = [each for each in known if each.conversation_id == call.conversation.id]
    open_ones = here or [each for each in known if each.person_id == call.person.id]
    if not open_ones:
        raise ValidationError("Nothing waits for your permission: it was answered, or its time is up.")
    if first.lower() == "all":
        return open_ones, rest.strip()
    if len(open_ones) > 1:
        listed = "; ".join(f"`{each.name}` ({each.code})" for each in open_ones[:LISTED])
        listed += f"; and {len(open_ones) - LISTED} more" if len(open_ones) > LISTED else ""
        raise ValidationError(f"Several calls wait for your permission: {listed}. Add the code of one, or `all`.")
    return open_ones, call.argument


def _shown(arguments: str) -> str:
    """As the tool reads them: of a name that is there twice the last value counts. Each value is cut by itself, so that
    a long one hides no other, and characters that nobody sees are spelled out."""
    try:
        values = msgspec.json.decode(arguments, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return _cut(arguments, SHOWN)
    each = SHOWN // max(1, len(values))
    return f"{{{', '.join(f'{_written(name, each)}: {_written(value, each)}' for name, value in values.items())}}}"


def _written(value: Any, most: int) -> str:
    return _cut(json.dumps(value, ensure_ascii=False), most)


def _cut(text: str, most: int) -> str:
    line = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text[:most])
    return line if len(text) <= most else f"{line}… ({len(text):,} characters)"
