"""The answer of Ollama's own protocol: bytes to events, without I/O."""

from collections.abc import Iterable
from typing import Any

import msgspec

from antiphon.domain import Usage
from antiphon.providers.base import Error, FinishReason
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.answer import AnswerDecoder
from antiphon.providers.protocols.calls import CallAssembler, CallPiece
from antiphon.providers.protocols.mending import read
from antiphon.providers.protocols.ollama.wire import LINE, OllamaMessage, read_usage

_FINISHES: dict[str, FinishReason] = {"length": "length", "content_filter": "filtered"}


class OllamaDecoder(AnswerDecoder):
    """One answer to the encoded request `payload`."""

    by_line = True

    def __init__(self, failures: Failures, payload: bytes, *, wait: float | None = None) -> None:
        super().__init__(failures, wait=wait)
        self._calls = CallAssembler(payload)
        self._called = 0
        self._bill: Usage | None = None

    def _take(self, name: str, document: bytes) -> None:  # noqa: ARG002 - lines have no names
        line = read(LINE, document)
        if line.error:
            self._fail_as(msgspec.json.decode(document))
            return
        if line.message is not None:
            self._begun = True
            self._take_message(line.message)
        if line.done:
            self._begun = True
            self._bill = read_usage(line)
            self._finish = line.done_reason if isinstance(line.done_reason, str) else "stop"
            self._close()

    def _take_message(self, message: OllamaMessage) -> None:
        if isinstance(message.thinking, str):
            self._reason(message.thinking)
        if isinstance(message.content, str):
            self._say(message.content)
        if isinstance(message.tool_calls, list):
            self._out += self._calls.take(self._pieces(message.tool_calls))

    def _pieces(self, calls: Iterable[Any]) -> Iterable[CallPiece]:
        """Every call comes whole, and its own index is 0 in many versions."""
        for call in calls:
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict):
                continue
            arguments = function.get("arguments")
            text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments or {}).decode()
            self._called += 1
            yield CallPiece(self._called, call.get("id"), function.get("name"), text)

    def _last(self) -> FinishReason | Error:
        self._out += self._calls.end()
        return _FINISHES.get(self._finish or "", "tool_calls" if self._calls else "stop")

    def _usage(self) -> Usage | None:
        return self._bill
