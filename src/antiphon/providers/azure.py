"""Azure OpenAI and Microsoft Foundry.

https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle: models are named by their deployments. Without a
dated `api_version` the address is that of version 1, which is OpenAI's own.
"""

import re
from collections.abc import Mapping

from antiphon.providers.base import ModelRequest
from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.config import ProviderSettings
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.protocols.openai_chat.quirks import Quirks
from antiphon.providers.protocols.openai_responses.codec import OpenAIResponses

_DATED = re.compile(r"\d{4}-\d\d-\d\d")
_V1 = Quirks(max_tokens="max_completion_tokens", cache_key="prompt_cache_key", stops=False)
_OLD = Quirks(max_tokens="max_completion_tokens", stops=False)


class _AzureChat(OpenAIChat, frozen=True):
    version: str | None = None

    def path(self, request: ModelRequest, /) -> str:
        dated = self.version is not None and _DATED.match(self.version)
        return _versioned(
            f"deployments/{request.model}/chat/completions" if dated else "chat/completions", self.version
        )

    @property
    def models_path(self) -> str:
        return _versioned("models", self.version)

    def headers(self, key: str | None) -> Mapping[str, str]:
        return _headers(key)


class _AzureResponses(OpenAIResponses, frozen=True):
    version: str | None = None

    def path(self, _: ModelRequest, /) -> str:
        return _versioned("responses", self.version)

    @property
    def models_path(self) -> str:
        return _versioned("models", self.version)

    def headers(self, key: str | None) -> Mapping[str, str]:
        return _headers(key)


class AzureProvider(CompatibleProvider):
    """The resource at `base_url`, such as https://name.openai.azure.com. Raises `ConfigError` without one.

    It speaks chat completions, which every deployment knows, unless `api` says responses.
    """

    own_settings = frozenset({"api", "api_version"})

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        super().__init__(name, settings)
        version = settings.api_version
        dated = version is not None and _DATED.match(version) is not None
        root = self.base_url.removesuffix("/v1").removesuffix("/openai")
        self.base_url = f"{root}/openai" if dated else f"{root}/openai/v1"
        if settings.api == "responses":
            self.codec = _AzureResponses(vendor=name, version=version)
        else:
            self.codec = _AzureChat(_OLD if dated else _V1, version=version)


def _versioned(path: str, version: str | None) -> str:
    return path if version is None else f"{path}?api-version={version}"


def _headers(key: str | None) -> Mapping[str, str]:
    return {} if key is None else {"api-key": key}
