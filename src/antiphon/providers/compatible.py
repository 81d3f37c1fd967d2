"""Any server that speaks the OpenAI protocol: gateways, proxies, and the local servers without ways of their own."""

from antiphon.providers.http import HttpProvider


class CompatibleProvider(HttpProvider):
    """Whatever answers at the configured `base_url`."""


class LlamaCppProvider(HttpProvider):
    """https://github.com/ggml-org/llama.cpp, `llama-server`."""

    default_url = "http://127.0.0.1:8080/v1"


class LMStudioProvider(HttpProvider):
    """https://lmstudio.ai"""

    default_url = "http://127.0.0.1:1234/v1"


class VllmProvider(HttpProvider):
    """https://docs.vllm.ai"""

    default_url = "http://127.0.0.1:8000/v1"
