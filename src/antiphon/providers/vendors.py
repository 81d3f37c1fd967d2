"""Vendors that speak an OpenAI protocol at an address of their own, each with its deviations."""

from types import MappingProxyType

from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.counting import LimitManner
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.protocols.openai_chat.quirks import Quirks
from antiphon.providers.protocols.openai_responses.codec import OpenAIResponses


class GroqProvider(CompatibleProvider):
    """https://groq.com. Few of its models know schemas, and none JSON together with tools."""

    default_url = "https://api.groq.com/openai/v1"
    counts = LimitManner(refills=True)
    chat = OpenAIChat(Quirks(max_tokens="max_completion_tokens", output="object", output_with_tools=False))
    responses = OpenAIResponses(summaries=False)


class MistralProvider(CompatibleProvider):
    """https://mistral.ai. It refuses fields it does not know, and its models reason or do not."""

    default_url = "https://api.mistral.ai/v1"
    chat = OpenAIChat(
        Quirks(
            stream_options=False,
            efforts=MappingProxyType({"low": "none", "medium": "high"}),
            cache_key="prompt_cache_key",
            seed="random_seed",
            nine_ids=True,
            answers_tools=True,
        )
    )


class DeepSeekProvider(CompatibleProvider):
    """https://deepseek.com. It refuses a conversation with tools whose reasoning does not come back."""

    default_url = "https://api.deepseek.com/v1"
    chat = OpenAIChat(Quirks(output="object", reasoning_back="always"))
    responses = OpenAIResponses(summaries=False)


class XAIProvider(CompatibleProvider):
    """https://x.ai: over responses, because its chat completions are deprecated and lose the reasoning."""

    default_url = "https://api.x.ai/v1"
    api = "responses"
    chat = OpenAIChat(Quirks(max_tokens="max_completion_tokens", stops=False))
    responses = OpenAIResponses(summaries=False, warmth=True)


class TogetherProvider(CompatibleProvider):
    """https://together.ai"""

    default_url = "https://api.together.ai/v1"
    responses = OpenAIResponses(summaries=False)


class FireworksProvider(CompatibleProvider):
    """https://fireworks.ai. Requests of one `user` go to one machine, and find its cache."""

    default_url = "https://api.fireworks.ai/inference/v1"
    counts = LimitManner(by_model=False)
    chat = OpenAIChat(Quirks(reasoning_back="given", cache_key="user"))
    responses = OpenAIResponses(summaries=False)
