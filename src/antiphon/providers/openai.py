"""OpenAI."""

from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.counting import LimitManner
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.protocols.openai_chat.quirks import Quirks


class OpenAIProvider(CompatibleProvider):
    """https://platform.openai.com: over responses, where a model keeps its reasoning from one tool to the next."""

    default_url = "https://api.openai.com/v1"
    api = "responses"
    counts = LimitManner(refills=True)
    chat = OpenAIChat(Quirks(max_tokens="max_completion_tokens", cache_key="prompt_cache_key", stops=False))
