"""Ollama."""

from antiphon.providers.http import HttpProvider


class OllamaProvider(HttpProvider):
    """https://ollama.com, over its OpenAI-compatible interface."""

    default_url = "http://127.0.0.1:11434/v1"
