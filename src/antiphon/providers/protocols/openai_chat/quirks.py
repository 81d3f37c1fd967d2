"""How vendors that speak OpenAI chat completions differ: what must be known before the first byte is sent."""

from typing import Literal

from msgspec import Struct


class Quirks(Struct, frozen=True, kw_only=True):
    """How one vendor differs from the others."""

    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    reports_cost: bool = False  # `usage.cost` in US dollars, asked for in the request
    reasoning_details: bool = False  # signed reasoning that must go back unchanged
