"""Which model answers: the conversation's, else the person's, else the platform's, the assistant's, the house's.

And which ones after it, should it fail.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from antiphon.assistants.base import Agent
from antiphon.domain import Conversation, Person
from antiphon.errors import ConfigError
from antiphon.providers.base import DEMO

ChosenBy = Literal["conversation", "user", "channel", "assistant", "system", "fallback"]

NOT_SET = "not set"


class Choice(Struct, frozen=True, kw_only=True):
    """The model of a turn, as `provider:model`, and how it came about.

    `considered` is each step that was looked at with what was found, the deciding one last. `fallbacks` are asked one
    after the other when the model fails before it says anything.
    """

    model: str
    chosen_by: ChosenBy
    considered: tuple[tuple[str, str], ...]
    fallbacks: tuple[str, ...] = ()


class ModelSelector:
    """Chooses in the order conversation, user, channel, assistant, system.

    What people set goes before what an operator sets for a platform (`platform_models`, by adapter), that before
    the wish of whoever wrote the assistant, and the house's default comes last. A model that cannot be used is
    passed over and the reason noted, so that a setting gone stale costs nobody an answer; so is one whose provider is
    `resting` or whose rate limit is `exhausted` (for how many seconds), as long as there is another. `fallbacks` are
    those of assistants that name none. `providers` knows the names of the usable providers; `default` is asked each
    time, because it is found out at the start. What a person chose counts for those of whom `may_choose` is true.
    """

    def __init__(
        self,
        default: Callable[[], str],
        providers: Container[str],
        platform_models: Mapping[str, str] | None = None,
        may_choose: Callable[[Person], bool] = lambda _: True,
        *,
        fallbacks: Sequence[str] = (),
        resting: Callable[[str], float | None] = lambda _: None,
        exhausted: Callable[[str], float | None] = lambda _: None,
    ) -> None:
        self._default = default
        self._providers = providers
        self._platform_models = platform_models or {}
        self.may_choose = may_choose
        self._fallbacks = fallbacks
        self._resting = resting
        self._exhausted = exhausted

    def choose(self, conversation: Conversation, person: Person, agent: Agent) -> Choice:
        """Raises `ConfigError` when no step gives a model that can be used."""
        fallbacks = [model for model in agent.fallbacks or self._fallbacks if self._problem(model) is None]
        steps = (*self._steps(conversation, person, agent), *(("fallback", model) for model in fallbacks))
        considered: list[tuple[str, str]] = []
        resting: tuple[ChosenBy, str] | None = None
        for step, model in steps:
            problem = self._problem(model) if model else NOT_SET
            if not model or problem is not None:
                considered.append((step, f"{model}: {problem}" if model else NOT_SET))
            elif (why := self._absent(model)) is not None:
                resting = resting or (step, model)
                considered.append((step, f"{model}: {why}"))
            elif resting is None or model != DEMO:  # rules do not stand in for a model that somebody chose
                return _choice(step, model, considered, fallbacks)
        if resting is not None:
            return _choice(*resting, considered, fallbacks)
        found = "; ".join(f"{step}: {finding}" for step, finding in considered)
        raise ConfigError(
            f"No model can be used ({found}).",
            public="No model can be used here. Choose one with /model, or ask the operator to set a default model.",
        )

    def _steps(self, conversation: Conversation, person: Person, agent: Agent) -> Iterable[tuple[ChosenBy, str | None]]:
        free = self.may_choose(person)
        return (
            ("conversation", conversation.model if free else None),
            ("user", person.preferred_model if free else None),
            ("channel", self._platform_models.get(conversation.adapter)),
            ("assistant", agent.model),
            ("system", self._default()),
        )

    def _problem(self, model: str) -> str | None:
        provider, _, name = model.partition(":")
        if provider not in self._providers:
            return f"there is no provider {provider} here"
        if not name and provider != DEMO:
            return f"it names no model; write {provider}:model"
        return None

    def _absent(self, model: str) -> str | None:
        """Why a model that can be used is not to be asked now."""
        if (seconds := self._resting(_provider(model))) is not None:
            return f"it keeps failing and is left alone for {seconds:.0f} s"
        if (seconds := self._exhausted(model)) is not None:
            return f"its rate limit is used up for {seconds:.0f} s"
        return None


def _choice(step: ChosenBy, model: str, considered: Sequence[tuple[str, str]], fallbacks: Sequence[str]) -> Choice:
    # Those before the chosen one were found resting; they come last, should all others fail.
    start = fallbacks.index(model) if model in fallbacks else 0
    others = [other for other in (*fallbacks[start:], *fallbacks[:start]) if other != model]
    return Choice(
        model=model,
        chosen_by=step,
        considered=(*considered, (step, model)),
        fallbacks=tuple(dict.fromkeys(others)),
    )


def _provider(model: str) -> str:
    return model.partition(":")[0]
