"""`/status`: how the house is doing."""

from antiphon.assistants.languages import in_words
from antiphon.commands.base import Command, CommandCall, CommandOutcome


async def run(call: CommandCall) -> CommandOutcome:
    model, chosen_by = call.house.selection(call.conversation, call.person)
    facts = {
        "Assistant": call.conversation.assistant,
        "Model": f"`{model}` (chosen by: {chosen_by})",
        **({"Language": in_words(call.person.language)} if call.person.language else {}),
        **await call.house.status(),
    }
    return CommandOutcome(text="\n".join(f"- **{label}**: {value}" for label, value in facts.items()))


command = Command(
    name="status", usage="/status", summary="shows which model answers and how the house is doing.", run=run
)
