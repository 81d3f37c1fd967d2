"""The answer of Anthropic's messages protocol: bytes to events, without I/O."""

from typing import Any

import msgspec
from msgspec import Struct

from antiphon.domain import Usage
from antiphon.providers.base import Error, FinishReason
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.answer import AnswerDecoder
from antiphon.providers.protocols.anthropic.wire import EVENT, WireDelta, WireEvent, read_usage
from antiphon.providers.protocols.calls import CallAssembler, CallPiece
from antiphon.providers.protocols.mending import read
from antiphon.providers.protocols.opaque import sealed

PROTOCOL = "anthropic"

_FINISHES: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",  # a tool that runs at the vendor took too long: the answer is not whole
    "refusal": "filtered",
}


class _Thought(Struct):
    """A thinking block under way."""

    text: list[str]
    signature: list[str]


class AnthropicDecoder(AnswerDecoder):
    """One answer to the encoded request `payload`; `maker` is told with what must go back to it."""

    def __init__(self, failures: Failures, payload: bytes, *, maker: str, wait: float | None = None) -> None:
        super().__init__(failures, wait=wait)
        self._maker = maker
        self._calls = CallAssembler(payload)
        self._tools: set[int | None] = set()
        self._thoughts: dict[int | None, _Thought] = {}
        self._bill: dict[str, Any] = {}

    def _take(self, name: str, document: bytes) -> None:
        event = read(EVENT, document)
        kind = event.type or name
        if kind == "content_block_delta":
            if event.delta is not None:
                self._grow(event.index, event.delta)
        elif kind == "content_block_start":
            self._open(event.index, event.content_block)
        elif kind == "content_block_stop":
            self._shut(event.index)
        elif kind == "error" or event.error:
            self._fail_as(event.error or msgspec.json.decode(document))
        elif kind == "message":
            self._take_message(event)
        elif kind == "message_start":
            self._begun = True
            if isinstance(event.message, dict):
                self._charge(event.message.get("usage"))
        elif kind == "message_delta":
            self._charge(event.usage)
            if event.delta is not None:
                self._stop_for(event.delta.stop_reason)
        elif kind == "message_stop":
            self._close()

    def _take_message(self, message: WireEvent) -> None:
        """A whole answer, of a server that does not stream."""
        self._begun = True
        for index, block in enumerate(message.content if isinstance(message.content, list) else ()):
            self._open(index, block)
            self._shut(index)
        self._charge(message.usage)
        self._stop_for(message.stop_reason)

    def _open(self, index: int | None, block: Any) -> None:
        self._begun = True
        match block:
            case {"type": "text", "text": str(text)}:
                self._say(text)
            case {"type": "thinking"}:
                self._shut(index)
                self._thoughts[index] = _Thought([], [])
                self._think(index, block.get("thinking"), block.get("signature"))
            case {"type": "redacted_thinking", "data": data}:
                self._keep({"type": "redacted_thinking", "data": data})
            case {"type": "tool_use"}:
                self._tools.add(index)
                whole = block.get("input")
                arguments = msgspec.json.encode(whole).decode() if whole and isinstance(whole, dict) else ""
                self._call(index, block.get("id"), block.get("name"), arguments)

    def _grow(self, index: int | None, delta: WireDelta) -> None:
        self._begun = True
        if isinstance(delta.text, str):
            self._say(delta.text)
        elif delta.thinking is not None or delta.signature is not None:
            self._thoughts.setdefault(index, _Thought([], []))  # some vendors do not open the block
            self._think(index, delta.thinking, delta.signature)
        elif isinstance(delta.partial_json, str) and index in self._tools:
            self._call(index, None, None, delta.partial_json)

    def _think(self, index: int | None, text: Any, signature: Any) -> None:
        thought = self._thoughts[index]
        if isinstance(text, str) and text:
            thought.text.append(text)
            self._reason(text)
        if isinstance(signature, str) and signature:
            thought.signature.append(signature)

    def _shut(self, index: int | None) -> None:
        """A thought is whole: only one that is signed can go back."""
        thought = self._thoughts.pop(index, None)
        if thought is not None and thought.signature:
            text, signature = "".join(thought.text), "".join(thought.signature)
            self._keep({"type": "thinking", "thinking": text, "signature": signature})

    def _keep(self, block: dict[str, Any]) -> None:
        self._reason("", sealed(PROTOCOL, [{"maker": self._maker, "block": block}]))

    def _call(self, index: int | None, call_id: Any, name: Any, arguments: str) -> None:
        self._out += self._calls.take([CallPiece(index, call_id, name, arguments)])

    def _charge(self, usage: Any) -> None:
        """Each report is a running count that may leave out what the one before has said."""
        if isinstance(usage, dict):
            self._bill |= {field: value for field, value in usage.items() if value is not None}

    def _stop_for(self, reason: Any) -> None:
        if isinstance(reason, str) and reason:
            self._finish = reason

    def _last(self) -> FinishReason | Error:
        for index in list(self._thoughts):
            self._shut(index)
        self._out += self._calls.end()
        return _FINISHES.get(self._finish or "", "tool_calls" if self._calls else "stop")

    def _usage(self) -> Usage | None:
        usage = read_usage(self._bill)
        return usage if usage.input_tokens or usage.output_tokens else None  # a beginning of zeros is no bill
