"""Ollama."""

from antiphon.providers.config import ProviderSettings
from antiphon.providers.http import HttpProvider
from antiphon.providers.protocols.ollama.codec import Ollama


class OllamaProvider(HttpProvider):
    """https://ollama.com, in its own protocol. The address may end as that of its OpenAI-compatible interface does."""

    default_url = "http://127.0.0.1:11434"
    codec = Ollama()

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        super().__init__(name, settings)
        self.base_url = self.base_url.removesuffix("/v1").removesuffix("/api")
