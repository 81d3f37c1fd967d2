"""How vendors that speak OpenAI chat completions differ: what must be known before the first byte is sent."""

from types import MappingProxyType
from typing import Literal

from msgspec import Struct


class Quirks(Struct, frozen=True, kw_only=True):
    """How one vendor differs from the others."""

    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    stream_options: bool = True  # otherwise usage comes unasked, and the field is refused
    reports_cost: bool = False  # `usage.cost` in US dollars, asked for in the request
    effort: Literal["reasoning_effort", "reasoning"] = "reasoning_effort"
    efforts: MappingProxyType[str, str] = MappingProxyType({})  # the vendor's words, where they are not ours
    reasoning_details: bool = False  # signed reasoning that must go back unchanged
    reasoning_back: Literal["never", "given", "always"] = "never"  # its text, as `reasoning_content`
    output: Literal["schema", "object"] = "schema"  # an object without a schema is told the rest in words
    output_with_tools: bool = True  # otherwise words alone, as soon as there are tools
    cache_key: str | None = None  # the field that leads requests with the same beginning to one place
    seed: Literal["seed", "random_seed"] = "seed"
    stops: bool = True  # otherwise some of its models refuse the field
    marks_for: tuple[str, ...] = ()  # models, by the beginnings of their names, whose cache must be asked to keep
    nine_ids: bool = False  # ids of calls have nine letters and digits
    answers_tools: bool = False  # nobody may speak between a tool and what the model says to it
