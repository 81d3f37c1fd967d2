"""Which model answers: the conversation's, else the person's, else the platform's, the assistant's, the house's."""

from collections.abc import Callable, Container, Mapping
from typing import Literal

from msgspec import Struct

from antiphon.assistants.base import Agent
from antiphon.domain import Conversation, Person
from antiphon.errors import ConfigError
from antiphon.providers.base import DEMO

ChosenBy = Literal["conversation", "user", "channel", "assistant", "system"]

NOT_SET = "not set"


class Choice(Struct, frozen=True, kw_only=True):
    """The model of a turn, as `provider:model`, and how it came about.

    `considered` is each step that was looked at with what was found, the deciding one last.
    """

    model: str
    chosen_by: ChosenBy
    considered: tuple[tuple[str, str], ...]


class ModelSelector:
    """Chooses in the order conversation, user, channel, assistant, system.

    What people set goes before what an operator sets for a platform (`platform_models`, by adapter), that before
    the wish of whoever wrote the assistant, and the house's default comes last. A model that cannot be used is
    passed over and the reason noted, so that a setting gone stale costs nobody an answer. `providers` knows the
    names of the usable providers; `default` is asked each time, because it is found out at the start. What a person
    chose counts for those of whom `may_choose` is true.
    """

    def __init__(
        self,
        default: Callable[[], str],
        providers: Container[str],
        platform_models: Mapping[str, str] | None = None,
        may_choose: Callable[[Person], bool] = lambda _: True,
    ) -> None:
        self._default = default
        self._providers = providers
        self._platform_models = platform_models or {}
        self.may_choose = may_choose

    def choose(self, conversation: Conversation, person: Person, agent: Agent) -> Choice:
        """Raises `ConfigError` when no step gives a model that can be used."""
        free = self.may_choose(person)
        steps: tuple[tuple[ChosenBy, str | None], ...] = (
            ("conversation", conversation.model if free else None),
            ("user", person.preferred_model if free else None),
            ("channel", self._platform_models.get(conversation.adapter)),
            ("assistant", agent.model),
            ("system", self._default()),
        )
        considered: list[tuple[str, str]] = []
        for step, model in steps:
            problem = self._problem(model) if model else NOT_SET
            if model and problem is None:
                return Choice(model=model, chosen_by=step, considered=(*considered, (step, model)))
            considered.append((step, f"{model}: {problem}" if model else NOT_SET))
        found = "; ".join(f"{step}: {finding}" for step, finding in considered)
        raise ConfigError(
            f"No model can be used ({found}).",
            public="No model can be used here. Choose one with /model, or ask the operator to set a default model.",
        )

    def _problem(self, model: str) -> str | None:
        provider, _, name = model.partition(":")
        if provider not in self._providers:
            return f"there is no provider {provider} here"
        if not name and provider != DEMO:
            return f"it names no model; write {provider}:model"
        return None
