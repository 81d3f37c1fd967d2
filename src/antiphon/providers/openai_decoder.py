"""The answer of the OpenAI chat-completions protocol: bytes to events, without I/O."""

import hashlib
from typing import Any, Literal

import msgspec

from antiphon.errors import ProviderError
from antiphon.providers.base import Error, Event, Finish, ReasoningDelta, TextDelta, UsageReport
from antiphon.providers.failures import Failures
from antiphon.providers.mending import Mender
from antiphon.providers.openai_calls import CallAssembler
from antiphon.providers.openai_chat import Quirks
from antiphon.providers.openai_wire import (
    WireChunk,
    WireMessage,
    read_chunk,
    read_reasoning,
    read_text,
    read_usage,
)
from antiphon.providers.sse import ServerEvent, SseReader

_LONGEST_ANSWER = 64 << 20
_LONGEST_BODY = 8 << 20  # of an answer that is one JSON value
_BARE_ERROR = {"message", "detail", "code"}
_FINISHES: dict[str, Literal["length", "filtered"]] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "filtered",
}


class Decoder:
    """Turns the bytes of one answer into events, however they are cut.

    `request` is the encoded request, from which the ids of tool calls are made that the vendor left out: the same
    request gives the same ids, the next round of a turn gives others. `wait` is what the headers of the answer said
    about trying again. Once `done`, nothing more is taken or given.
    """

    def __init__(self, failures: Failures, quirks: Quirks, request: bytes = b"", *, wait: float | None = None) -> None:
        self.done = False
        self._size = 0
        self._failures = failures
        self._quirks = quirks
        self._wait = wait
        self._sse: SseReader | None = None
        self._body: bytearray | None = None  # instead of `_sse`, when the answer is one JSON value
        self._out: list[Event] = []
        self._given = False  # any event: from there on the request must not be sent again
        self._begun = False
        self._said = False
        self._text = Mender()
        self._reasoning = Mender()
        self._details: list[dict[str, Any]] = []
        self._calls = CallAssembler(lambda index: f"call_{hashlib.sha256(request).hexdigest()[:12]}_{index}")
        self._usage: dict[str, Any] | None = None
        self._finish: str | None = None

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        self._size += len(data)
        if self._size > _LONGEST_ANSWER:
            return self.fail(self._failures.of("protocol", f"the answer is longer than {_LONGEST_ANSWER} bytes"))
        if self._sse is not None:
            self._read(self._sse.feed(data))
        elif self._body is not None:
            self._collect(data)
        else:
            self._begin(data)
        return self._give()

    def end(self) -> list[Event]:
        """The last events, once the vendor has closed the answer in order."""
        if self._sse is not None:
            self._read(self._sse.end(), last=True)
        elif self._body is not None:
            self._read_whole(bytes(self._body))
        return self.cut()

    def cut(self) -> list[Event]:
        """The last events, when the connection broke instead of ending."""
        if self._finish is not None:
            self._close()
        else:
            begun = self._given or bool(self._out)
            what = "the answer ended in the middle" if begun else "the answer ended before it began"
            self._fail(self._failures.of("interrupted", what, retryable=not begun))
        return self._give()

    def fail(self, error: Error) -> list[Event]:
        """The last events, when the reader gave up for a reason of its own."""
        self._fail(error)
        return self._give()

    def _give(self) -> list[Event]:
        out, self._out = self._out, []
        if out:
            self._given = True
        return out

    # --- bytes to chunks ----------------------------------------------------------------------------------------------

    def _begin(self, data: bytes) -> None:
        # Neither a stream nor JSON starts with white space or a piece of a byte order mark.
        data = data.lstrip(b" \t\r\n\xef\xbb\xbf")
        if data.startswith((b"{", b"[")):
            self._body = bytearray()
            self._collect(data)
        elif data.startswith(b"<"):
            self._fail(self._failures.of("protocol", "the answer is a web page"))
        elif data:
            self._sse = SseReader()
            self._read(self._sse.feed(data))

    def _collect(self, data: bytes) -> None:
        if self._body is not None and not self.done:
            self._body += data
            if len(self._body) > _LONGEST_BODY:
                self._fail(self._failures.of("protocol", f"the answer is longer than {_LONGEST_BODY} bytes"))

    def _read(self, events: list[ServerEvent], *, last: bool = False) -> None:
        for event in events:
            if self.done:
                return
            data = event.data
            if data.startswith(b"{"):
                try:
                    chunk = read_chunk(data)
                    if event.name == "error" and not chunk.error:
                        chunk.error = msgspec.json.decode(data)
                except (ValueError, RecursionError):
                    if not last:  # cut in the middle of a line
                        self._fail(self._failures.of("protocol", "a chunk of the stream is not valid"))
                    return
                self._take(chunk)
            elif (word := data.strip()) == b"[DONE]":
                self._close()
            elif word:
                self._fail(self._failures.of("protocol", "a chunk of the stream is no JSON object"))
        if self._sse is not None and self._sse.overflow:
            self._fail(self._failures.of("protocol", "one event of the stream is too long"))

    def _read_whole(self, body: bytes) -> None:
        """An answer that is one JSON value: of a server that does not stream, or an error with status 200."""
        if self.done:
            return
        try:
            value = msgspec.json.decode(body)
            chunk = read_chunk(body) if isinstance(value, dict) else WireChunk(error=value)
        except (ValueError, RecursionError):
            self._fail(self._failures.of("protocol", "the answer is no valid JSON"))
            return
        if isinstance(value, dict) and not chunk.choices and not chunk.error and value.keys() & _BARE_ERROR:
            chunk.error = value
        self._take(chunk)
        self._close()

    # --- chunks to events ---------------------------------------------------------------------------------------------

    def _take(self, chunk: WireChunk) -> None:
        if chunk.usage or chunk.x_groq:
            self._take_usage(chunk)
        if chunk.error:
            self._fail(self._failures.of_object(chunk.error, wait=self._wait))
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
            self._usage = usage  # some send a running count: the last one is the bill

    def _take_message(self, message: WireMessage) -> None:
        content = message.content
        plain = isinstance(content, str)
        if message.reasoning_content or message.reasoning or message.reasoning_details or not plain:
            self._take_reasoning(message)
        if content:
            self._say(TextDelta, self._text.join(content if plain else read_text(content)))
        if message.refusal:
            self._say(TextDelta, self._text.join(read_text(message.refusal)))
        if message.tool_calls:
            try:
                self._out += self._calls.take(message.tool_calls)
            except ProviderError as error:
                self._fail(self._failures.of("protocol", str(error)))

    def _take_reasoning(self, message: WireMessage) -> None:
        self._say(ReasoningDelta, self._reasoning.join(read_reasoning(message)))
        if self._quirks.reasoning_details and isinstance(message.reasoning_details, list):
            _merge_details(self._details, message.reasoning_details)

    def _say(self, kind: type[TextDelta] | type[ReasoningDelta], text: str) -> None:
        if text and not self.done:
            self._out.append(kind(text))
            self._said = self._said or kind is TextDelta

    # --- the end ------------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        if self.done:
            return
        self._say(ReasoningDelta, self._reasoning.end())
        self._say(TextDelta, self._text.end())
        if not self._begun:
            self._fail(self._failures.of("protocol", "the answer holds nothing"))
        elif self._finish == "error":
            self._fail(self._failures.of("server", "finish reason error"))
        elif self._finish == "content_filter" and not self._said:
            self._fail(self._failures.of("filtered", "finish reason content_filter"))
        else:
            self._conclude()

    def _conclude(self) -> None:
        if self._details:
            self._out.append(ReasoningDelta("", self._details))
        try:
            self._out += self._calls.end()
        except ProviderError as error:
            self._fail(self._failures.of("protocol", str(error)))
            return
        self._report_usage()
        # A vendor that says "stop" although it wants tools called is believed in what it wants.
        usual: Literal["stop", "tool_calls"] = "tool_calls" if self._calls else "stop"
        self._out.append(Finish(_FINISHES.get(self._finish or "", usual)))
        self.done = True

    def _fail(self, error: Error) -> None:
        if self.done:
            return
        self._report_usage()
        self._out.append(error)
        self.done = True

    def _report_usage(self) -> None:
        if self._usage is not None:
            self._out.append(UsageReport(read_usage(self._usage, with_cost=self._quirks.reports_cost)))


def _merge_details(known: list[dict[str, Any]], pieces: list[Any]) -> None:
    """Joins the pieces of signed reasoning: texts grow, everything else is as it came last."""
    for piece in pieces:
        if not isinstance(piece, dict):
            continue
        place = piece.get("type"), piece.get("index")
        mine = next((detail for detail in known if (detail.get("type"), detail.get("index")) == place), None)
        if mine is None:
            known.append(dict(piece))
            continue
        for field, value in piece.items():
            if field in {"text", "summary"} and isinstance(value, str) and isinstance(mine.get(field), str):
                mine[field] += value
            elif value is not None:
                mine[field] = value
