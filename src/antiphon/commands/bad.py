"""`/bad`: a thumb down for the last answer."""

from antiphon.commands.base import Command, CommandCall, CommandOutcome, Judging, judged


async def run(call: CommandCall, judging: Judging) -> CommandOutcome:
    return await judged(call, judging, "down", "👎 Noted: that answer was bad. `/bad undo` takes it back.")


command = Command(
    name="bad", usage="/bad [why, or undo]", summary="says that the last answer was bad, and why.", run=run
)
