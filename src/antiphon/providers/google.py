"""Google's Gemini API."""

from antiphon.providers.http import HttpProvider
from antiphon.providers.protocols.google.codec import GoogleGenerate


class GoogleProvider(HttpProvider):
    """https://ai.google.dev"""

    default_url = "https://generativelanguage.googleapis.com/v1beta"
    codec = GoogleGenerate()
