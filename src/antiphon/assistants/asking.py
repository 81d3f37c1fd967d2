"""A model as one assistant asks it in one turn."""

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.state import TurnStates
from antiphon.assistants.strategies import Strategic
from antiphon.providers.base import Provider
from antiphon.tools.base import ToolContext


def asked_by(assistant: Assistant, provider: Provider, turn: ToolContext, states: TurnStates) -> Provider:
    """`provider` itself where the assistant does nothing but ask it: then a token passes through nothing more."""
    if assistant.strategy is not None:
        provider = Strategic(provider, assistant.strategy, turn, states)
    return provider
