"""The OpenAI responses answer as it is on the wire, typed only as far as real servers agree.

https://platform.openai.com/docs/api-reference/responses-streaming: every event names itself in `type`; the last one
carries the whole response, the only one that is read.
"""

from typing import Any

import msgspec
from msgspec import Struct

from antiphon.domain import Usage
from antiphon.providers.protocols.counts import count, details
from antiphon.providers.protocols.mending import loads_broken, mended


class ResponsesEvent(Struct, gc=False):
    """One event. `item` is an item of the answer, `response` the whole of it."""

    type: str = ""
    delta: Any = None
    arguments: Any = None
    output_index: int | None = 0
    item: Any = None
    response: msgspec.Raw = msgspec.Raw()
    error: Any = None
    message: Any = None
    code: Any = None


class ResponsesAnswer(Struct, gc=False):
    """A whole response."""

    status: Any = None
    output: Any = None
    usage: Any = None
    error: Any = None
    incomplete_details: Any = None


_event = msgspec.json.Decoder(ResponsesEvent)
_response = msgspec.json.Decoder(ResponsesAnswer)


def read_event(document: bytes) -> ResponsesEvent:
    """One event. Raises ValueError when it is none."""
    try:
        return _event.decode(document)
    except msgspec.ValidationError:
        raise
    except ValueError:
        broken = loads_broken(document)
        whole = broken.pop("response", None)
        event = msgspec.convert(broken, ResponsesEvent)
        event.response = msgspec.Raw(msgspec.json.encode(mended(whole)))
        return event


def read_response(document: bytes | msgspec.Raw) -> ResponsesAnswer:
    """A whole response. Raises ValueError when it is none."""
    return _response.decode(document)


def items_of(output: Any) -> list[dict[str, Any]]:
    """The items of an answer, or the parts of an item, without what is none."""
    return [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []


def text_of(item: dict[str, Any]) -> str:
    """What a message item says, also where it says that it refuses."""
    parts = items_of(item.get("content"))
    return "".join([text for part in parts if isinstance(text := part.get("text") or part.get("refusal"), str)])


def thought_of(item: dict[str, Any]) -> str:
    """What a reasoning item shows: its summary, or the thinking itself where a server gives it."""
    parts = items_of(item.get("summary")) or items_of(item.get("content"))
    return "\n\n".join([text for part in parts if isinstance(text := part.get("text"), str) and text])


def given_back(item: dict[str, Any]) -> dict[str, Any] | None:
    """A reasoning item as it is given back, None when it holds nothing that the vendor could read again.

    An item of which only the id came is looked for in a store where, without `store`, nothing is.
    """
    if not (item.get("encrypted_content") or item.get("content")):
        return None
    kept = {key: value for key, value in item.items() if key != "status" and value is not None}
    return {"summary": [], **mended(kept)}


def read_usage(usage: dict[str, Any]) -> Usage:
    """The vendor's count of tokens, whatever it leaves out."""
    return Usage(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        cached_tokens=count(details(usage, "input_tokens_details").get("cached_tokens")),
        reasoning_tokens=count(details(usage, "output_tokens_details").get("reasoning_tokens")),
    )
