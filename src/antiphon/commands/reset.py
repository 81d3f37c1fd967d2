"""`/reset`: the model starts afresh, the record stays."""

from antiphon.commands.base import Command, CommandCall, CommandOutcome


async def run(_: CommandCall) -> CommandOutcome:
    return CommandOutcome(
        text="The assistant starts afresh from here: it no longer reads what is above. You still can, and what it was "
        "asked to remember are kept.",
        reset_context=True,
    )


command = Command(name="reset", usage="/reset", summary="lets the assistant forget this conversation so far.", run=run)
