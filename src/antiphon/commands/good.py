"""`/good`: a thumb up for the last answer."""

from antiphon.commands.base import Command, CommandCall, CommandOutcome, Judging
from antiphon.domain import Thumb
from antiphon.errors import AntiphonError

UNDO = "undo"


async def judged(call: CommandCall, judging: Judging, verdict: Thumb, thanks: str) -> CommandOutcome:
    """Judges the last answer, with what stands behind the command as the comment; `undo` takes the judgement back."""
    undo, here = call.argument.lower() == UNDO, call.conversation.id
    word, comment = (None, None) if undo else (verdict, call.argument)
    try:
        await judging.judge_latest(call.person, here, before=call.turn.ticket, verdict=word, comment=comment)
    except AntiphonError as error:
        return CommandOutcome(text=error.public, refused=True)
    return CommandOutcome(text="Nothing is noted of that answer any more." if undo else thanks)


async def run(call: CommandCall, judging: Judging) -> CommandOutcome:
    return await judged(call, judging, "up", "👍 Noted: that answer was good. `/good undo` takes it back.")


command = Command(name="good", usage="/good [why, or undo]", summary="says that the last answer was good.", run=run)
