"""Ollama's answer as it is on the wire, typed only as far as its versions agree.

https://docs.ollama.com/api/chat: each line holds a piece of the message, the last one (`done`) why it ends and what it
cost.
"""

from typing import Any

import msgspec
from msgspec import Struct

from antiphon.domain import Usage
from antiphon.providers.protocols.counts import count


class OllamaMessage(Struct, gc=False):
    content: Any = None
    thinking: Any = None
    tool_calls: Any = None


class OllamaLine(Struct, gc=False):
    message: OllamaMessage | None = None
    done: Any = False
    done_reason: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: Any = None


LINE = msgspec.json.Decoder(OllamaLine)


def read_usage(line: OllamaLine) -> Usage | None:
    """The count of tokens of the last line; a prompt that was still in memory is not counted by old versions."""
    if line.prompt_eval_count is None and line.eval_count is None:
        return None
    return Usage(input_tokens=count(line.prompt_eval_count), output_tokens=count(line.eval_count))
