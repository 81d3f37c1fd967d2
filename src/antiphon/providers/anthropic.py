"""Anthropic."""

from antiphon.providers.config import ProviderSettings
from antiphon.providers.counting import LimitManner
from antiphon.providers.http import HttpProvider
from antiphon.providers.protocols.anthropic.codec import AnthropicMessages


class AnthropicProvider(HttpProvider):
    """https://platform.claude.com, or another vendor's address of the same protocol, with or without its `/v1`."""

    default_url = "https://api.anthropic.com"
    codec = AnthropicMessages()
    counts = LimitManner(refills=True)

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        super().__init__(name, settings)
        self.base_url = self.base_url.removesuffix("/v1")
