"""OpenAI."""

from antiphon.providers.http import HttpProvider
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.protocols.openai_chat.quirks import Quirks


class OpenAIProvider(HttpProvider):
    """https://platform.openai.com"""

    default_url = "https://api.openai.com/v1"
    codec = OpenAIChat(Quirks(max_tokens="max_completion_tokens"))
