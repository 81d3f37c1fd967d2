"""The answer of Google's generate-content protocol: bytes to events, without I/O."""

from typing import Any

import msgspec

from antiphon.domain import Usage
from antiphon.providers.base import Error, FinishReason
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.answer import AnswerDecoder
from antiphon.providers.protocols.calls import CallAssembler, CallPiece
from antiphon.providers.protocols.google.wire import (
    RESPONSE,
    WireCandidate,
    WireFunctionCall,
    WirePart,
    read_usage,
)
from antiphon.providers.protocols.mending import read
from antiphon.providers.protocols.opaque import sealed

PROTOCOL = "google"

_FINISHES: dict[str, FinishReason] = {
    "MAX_TOKENS": "length",
    "BLOCKLIST": "filtered",
    "IMAGE_SAFETY": "filtered",
    "LANGUAGE": "filtered",
    "PROHIBITED_CONTENT": "filtered",
    "RECITATION": "filtered",
    "SAFETY": "filtered",
    "SPII": "filtered",
}
_WHOLE = frozenset({"STOP", "FINISH_REASON_UNSPECIFIED"})


class GoogleDecoder(AnswerDecoder):
    """One answer to the encoded request `payload`.

    A signature belongs to one part of the answer. They are kept together: `thought` and `text` of the last such part,
    `calls` by their places.
    """

    def __init__(self, failures: Failures, payload: bytes, *, wait: float | None = None) -> None:
        super().__init__(failures, wait=wait)
        self._calls = CallAssembler(payload)
        self._called = 0
        self._signatures: dict[str, Any] = {}
        self._blocked = False
        self._bill: dict[str, Any] | None = None

    def _take(self, name: str, document: bytes) -> None:
        response = read(RESPONSE, document)
        if isinstance(response.usage_metadata, dict):
            self._bill = response.usage_metadata  # a running count: the last one is the bill
        if response.error or name == "error":
            self._fail_as(response.error or msgspec.json.decode(document))
            return
        for candidate in response.candidates or ():
            if candidate.index in (0, None):
                self._take_candidate(candidate)
        feedback = response.prompt_feedback
        if isinstance(feedback, dict) and isinstance(reason := feedback.get("blockReason"), str):
            self._begun = self._blocked = True
            self._finish = f"blocked {reason}"

    def _take_candidate(self, candidate: WireCandidate) -> None:
        self._begun = True
        for part in (candidate.content and candidate.content.parts) or ():
            self._take_part(part)
        if isinstance(candidate.finish_reason, str) and candidate.finish_reason:
            self._finish = candidate.finish_reason

    def _take_part(self, part: WirePart) -> None:
        signature = part.thought_signature
        if part.function_call is not None:
            self._sign("calls", signature, str(self._called))
            self._call(part.function_call)
        elif isinstance(part.text, str):
            if part.thought is True:
                self._sign("thought", signature)
                self._reason(part.text)
            else:
                self._sign("text", signature)
                self._say(part.text)

    def _sign(self, kind: str, signature: Any, place: str | None = None) -> None:
        if not isinstance(signature, str) or not signature:
            return
        if place is None:
            self._signatures[kind] = signature
        else:
            self._signatures.setdefault(kind, {})[place] = signature

    def _call(self, call: WireFunctionCall) -> None:
        """A call comes whole, in one part."""
        arguments = msgspec.json.encode(call.args if isinstance(call.args, dict) else {}).decode()
        self._out += self._calls.take([CallPiece(self._called, call.id, call.name, arguments)])
        self._called += 1

    def _last(self) -> FinishReason | Error:
        if self._signatures:
            self._reason("", sealed(PROTOCOL, self._signatures))
        if self._blocked:
            return "filtered"
        reason = self._finish or "STOP"
        if reason not in _FINISHES and reason not in _WHOLE:  # such as MALFORMED_FUNCTION_CALL: the next try may do
            return self._failures.of("server", f"finish reason {reason[:64]}")
        self._out += self._calls.end()
        return _FINISHES.get(reason, "tool_calls" if self._calls else "stop")

    def _usage(self) -> Usage | None:
        return None if self._bill is None else read_usage(self._bill)
