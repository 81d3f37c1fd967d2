"""`/language`: in which language a person is answered."""

from antiphon.assistants.languages import in_words, tag_of
from antiphon.commands.base import Command, CommandCall, CommandOutcome

CLEAR = {"auto", "default", "reset"}


async def run(call: CommandCall) -> CommandOutcome:
    wish, current = call.argument.strip(), call.person.language
    if not wish:
        now = f"You are answered in {in_words(current)}." if current else "You are answered in the language you write."
        return CommandOutcome(text=f"{now} `/language de` changes it everywhere, `/language auto` undoes it.")
    if wish.lower() in CLEAR:
        return CommandOutcome(text="You are answered in the language you write from now on.", language="")
    tag = tag_of(wish)
    if tag is None:
        return CommandOutcome(
            text=f"“{wish[:40]}” is no language. Write its tag or its English name: `/language pt-BR`, "
            "`/language German`.",
            refused=True,
        )
    return CommandOutcome(text=f"You are answered in {in_words(tag)} from now on, in all conversations.", language=tag)


command = Command(
    name="language",
    usage="/language [tag or auto]",
    summary="shows in which language you are answered, or changes it.",
    run=run,
)
