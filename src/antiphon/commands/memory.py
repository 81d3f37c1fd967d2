"""`/memory`: what is remembered of who asks; to be looked through, put right and deleted."""

from collections.abc import Sequence

from antiphon.assistants.memory.base import Recollection
from antiphon.commands.base import Command, CommandCall, CommandOutcome
from antiphon.storage.facts import Fact

SHOWN = 30
HANDLE = 6
"""The last characters of a fact's id, by which people name it."""

_MOST = 50_000
_HELP = (
    "`/memory search <words>` finds some, `/memory edit <name> <text>` changes one, `/memory delete <name>` deletes "
    "it, `/memory clear` deletes all."
)


async def run(call: CommandCall, memory: Recollection) -> CommandOutcome:
    verb, _, rest = call.argument.partition(" ")
    rest = rest.strip()
    match verb.lower():
        case "" | "list":
            return await _list(call.person.id, memory)
        case "search" if rest:
            found = await memory.search(rest, person=call.person.id, limit=SHOWN)
            return CommandOutcome(text="\n".join(_lines(found)) if found else "Nothing of that kind is remembered.")
        case "edit" | "delete" if rest:
            return await _change(verb.lower(), rest, call.person.id, memory)
        case "clear":
            return await _clear(rest, call.person.id, memory)
    return CommandOutcome(text=_HELP, refused=True)


async def _list(person: str, memory: Recollection) -> CommandOutcome:
    facts = await memory.list(person=person, limit=SHOWN + 1)
    if not facts:
        return CommandOutcome(text="Nothing is remembered of you. `/remember <fact>` keeps something.")
    lines = _lines(facts[:SHOWN])
    if len(facts) > SHOWN:
        lines.append(f"- and older ones; these are the newest {SHOWN}")
    return CommandOutcome(text="\n".join([*lines, "", _HELP]))


async def _change(verb: str, rest: str, person: str, memory: Recollection) -> CommandOutcome:
    name, _, text = rest.partition(" ")
    named = [fact for fact in await memory.list(person=person, limit=_MOST) if _name(fact) == name.strip("`").lower()]
    if len(named) != 1:
        return CommandOutcome(text="There is no such fact. `/memory` shows their names.", refused=True)
    if verb == "delete":
        await memory.delete(named[0].id, person=person)
        return CommandOutcome(text=f"Forgotten: {named[0].text}")
    edited = await memory.edit(named[0].id, text=text, person=person)
    return CommandOutcome(text=f"Remembered: {edited.text}" if edited else "It was deleted in this moment.")


async def _clear(rest: str, person: str, memory: Recollection) -> CommandOutcome:
    if rest.lower() != "yes":
        return CommandOutcome(
            text="That deletes all that is remembered of you. There is no way back. `/memory clear yes` does it.",
            refused=True,
        )
    return CommandOutcome(text=f"Forgotten: {await memory.clear(person=person)} facts.")


def _lines(facts: Sequence[Fact]) -> list[str]:
    found = {True: ", found in what you said", False: ""}
    return [f"- `{_name(fact)}` {fact.text} ({fact.created_at:%Y-%m-%d}{found[fact.extracted]})" for fact in facts]


def _name(fact: Fact) -> str:
    return fact.id[-HANDLE:].lower()


command = Command(
    name="memory",
    usage="/memory [search, edit, delete, clear]",
    summary="shows what is remembered of you, and changes or deletes it.",
    run=run,
)
