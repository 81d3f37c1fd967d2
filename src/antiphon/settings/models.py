"""Which models this house has, and which of them answers, as the settings want it."""

from collections.abc import Callable, Mapping

from antiphon.assistants.selector import ModelSelector
from antiphon.assistants.windows import Windows
from antiphon.providers.base import DEMO
from antiphon.providers.catalogue import Catalogue
from antiphon.providers.detect import Detected, detect
from antiphon.providers.registry import ProviderRegistry
from antiphon.settings.config import Config


class Models:
    """The providers of a house, and how it chooses among their models. `config` is asked for what may change."""

    def __init__(self, config: Callable[[], Config]) -> None:
        first = config()
        self._config = config
        self._detected = Detected(DEMO, "The workspace has not been started.")
        self.providers = ProviderRegistry(first.providers, environ=first.environ, services=first.services)
        self.catalogue = Catalogue(self.providers, lambda: self.default)
        self.windows = Windows(first.assistants, self.catalogue.window)
        self.selector = ModelSelector(
            lambda: self.default,
            self.providers,
            first.assistants.platform_models,
            lambda person: config().features.enabled("choose_model", person.id),
            fallbacks=first.assistants.fallback_models,
            resting=self.providers.resting,
            exhausted=self.providers.exhausted,
        )

    @property
    def default(self) -> str:
        """The model that answers unless a conversation, a person or an assistant has one of its own."""
        return self._detected.model

    @property
    def reason(self) -> str:
        """Why that one, in one sentence."""
        return self._detected.how

    async def start(self) -> None:
        """Finds out the default one, as the settings are now. Raises `ConfigError` for one that cannot be asked."""
        config = self._config()
        self._detected = await detect(self.providers, config.default_model, probe=config.detect_local_models)

    async def stop(self) -> None:
        """Closes every connection to a vendor."""
        await self.providers.stop()

    def facts(self) -> Mapping[str, str]:
        """For `/status`: the default model, who is left alone, and whose rate limit is used up."""
        resting = ", ".join(self.providers.all_resting())
        exhausted = self.providers.all_exhausted().items()
        used_up = ", ".join(f"{model} for {seconds:.0f} s" for model, seconds in exhausted)
        return {
            "Default model": f"`{self.default}`. {self.reason}",
            **({"Left alone because they keep failing": resting} if resting else {}),
            **({"Rate limit used up": used_up} if used_up else {}),
        }

    def check(self) -> None:
        """Raises `ConfigError` for a model in the settings that nobody here can ask."""
        wishes = self._config().assistants
        for model in (self.default, *wishes.platform_models.values(), *wishes.fallback_models):
            self.providers.resolve(model)

    def check_default(self, config: Config) -> None:
        """Raises `ConfigError` for settings whose default model nobody here can ask."""
        if config.default_model is not None:
            self.providers.resolve(config.default_model)
