"""A model as one assistant asks it in one turn."""

from collections.abc import Sequence

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.guardrails import Guarded, Guardrail
from antiphon.assistants.output import Formed
from antiphon.assistants.state import TurnStates
from antiphon.assistants.strategies import Strategic
from antiphon.providers.base import Provider
from antiphon.tools.base import ToolContext


def asked_by(
    assistant: Assistant,
    provider: Provider,
    turn: ToolContext,
    states: TurnStates,
    guardrails: Sequence[Guardrail] = (),
) -> Provider:
    """`provider` itself where the assistant does nothing but ask it: then a token passes through nothing more.

    `guardrails` are the house's, which stand before the assistant's own.
    """
    if assistant.output is not None:
        provider = Formed(provider, assistant.output)
    if assistant.strategy is not None:
        provider = Strategic(provider, assistant.strategy, turn, states)
    if guardrails or assistant.guardrails:
        provider = Guarded(provider, (*guardrails, *assistant.guardrails))
    return provider
