"""`/help`: what can be typed."""

from antiphon.commands.base import Command, CommandCall, CommandOutcome


async def run(call: CommandCall) -> CommandOutcome:
    lines = [f"- `{command.usage}`: {command.summary}" for command in call.house.commands()]
    ask = "Anything else you write goes to the assistant."
    return CommandOutcome(text="\n".join(["**Commands**", "", *lines, "", ask]))


command = Command(name="help", usage="/help", summary="shows what you can type.", run=run)
