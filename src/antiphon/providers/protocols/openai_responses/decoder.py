"""The answer of the OpenAI responses protocol: bytes to events, without I/O."""

from typing import Any

import msgspec

from antiphon.domain import Usage
from antiphon.providers.base import Error, FinishReason
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.answer import AnswerDecoder
from antiphon.providers.protocols.calls import CallAssembler, CallPiece
from antiphon.providers.protocols.opaque import sealed
from antiphon.providers.protocols.openai_responses.wire import (
    ResponsesAnswer,
    ResponsesEvent,
    given_back,
    items_of,
    read_event,
    read_response,
    read_usage,
    text_of,
    thought_of,
)

PROTOCOL = "openai_responses"
"""The name under which reasoning is kept, each item with the model that made it and alone can open it."""

_SAYS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THINKS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_INCOMPLETE: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "filtered"}


class OpenAIResponsesDecoder(AnswerDecoder):
    """One answer to the encoded request `payload`; `maker` is told with what must go back to it."""

    def __init__(self, failures: Failures, payload: bytes, *, maker: str, wait: float | None = None) -> None:
        super().__init__(failures, wait=wait)
        self._maker = maker
        self._calls = CallAssembler(payload)
        self._bill: dict[str, Any] | None = None
        self._why = ""  # the answer is not complete
        self._heard: set[int | None] = set()  # places of the items of which a piece has come
        self._thinking: int | None = None  # place of the item that was thought in last
        self._kept: dict[bytes, dict[str, Any]] = {}  # by what each holds: some servers send an item twice

    def _take(self, name: str, document: bytes) -> None:
        event = read_event(document)
        kind = event.type or name
        if kind in _SAYS:
            self._begun = True
            self._heard.add(event.output_index)
            self._say(_string(event.delta))
        elif kind in _THINKS:
            self._begun = True
            self._think(event.output_index, _string(event.delta))
        elif kind == "response.function_call_arguments.delta":
            self._call(event.output_index, "", "", _string(event.delta))
        elif kind in _ENDS:
            self._end(read_response(event.response), kind.removeprefix("response."))
        elif kind in {"error", "response.error"} or (event.error and not kind):
            self._fail_as(event.error or {"code": event.code, "message": event.message})
        else:
            self._take_rare(kind, event)

    def _take_rare(self, kind: str, event: ResponsesEvent) -> None:
        if kind == "response.reasoning_summary_part.added" and self._thinking == event.output_index:
            self._reason("\n\n")
        elif kind == "response.output_item.added" and isinstance(event.item, dict):
            self._begin_item(event.output_index, event.item)
        elif kind == "response.output_item.done" and isinstance(event.item, dict):
            self._end_item(event.output_index, event.item)
        elif kind == "response.function_call_arguments.done" and event.output_index not in self._heard:
            self._call(event.output_index, "", "", _string(event.arguments))

    def _take_whole(self, body: bytes) -> None:
        response = read_response(body)
        if response.error or not isinstance(response.output, list):
            self._fail_as(response.error or msgspec.json.decode(body))
        else:
            self._end(response, _string(response.status) or "completed")

    def _begin_item(self, place: int | None, item: dict[str, Any]) -> None:
        self._begun = True
        if item.get("type") == "message":
            self._seal(item)
        elif item.get("type") == "function_call":
            self._seal()
            self._calls.take([CallPiece(place, item.get("call_id"), item.get("name"), "")])

    def _end_item(self, place: int | None, item: dict[str, Any]) -> None:
        """Takes what no piece has told before: some servers send whole items only."""
        self._begun = True
        known = place in self._heard
        self._heard.add(place)
        match item.get("type"):
            case "message" if not known:
                self._seal(item)
                self._say(text_of(item))
            case "function_call" if not known:
                self._seal()
                self._call(place, item.get("call_id"), item.get("name"), _string(item.get("arguments")))
            case "reasoning":
                if not known:
                    self._think(place, thought_of(item))
                if (kept := given_back(item)) is not None:
                    self._keep(kept)

    def _call(self, place: int | None, call_id: Any, name: Any, arguments: str) -> None:
        self._begun = True
        if arguments:
            self._heard.add(place)
        self._out += self._calls.take([CallPiece(place, call_id, name, arguments)])

    def _think(self, place: int | None, text: str) -> None:
        if self._thinking is not None and self._thinking != place:
            self._reason("\n\n")
        self._thinking = place
        self._heard.add(place)
        self._reason(text)

    def _seal(self, message: dict[str, Any] | None = None) -> None:
        """Gives what belongs to the item that begins now: the reasoning before it, and whether it is the last word."""
        if message is not None and isinstance(phase := message.get("phase"), str):
            self._keep({"type": "message", "phase": phase})
        if self._kept:
            items = [{"maker": self._maker, "item": item} for item in self._kept.values()]
            self._reason("", sealed(PROTOCOL, items))
            self._kept.clear()

    def _keep(self, item: dict[str, Any]) -> None:
        self._kept[msgspec.json.encode(item)] = item

    def _end(self, response: ResponsesAnswer, status: str) -> None:
        if isinstance(response.usage, dict):
            self._bill = response.usage
        if status == "failed" or response.error:
            self._fail_as(response.error or {"code": "server_error"})
            return
        for place, item in enumerate(items_of(response.output)):
            if place not in self._heard:
                self._end_item(place, item)
        details = response.incomplete_details
        self._why = _string(details.get("reason")) if isinstance(details, dict) else ""
        self._begun = True
        self._finish = self._why or status
        self._close()

    def _last(self) -> FinishReason | Error:
        if self._finish == "cancelled":
            return self._failures.of("interrupted", "the vendor cancelled the answer", retryable=False)
        self._out += self._calls.end()
        return _INCOMPLETE.get(self._why, "tool_calls" if self._calls else "stop")

    def _usage(self) -> Usage | None:
        return None if self._bill is None else read_usage(self._bill)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
