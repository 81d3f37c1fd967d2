"""OpenRouter."""

from antiphon.providers.http import HttpProvider
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.protocols.openai_chat.quirks import Quirks


class OpenRouterProvider(HttpProvider):
    """https://openrouter.ai: many vendors behind one key. It reports what each answer cost."""

    default_url = "https://openrouter.ai/api/v1"
    codec = OpenAIChat(Quirks(reports_cost=True, reasoning_details=True))
