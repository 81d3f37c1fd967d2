"""Models that are asked beside a turn, by whoever sums up or looks for facts in it."""

from collections.abc import Sequence

from antiphon.assistants.budgets import Budgets
from antiphon.assistants.guardrails import Guarded, Guardrail
from antiphon.assistants.output import AnswerForm, Formed
from antiphon.domain import Turn
from antiphon.providers.base import ModelRequest, Provider
from antiphon.providers.registry import ProviderRegistry
from antiphon.providers.whole import whole_text


class BesideTurns:
    """Asks models at the cost of who pays for a turn, and shows them no more than `guardrails` let its model see."""

    def __init__(self, providers: ProviderRegistry, budgets: Budgets, guardrails: Sequence[Guardrail] = ()) -> None:
        self._providers = providers
        self._budgets = budgets
        # What is refused got no further than its turn; what is masked has to be masked again.
        self._masks = [guardrail for guardrail in guardrails if guardrail.action == "mask"]

    async def ask(self, turn: Turn, request: ModelRequest, form: AnswerForm | None = None) -> str:
        """What `request.model`, by its full name, answers, in `form` where there is one. Raises `ProviderError`."""
        asked: Provider = self._budgets.of_turn(self._providers.chain((request.model,)), turn)
        if form is not None:
            asked = Formed(asked, form)
        return await whole_text(Guarded(asked, self._masks) if self._masks else asked, request)
