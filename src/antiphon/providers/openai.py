"""OpenAI."""

from antiphon.providers.http import HttpProvider
from antiphon.providers.openai_chat import Quirks


class OpenAIProvider(HttpProvider):
    """https://platform.openai.com"""

    default_url = "https://api.openai.com/v1"
    quirks = Quirks(max_tokens="max_completion_tokens")
