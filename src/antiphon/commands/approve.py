"""`/approve`: a permission for what a tool is to do."""

from antiphon.commands.base import Command, CommandCall, CommandOutcome


async def run(call: CommandCall) -> CommandOutcome:
    return CommandOutcome(text=await call.house.decide(call, "approved"))


command = Command(name="approve", usage="/approve [code or all]", summary="allows what a tool is to do.", run=run)
