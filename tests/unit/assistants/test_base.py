"""Whoever answers: what others see of it."""

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.base import Agent
from antiphon.tools.base import tool


@tool
async def dice(sides: int = 6) -> int:
    """Rolls a die."""
    return sides


def introduce(agent: Agent) -> str:
    return f"{agent.name} ({agent.model}): {agent.description} Has {', '.join(tool.name for tool in agent.tools)}."


def test_an_assistant_is_an_agent() -> None:
    poet = Assistant("poet", description="Answers in verse.", model="openai:gpt-5-mini", tools=[dice])
    assert isinstance(poet, Agent)
    assert introduce(poet) == "poet (openai:gpt-5-mini): Answers in verse. Has dice."
    assert not isinstance(dice, Agent)
