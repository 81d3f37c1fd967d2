"""The Anthropic answer as it is on the wire, typed only as far as every stream of it is read.

https://platform.claude.com/docs/en/build-with-claude/streaming: named events around content blocks. A whole answer is
one message, which holds the same blocks.
"""

from typing import Any

import msgspec
from msgspec import Struct

from antiphon.domain import Usage
from antiphon.providers.protocols.counts import count, details


class WireDelta(Struct, gc=False):
    """What is new in a block, or (with `stop_reason`) in the message."""

    type: Any = None
    text: Any = None
    thinking: Any = None
    signature: Any = None
    partial_json: Any = None
    stop_reason: Any = None


class WireEvent(Struct, gc=False):
    """An event of a stream, or (with `content`) a whole message."""

    type: Any = None
    index: int | None = None
    delta: WireDelta | None = None
    content_block: Any = None
    message: Any = None
    usage: Any = None
    error: Any = None
    content: Any = None
    stop_reason: Any = None


EVENT = msgspec.json.Decoder(WireEvent)


def read_usage(bill: dict[str, Any]) -> Usage:
    """The vendor's count: what it read from its cache and wrote into it is not in its `input_tokens`."""
    cached = count(bill.get("cache_read_input_tokens"))
    return Usage(
        input_tokens=count(bill.get("input_tokens")) + cached + count(bill.get("cache_creation_input_tokens")),
        output_tokens=count(bill.get("output_tokens")),
        cached_tokens=cached,
        reasoning_tokens=count(details(bill, "output_tokens_details").get("thinking_tokens")),
    )
