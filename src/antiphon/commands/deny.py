"""`/deny`: no permission for what a tool is to do."""

from antiphon.commands.base import Command, CommandCall, CommandOutcome
from antiphon.errors import AntiphonError


async def run(call: CommandCall) -> CommandOutcome:
    try:
        return CommandOutcome(text=await call.house.decide(call, "denied"))
    except AntiphonError as error:
        return CommandOutcome(text=error.public, refused=True)


command = Command(
    name="deny", usage="/deny [code or all] [reason]", summary="does not allow what a tool is to do.", run=run
)
