"""GitHub Models, retired on 2026-07-30: the name stays for whoever points it at another address."""

from types import MappingProxyType

from antiphon.providers.compatible import CompatibleProvider

SUPPORTED_MODELS = MappingProxyType(
    {
        "gpt-4o": "openai/gpt-4o",
        "gpt-4o-mini": "openai/gpt-4o-mini",
        "llama-3.3-70b-instruct": "meta/Llama-3.3-70B-Instruct",
        "phi-4": "microsoft/Phi-4",
        "mistral-large": "mistral-ai/Mistral-Large-2411",
        "deepseek-r1": "deepseek/DeepSeek-R1",
    }
)
"""Short names and the names under which the service knew its models."""


class GitHubModelsClient(CompatibleProvider):
    """The service at its last address, or the heir whose OpenAI-compatible address is set as `base_url`."""

    default_url = "https://models.github.ai/inference"
    retired = (
        "GitHub Models was shut down on 30 July 2026. Choose another model with /model, or set "
        "providers.github.base_url to its successor, for example your Microsoft Foundry address."
    )
    aliases = SUPPORTED_MODELS = SUPPORTED_MODELS
