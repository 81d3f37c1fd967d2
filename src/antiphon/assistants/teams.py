"""A lead has one tool for each member of its team, by which it asks that assistant, and one to hand over."""

from collections.abc import Sequence
from typing import Any, Protocol

from antiphon.assistants.base import Agent
from antiphon.errors import AntiphonError, ToolError
from antiphon.runtime.base import TurnValue
from antiphon.runtime.spelling import did_you_mean
from antiphon.tools.base import Tool, ToolContext, tool

LIMIT_SECONDS = 300.0
"""How long a member may take for its answer."""


class Colleagues(TurnValue):
    """Who carries out what a lead asks for, in the lead's turn; see `Teamwork`."""

    async def ask(self, member: Agent, task: str) -> str:  # noqa: ARG002 - who works in a turn reads it
        """The member's answer. Raises `ToolError` saying why there is none."""
        raise ToolError(f"{member.name} can only be asked in a turn.")


class Handover(Protocol):
    """Lets another assistant answer in a conversation. Bound by the workspace."""

    async def hand_over(self, conversation_id: str, to: str) -> None:
        """From the next turn on. Raises `ConfigError` for an assistant that does not exist, `NotFoundError` for a
        conversation that is not kept."""
        ...


def hand_over_tool(names: Sequence[str]) -> Tool[..., Any]:
    """The tool by which an assistant gives its conversation to one of these."""

    async def hand_over(to: str, handover: Handover, context: ToolContext) -> str:
        if to not in names:
            raise ToolError(f"{to!r} cannot take over.{did_you_mean(to, names, f'There is: {known}.')}")
        try:
            await handover.hand_over(context.conversation_id, to)
        except AntiphonError as error:
            raise ToolError(error.public) from error
        return f"From their next message on {to} answers, and knows what was said. Tell them so."

    known = ", ".join(names)
    return tool(
        description=f"Let another assistant answer from the person's next message on. `to` is one of: {known}.",
        timeout=10,
    )(hand_over)


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
