"""A lead has one tool for each member of its team, by which it asks that assistant."""

from typing import Any

from antiphon.assistants.base import Agent
from antiphon.errors import ToolError
from antiphon.runtime.base import TurnValue
from antiphon.tools.base import Tool, tool

LIMIT_SECONDS = 300.0
"""How long a member may take for its answer."""


class Colleagues(TurnValue):
    """Who carries out what a lead asks for, in the lead's turn; see `Teamwork`."""

    async def ask(self, member: Agent, task: str) -> str:  # noqa: ARG002 - who works in a turn reads it
        """The member's answer. Raises `ToolError` saying why there is none."""
        raise ToolError(f"{member.name} can only be asked in a turn.")


def ask_tool(member: Agent) -> Tool[..., Any]:
    """The tool by which a lead asks `member`."""

    async def ask(task: str, colleagues: Colleagues) -> str:
        return await colleagues.ask(member, task)

    what = f": {member.description}" if member.description else "."
    return tool(
        name=f"ask_{member.name}"[:64],
        description=f"Ask the assistant {member.name}{what} It knows nothing of this conversation: `task` says it all.",
        timeout=LIMIT_SECONDS,
    )(ask)
