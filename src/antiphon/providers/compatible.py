"""Any server that speaks an OpenAI protocol: gateways, proxies, and the local servers without ways of their own."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import msgspec

from antiphon.providers.config import ProviderSettings
from antiphon.providers.http import HttpProvider
from antiphon.providers.protocols.base import Codec
from antiphon.providers.protocols.images import Images
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.protocols.openai_responses.codec import OpenAIResponses
from antiphon.providers.protocols.transcriptions import Transcriptions

Api = Literal["chat", "responses"]


class CompatibleProvider(HttpProvider):
    """Whatever answers at the configured `base_url`, over chat completions unless `api` says responses.

    A subclass is a row: `chat` and `responses` are how the vendor speaks both, `api` is what it does at its own
    address. At any other address most servers know chat completions only.
    """

    chat: ClassVar[OpenAIChat] = OpenAIChat()
    responses: ClassVar[OpenAIResponses] = OpenAIResponses()
    api: ClassVar[Api] = "chat"
    own_settings = frozenset({"api"})

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        super().__init__(name, settings)
        api = settings.api or (self.api if self.base_url == self.default_url else "chat")
        # What is sealed at one address is opened at no other, whatever its models are called.
        self.codec = msgspec.structs.replace(self.responses, vendor=name) if api == "responses" else self.chat

    def hearing(self, language: str | None) -> Self:
        """The same vendor, asked to turn sounds into text."""
        return self._asked_for("audio", Transcriptions(self.codec, language))

    def drawing(self, fields: Mapping[str, Any]) -> Self:
        """The same vendor, asked to make images; `fields` are further ones of every request."""
        return self._asked_for("images", Images(self.codec, fields))

    def _asked_for(self, what: str, codec: Codec) -> Self:
        asked = type(self)(self.name, self._settings.model_copy(update={"body": {}}))  # fields of conversations
        asked.name, asked.codec = f"{self.name}-{what}", codec
        return asked


class LlamaCppProvider(CompatibleProvider):
    """https://github.com/ggml-org/llama.cpp, `llama-server`."""

    default_url = "http://127.0.0.1:8080/v1"


class LMStudioProvider(CompatibleProvider):
    """https://lmstudio.ai"""

    default_url = "http://127.0.0.1:1234/v1"


class VllmProvider(CompatibleProvider):
    """https://docs.vllm.ai"""

    default_url = "http://127.0.0.1:8000/v1"
