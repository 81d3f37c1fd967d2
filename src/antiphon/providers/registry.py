"""Finds providers by name and imports each only when it is asked for."""

import asyncio
import importlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint
from types import MappingProxyType
from typing import Any

import pydantic

from antiphon.errors import ConfigError, ModuleError, ValidationError
from antiphon.providers.base import DEMO, Provider
from antiphon.providers.chain import Chain, ModelLink, fallbacks
from antiphon.providers.config import ProviderSettings, ProvidersSettings, with_environment
from antiphon.providers.counting import Counting
from antiphon.providers.limits import Limits
from antiphon.providers.reliability import Reliable
from antiphon.providers.stopping import Stopping
from antiphon.providers.taking import Taking
from antiphon.runtime.config import ServiceSettings
from antiphon.runtime.installed import entry_points
from antiphon.runtime.spelling import did_you_mean
from antiphon.telemetry.metrics import get_metrics

GROUP = "antiphon.providers"
"""Entry points of this group add providers: `name = "package.module:Factory"`, called with (name, settings)."""

_HOUSE = "antiphon.providers"
_BUILT_IN = MappingProxyType(
    {
        "openai": f"{_HOUSE}.openai:OpenAIProvider",
        "anthropic": f"{_HOUSE}.anthropic:AnthropicProvider",
        "google": f"{_HOUSE}.google:GoogleProvider",
        "openrouter": f"{_HOUSE}.openrouter:OpenRouterProvider",
        "azure": f"{_HOUSE}.azure:AzureProvider",
        "groq": f"{_HOUSE}.vendors:GroqProvider",
        "mistral": f"{_HOUSE}.vendors:MistralProvider",
        "deepseek": f"{_HOUSE}.vendors:DeepSeekProvider",
        "xai": f"{_HOUSE}.vendors:XAIProvider",
        "together": f"{_HOUSE}.vendors:TogetherProvider",
        "fireworks": f"{_HOUSE}.vendors:FireworksProvider",
        "github": f"{_HOUSE}.github:GitHubModelsClient",
        "ollama": f"{_HOUSE}.ollama:OllamaProvider",
        "pydantic-ai": f"{_HOUSE}.pydantic_ai:PydanticAIProvider",
        "llamacpp": f"{_HOUSE}.compatible:LlamaCppProvider",
        "lmstudio": f"{_HOUSE}.compatible:LMStudioProvider",
        "vllm": f"{_HOUSE}.compatible:VllmProvider",
    }
)
_COMPATIBLE = f"{_HOUSE}.compatible:CompatibleProvider"
_DEMO = f"{_HOUSE}.demo.provider:DemoProvider"


class ProviderRegistry:
    """The vendors of one workspace. Each is made once; `stop()` closes all that were made.

    Raises `ConfigError` when a section names no vendor and has no address.
    """

    def __init__(
        self,
        settings: ProvidersSettings | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        services: ServiceSettings | None = None,
        plugged: Iterable[EntryPoint] | None = None,
    ) -> None:
        self._settings = settings or ProvidersSettings()
        self._environ = environ
        self._services = services
        points = entry_points(group=GROUP) if plugged is None else plugged
        self._plugged = {point.name: point for point in points}
        self._made: dict[str, Reliable] = {}
        self._vendors: dict[str, Provider] = {}
        self._added: dict[str, Provider] = {}
        self._given_up = fallbacks(get_metrics())
        known = {DEMO, *_BUILT_IN, *self._plugged}
        for name in self._settings.names():
            section = self._settings.named(name)
            if name not in known and section is not None and section.base_url is None:
                raise ConfigError(f"providers.{name} has no base_url and is not built in.{_did_you_mean(name, known)}")

    def add(self, name: str, provider: Provider) -> None:
        """A vendor that a program or a plugin brings along; once it was asked it is stopped with the others. Raises
        `ConfigError` when the name is taken."""
        if name in self.names():
            raise ConfigError(f"There is a provider called {name} already; give this one another name.")
        self._added[name] = provider

    def remove(self, name: str) -> None:
        """Takes a vendor back that was added, before it is asked."""
        del self._added[name]

    def names(self) -> tuple[str, ...]:
        """Every name that `get` takes."""
        return tuple(dict.fromkeys([*_BUILT_IN, *self._plugged, *self._settings.names(), *self._added, DEMO]))

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def section(self, name: str) -> ProviderSettings:
        """The settings of a vendor, completed from the environment. Raises `ConfigError` when that is wrong."""
        try:
            return with_environment(name, self._settings.named(name), self._environ)
        except pydantic.ValidationError as error:
            problem = error.errors()[0]
            what = "key" if "api_key" in problem["loc"] else "address"
            why = problem["msg"].removeprefix("Value error, ")
            raise ConfigError(f"The environment has a wrong {what} for {name}: it {why}.") from None

    def get(self, name: str) -> Provider:
        """The vendor, repeating what failed before its first word. Raises `ModuleError` for an unknown name."""
        if name not in self._made:
            made = self._vendors[name] = self._make(name)
            limits = Limits(name, self.section(name), made.manner if isinstance(made, Counting) else None)
            self._made[name] = Reliable(Taking(Stopping(made)), self._services, limits=limits)
        return self._made[name]

    def vendor(self, name: str) -> Provider:
        """The vendor itself, for what is no answer of a model. Raises as `get` does."""
        self.get(name)
        return self._vendors[name]

    def transcriber(self, name: str, language: str | None = None) -> Provider:
        """The vendor as one that turns a sound into text, see `protocols.transcriptions`; whoever asks stops it. Raises
        as `get` does, and `ConfigError` for a vendor that does not do so."""
        hearing = getattr(self._make(name), "hearing", None)
        if hearing is None:
            raise ConfigError(f"{name} turns no sound into text; name a provider that speaks OpenAI's API.")
        return Reliable(hearing(language), self._services)

    def painter(self, name: str, fields: Mapping[str, Any]) -> Provider:
        """The vendor as one that makes images, see `protocols.images`; the first call of a name decides on `fields`.
        Raises as `get` does, and `ConfigError` for a vendor that does not do so."""
        made = f"{name}:images"
        if made not in self._made:
            drawing = getattr(self._make(name), "drawing", None)
            if drawing is None:
                raise ConfigError(f"{name} makes no images; name a provider that speaks OpenAI's API.")
            self._made[made] = Reliable(drawing(fields), self._services)
        return self._made[made]

    def resting(self, name: str) -> float | None:
        """The seconds for which a vendor is left alone because it keeps failing, None when it is asked."""
        return self._made[name].resting() if name in self._made else None

    def all_resting(self) -> tuple[str, ...]:
        """The names of the vendors that are left alone now."""
        return tuple(name for name in self._made if self.resting(name) is not None)

    def exhausted(self, model: str) -> float | None:
        """The seconds until the rate limits allow a model of ours, where that is too long to wait, else None."""
        name, _, rest = model.partition(":")
        return self._made[name].limits.wait(rest) if name in self._made else None

    def all_exhausted(self) -> Mapping[str, float]:
        """The models that their rate limits do not allow for a while, or their vendors where all are meant, with the
        seconds."""
        waits = ((name, model, wait) for name, made in self._made.items() for model, wait in made.limits.exhausted())
        return {f"{name}:{model}" if model else name: wait for name, model, wait in waits}

    def chain(self, models: Sequence[str]) -> Chain:
        """Who answers a turn: the first of `models` that can. Raises as `resolve` does."""
        return Chain([ModelLink(model, *self.resolve(model)) for model in models], self._given_up)

    def resolve(self, model: str) -> tuple[Provider, str]:
        """The vendor and its name for the model, from `provider:model` (or `demo`)."""
        name, _, rest = model.strip().partition(":")
        if name == DEMO:
            return self.get(DEMO), rest or DEMO
        if not name or not rest:
            raise ValidationError(f"“{model[:80]}” names no model. Write provider:model, for example openai:gpt-5.")
        return self.get(name), rest

    async def stop(self) -> None:
        """Closes all connections; streams under way end with `Error("interrupted")`."""
        made, self._made, self._vendors = list(self._made.values()), {}, {}
        await asyncio.gather(*(provider.stop() for provider in made))

    def _make(self, name: str) -> Provider:
        if name not in self.names():
            raise ModuleError(f"There is no provider “{name[:40]}”.{_did_you_mean(name, self.names())}")
        if name in self._added:
            return self._added[name]
        if name == DEMO:
            demo: Provider = _load(_DEMO, name)(rate=self._settings.demo.rate)
            return demo
        if name in self._plugged and name not in _BUILT_IN:
            factory = _loaded(self._plugged[name].load, name)
        else:
            factory = _load(_BUILT_IN.get(name, _COMPATIBLE), name)
        made: Provider = factory(name, self.section(name))
        return made


def _load(address: str, name: str) -> Any:
    module, _, attribute = address.partition(":")
    return _loaded(lambda: getattr(importlib.import_module(module), attribute), name)


def _loaded(load: Callable[[], Any], name: str) -> Any:
    try:
        return load()
    except (ImportError, AttributeError) as error:
        raise ModuleError(f"The provider {name} cannot be loaded ({error}). Install what it needs.") from error


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    other = f"Known are {', '.join(names)}; any other name needs a base_url under providers."
    return did_you_mean(name, names, other)
