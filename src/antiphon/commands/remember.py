"""`/remember`: one fact, kept as it is written."""

from antiphon.assistants.memory.base import Recollection, told
from antiphon.commands.base import Command, CommandCall, CommandOutcome


async def run(call: CommandCall, memory: Recollection) -> CommandOutcome:
    if not call.argument:
        return CommandOutcome(text="Write what to remember behind it: `/remember I am allergic to nuts`.", refused=True)
    kept = await memory.add(call.argument, person=call.person.id, source_message_id=call.turn.message_id)
    return CommandOutcome(text="\n\n".join(told(kept)))


command = Command(
    name="remember", usage="/remember <fact>", summary="keeps a fact about you for all conversations.", run=run
)
