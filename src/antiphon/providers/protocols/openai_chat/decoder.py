"""The answer of the OpenAI chat-completions protocol: bytes to events, without I/O."""

from collections.abc import Iterable
from typing import Any

import msgspec

from antiphon.domain import Usage
from antiphon.providers.base import Error, FinishReason
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.answer import AnswerDecoder
from antiphon.providers.protocols.calls import CallAssembler, CallPiece
from antiphon.providers.protocols.mending import read
from antiphon.providers.protocols.opaque import sealed
from antiphon.providers.protocols.openai_chat.quirks import Quirks
from antiphon.providers.protocols.openai_chat.wire import (
    CHUNK,
    WireCall,
    WireChunk,
    WireFunction,
    WireMessage,
    read_arguments,
    read_reasoning,
    read_text,
    read_usage,
)

PROTOCOL = "openai_chat"
"""The name under which signed reasoning is kept."""

_FINISHES: dict[str, FinishReason] = {"length": "length", "max_tokens": "length", "content_filter": "filtered"}


class OpenAIChatDecoder(AnswerDecoder):
    """One answer to the encoded request `payload`."""

    def __init__(self, failures: Failures, quirks: Quirks, payload: bytes, *, wait: float | None = None) -> None:
        super().__init__(failures, wait=wait)
        self._quirks = quirks
        self._details: dict[str, dict[str, Any]] = {}  # signed reasoning, by the place that its pieces name
        self._calls = CallAssembler(payload)
        self._bill: dict[str, Any] | None = None

    def _take(self, name: str, document: bytes) -> None:
        chunk = read(CHUNK, document)
        if name == "error" and not chunk.error:
            chunk.error = msgspec.json.decode(document)
        if chunk.usage or chunk.x_groq:
            self._take_usage(chunk)
        if chunk.error:
            self._fail_as(chunk.error)
            return
        for choice in chunk.choices or ():
            if choice.index not in (0, None):
                continue
            self._begun = True
            message = choice.delta or choice.message
            if message is not None:
                self._take_message(message)
            if isinstance(choice.finish_reason, str) and choice.finish_reason:
                self._finish = choice.finish_reason

    def _take_usage(self, chunk: WireChunk) -> None:
        usage = chunk.usage or (chunk.x_groq.get("usage") if isinstance(chunk.x_groq, dict) else None)
        if isinstance(usage, dict):
            self._bill = usage  # some send a running count: the last one is the bill

    def _take_message(self, message: WireMessage) -> None:
        content = message.content
        plain = isinstance(content, str)
        if message.reasoning_content or message.reasoning or message.reasoning_details or not plain:
            self._reason(read_reasoning(message))
            if self._quirks.reasoning_details and isinstance(message.reasoning_details, list):
                _merge_details(self._details, message.reasoning_details)
        if content:
            self._say(content if plain else read_text(content))
        if message.refusal:
            self._say(read_text(message.refusal))
        if message.tool_calls:
            self._out += self._calls.take(_pieces(message.tool_calls))

    def _last(self) -> FinishReason | Error:
        if self._finish == "error":
            return self._failures.of("server", "finish reason error")
        if self._details:
            self._reason("", sealed(PROTOCOL, [_whole(each) for each in self._details.values()]))
        self._out += self._calls.end()
        # A vendor that says "stop" although it wants tools called is believed in what it wants.
        return _FINISHES.get(self._finish or "", "tool_calls" if self._calls else "stop")

    def _usage(self) -> Usage | None:
        return None if self._bill is None else read_usage(self._bill, with_cost=self._quirks.reports_cost)


def _pieces(calls: Iterable[WireCall]) -> Iterable[CallPiece]:
    for call in calls:
        function = call.function or WireFunction()
        yield CallPiece(call.index, call.id, function.name, read_arguments(function.arguments))


class _Grown(list[str]):
    """The pieces of a text. Appending to the text itself would copy it with every piece."""


def _merge_details(known: dict[str, dict[str, Any]], pieces: list[Any]) -> None:
    """Joins the pieces of signed reasoning: texts grow, everything else is as it came last."""
    for piece in pieces:
        if not isinstance(piece, dict):
            continue
        mine = known.setdefault(f"{piece.get('type')} {piece.get('index')}", {})
        for field, value in piece.items():
            if field in {"text", "summary"} and isinstance(value, str):
                if isinstance(grown := mine.get(field), _Grown):
                    grown.append(value)
                else:
                    mine[field] = _Grown([value])
            elif value is not None or field not in mine:
                mine[field] = value


def _whole(details: dict[str, Any]) -> dict[str, Any]:
    return {field: "".join(value) if isinstance(value, _Grown) else value for field, value in details.items()}
