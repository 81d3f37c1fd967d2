"""The Google answer as it is on the wire, typed only as far as every chunk of it is read.

https://ai.google.dev/api/generate-content: a chunk of a stream and a whole answer share one shape.
"""

from typing import Any

import msgspec
from msgspec import Struct

from antiphon.domain import Usage
from antiphon.providers.protocols.counts import count


class WireFunctionCall(Struct, gc=False):
    id: Any = None
    name: Any = None
    args: Any = None


class WirePart(Struct, gc=False, rename="camel"):
    text: Any = None
    thought: Any = None
    thought_signature: Any = None
    function_call: WireFunctionCall | None = None


class WireContent(Struct, gc=False):
    parts: list[WirePart] | None = None


class WireCandidate(Struct, gc=False, rename="camel"):
    content: WireContent | None = None
    finish_reason: Any = None
    index: Any = 0


class WireResponse(Struct, gc=False, rename="camel"):
    candidates: list[WireCandidate] | None = None
    prompt_feedback: Any = None
    usage_metadata: Any = None
    error: Any = None


RESPONSE = msgspec.json.Decoder(WireResponse)


def read_usage(bill: dict[str, Any]) -> Usage:
    """The vendor's count: thoughts are not in its count of what was said, though they cost the same."""
    thoughts = count(bill.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=count(bill.get("promptTokenCount")) + count(bill.get("toolUsePromptTokenCount")),
        output_tokens=count(bill.get("candidatesTokenCount")) + thoughts,
        cached_tokens=count(bill.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )
