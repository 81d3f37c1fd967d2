"""Who is in a conversation now, as far as an assistant is told, and the tool by which it asks."""

from datetime import UTC, datetime
from typing import Protocol

from antiphon.domain import Value
from antiphon.tools.base import ToolContext, tool

NOBODY = "Nobody has this conversation open now."

_SHOWN = 50
"""People, the first to come, who are named."""
_NAME = 80
"""Characters of a name."""


class PresentPerson(Value, frozen=True):
    """Somebody who has a conversation open, on one connection or on several; `since` is when the oldest joined."""

    id: str
    name: str
    since: datetime
    connections: int


class WhoIsHere(Protocol):
    """Knows who has a conversation open, on any node of the house. Bound by the workspace."""

    def present(self, conversation_id: str) -> list[PresentPerson]:
        """The first to come first."""
        ...


@tool(timeout=10)
async def people_present(people: WhoIsHere, context: ToolContext) -> str:
    """Say who is here: the people who have this conversation open now, by name, and since when."""
    found = people.present(context.conversation_id)
    lines = [_line(each, asks=each.id == context.person_id) for each in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"- and {len(found) - _SHOWN} more")
    return "\n".join(lines) or NOBODY


def _line(person: PresentPerson, *, asks: bool) -> str:
    # One person is one line, whatever they call themselves.
    name = " ".join(person.name.split())[:_NAME] or "somebody without a name"
    where = f", on {person.connections} connections" if person.connections > 1 else ""
    who = ", who you talk with" if asks else ""
    return f"- {name}{who}: here since {person.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC{where}"
