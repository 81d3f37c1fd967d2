"""`/assistant`: who answers, and somebody else from now on."""

from antiphon.assistants.directory import Directory
from antiphon.commands.base import Command, CommandCall, CommandOutcome

SHOWN = 30


async def run(call: CommandCall, assistants: Directory) -> CommandOutcome:
    current = assistants.serving(call.conversation.assistant).name
    if not call.argument:
        return CommandOutcome(text=_list(assistants, current))
    wanted = assistants.get(call.argument.removeprefix("@"))
    if wanted.name == current:
        return CommandOutcome(text=f"`{current}` answers here already.")
    return CommandOutcome(
        text=f"`{wanted.name}` answers here from now on, and knows what was said.", assistant=wanted.name
    )


def _list(assistants: Directory, current: str) -> str:
    others = [each for each in assistants.all() if each.name != current]
    lines = [f"`{current}` answers here."]
    if others:
        told = (f"- `{each.name}`" + (f": {each.description}" if each.description else "") for each in others[:SHOWN])
        lines += ["", "Others who could:", "", *told]
        lines += ["", "`/assistant <name>` hands this conversation over: what was said goes along."]
    return "\n".join(lines)


command = Command(
    name="assistant",
    usage="/assistant [name]",
    summary="shows who answers, or hands the conversation over to another assistant.",
    run=run,
)
