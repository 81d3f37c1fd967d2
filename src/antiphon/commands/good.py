"""`/good`: a thumb up for the last answer."""

from antiphon.commands.base import Command, CommandCall, CommandOutcome, Judging, judged


async def run(call: CommandCall, judging: Judging) -> CommandOutcome:
    return await judged(call, judging, "up", "👍 Noted: that answer was good. `/good undo` takes it back.")


command = Command(name="good", usage="/good [why, or undo]", summary="says that the last answer was good.", run=run)
