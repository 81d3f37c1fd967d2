"""`/deny`: no permission for what a tool is to do."""

from antiphon.commands.base import Command, CommandCall, CommandOutcome


async def run(call: CommandCall) -> CommandOutcome:
    return CommandOutcome(text=await call.house.decide(call, "denied"))


command = Command(
    name="deny", usage="/deny [code or all] [reason]", summary="does not allow what a tool is to do.", run=run
)
