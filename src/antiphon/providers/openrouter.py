"""OpenRouter."""

from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.counting import LimitManner
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.protocols.openai_chat.quirks import Quirks


class OpenRouterProvider(CompatibleProvider):
    """https://openrouter.ai: many vendors behind one key. It reports what each answer cost."""

    default_url = "https://openrouter.ai/api/v1"
    counts = LimitManner(by_model=False)
    chat = OpenAIChat(
        Quirks(
            reports_cost=True,
            effort="reasoning",
            reasoning_details=True,
            cache_key="prompt_cache_key",
            marks_for=("anthropic/", "google/"),
        )
    )
