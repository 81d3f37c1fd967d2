"""What the answers of all protocols have in common: documents, how they are cut, how much is too much, and one end."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import msgspec

from antiphon.domain import Usage
from antiphon.errors import ProviderError
from antiphon.providers.base import Error, Event, Finish, FinishReason, ReasoningDelta, TextDelta, UsageReport
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.lines import LineReader
from antiphon.providers.protocols.mending import Mender, mended
from antiphon.providers.protocols.sse import ServerEvent, SseReader

LONGEST_ANSWER = 64 << 20
"""Bytes of a whole answer."""

LONGEST_BODY = 8 << 20
"""Bytes of an answer that is one JSON value."""

LONGEST_SEALED = 4 << 20
"""Bytes of what only the vendor can read: it is kept with the answer, and goes back with every later question."""

_BARE_ERROR = {"message", "detail", "code"}
"""Fields of an error that comes without an `error` around it."""


class AnswerDecoder(ABC):
    """A `protocols.base.Decoder` for which a subclass says what the documents of its protocol mean.

    An answer is a stream of server-sent events, or with `by_line` of lines, or one JSON value, whatever was asked for.
    `wait` is what the headers of the answer said about trying again.
    """

    by_line: ClassVar[bool] = False

    def __init__(self, failures: Failures, *, wait: float | None = None) -> None:
        self.done = False
        self._failures = failures
        self._wait = wait
        self._begun = False  # the vendor has said something of the answer itself
        self._said = False
        self._finish: str | None = None  # how it ends, in the vendor's words; a break of the line after that is none
        self._out: list[Event] = []
        self._size = 0
        self._reader: SseReader | LineReader | None = None
        self._body: bytearray | None = None  # instead of `_reader`, when the answer is one JSON value
        self._given = False  # any event: from there on the request must not be sent again
        self._text = Mender()
        self._reasoning = Mender()
        self._sealed = 0

    # --- what a protocol says -----------------------------------------------------------------------------------------

    @abstractmethod
    def _take(self, name: str, document: bytes) -> None:
        """Takes one JSON object of a stream; `name` is its `event:`. Raises ValueError when it is not valid,
        `ProviderError` when it is more than may be."""

    def _take_whole(self, body: bytes) -> None:
        """Takes an answer that did not come as a stream, as `_take` does."""
        self._take("", body)

    @abstractmethod
    def _last(self) -> FinishReason | Error:
        """Says what is left to say, such as the ends of tool calls, and how the answer ends. Raises `ProviderError`
        when that is not possible."""

    @abstractmethod
    def _usage(self) -> Usage | None:
        """What the vendor has said of the cost so far."""

    # --- what a protocol uses -----------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        if text and not self.done and (whole := self._text.join(text)):
            self._out.append(TextDelta(whole))
            self._said = True

    def _reason(self, text: str, opaque: Any = None) -> None:
        """Raises `ProviderError` for more that is `opaque` than is kept."""
        if opaque is not None:
            opaque = mended(opaque)
            self._sealed += len(msgspec.json.encode(opaque))
            if self._sealed > LONGEST_SEALED:
                raise ProviderError(f"more than {LONGEST_SEALED} bytes of sealed reasoning", kind="protocol")
        whole = self._reasoning.join(text)
        if (whole or opaque is not None) and not self.done:
            self._out.append(ReasoningDelta(whole, opaque))

    def _fail_as(self, error: Any) -> None:
        """Ends the answer with an error that the vendor put inside it."""
        self._fail(self._failures.of_object(error, wait=self._wait))

    def _close(self) -> None:
        """The vendor says that nothing more comes."""
        if self.done:
            return
        for kind, mender in ((ReasoningDelta, self._reasoning), (TextDelta, self._text)):
            if rest := mender.end():
                self._out.append(kind(rest))
        if not self._begun:
            self._fail(self._failures.of("protocol", "the answer holds nothing"))
            return
        try:
            ending = self._last()
        except ProviderError as error:
            ending = self._failures.of("protocol", str(error))
        except RecursionError:
            ending = self._failures.of("protocol", "what is to go back is nested too deep")
        if ending == "filtered" and not self._said:
            ending = self._failures.of("filtered", f"finish reason {self._finish}")
        if isinstance(ending, Error):
            self._fail(ending)
            return
        self._report()
        self._out.append(Finish(ending))
        self.done = True

    def _fail(self, error: Error) -> None:
        if self.done:
            return
        # Behind a bill an error would not be the first event, and nobody would ask again or ask another model.
        if self._given or self._out or error.kind == "filtered":
            self._report()
        self._out.append(error)
        self.done = True

    def _report(self) -> None:
        if (usage := self._usage()) is not None:
            self._out.append(UsageReport(usage))

    # --- what its reader calls ----------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        self._size += len(data)
        if self._size > LONGEST_ANSWER:
            return self.fail(self._failures.of("protocol", f"the answer is longer than {LONGEST_ANSWER} bytes"))
        if self._reader is not None:
            self._read(self._reader.feed(data))
        elif self._body is not None:
            self._collect(data)
        else:
            self._begin(data)
        return self._give()

    def end(self) -> list[Event]:
        """The last events, once the vendor has closed the answer in order."""
        if self._reader is not None:
            self._read(self._reader.end(), last=True)
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
        """The last events, when the reader gave up for a reason of its own: none, where the vendor has said already how
        the answer ends."""
        if self._finish is not None:
            self._close()
        self._fail(error)
        return self._give()

    def _give(self) -> list[Event]:
        out, self._out = self._out, []
        if out:
            self._given = True
        return out

    # --- bytes to documents -------------------------------------------------------------------------------------------

    def _begin(self, data: bytes) -> None:
        # Neither a stream nor JSON starts with white space or a piece of a byte order mark.
        data = data.lstrip(b" \t\r\n\xef\xbb\xbf")
        if data.startswith(b"<"):
            self._fail(self._failures.of("protocol", "the answer is a web page"))
        elif data.startswith((b"{", b"[")) and not self.by_line:
            self._body = bytearray()
            self._collect(data)
        elif data:
            self._reader = LineReader() if self.by_line else SseReader()
            self._read(self._reader.feed(data))

    def _collect(self, data: bytes) -> None:
        if self._body is not None and not self.done:
            self._body += data
            if len(self._body) > LONGEST_BODY:
                self._fail(self._failures.of("protocol", f"the answer is longer than {LONGEST_BODY} bytes"))

    def _read(self, events: list[ServerEvent], *, last: bool = False) -> None:
        for event in events:
            if self.done:
                return
            data = event.data
            if data.startswith(b"{"):
                try:
                    self._take(event.name, data)
                except (ValueError, RecursionError):
                    if not last:  # cut in the middle of a line
                        self._fail(self._failures.of("protocol", "a chunk of the stream is not valid"))
                    return
                except ProviderError as error:
                    self._fail(self._failures.of("protocol", str(error)))
                    return
            elif (word := data.strip()) == b"[DONE]":
                self._close()
            elif word:
                self._fail(self._failures.of("protocol", "a chunk of the stream is no JSON object"))
        if self._reader is not None and self._reader.overflow:
            self._fail(self._failures.of("protocol", "one event of the stream is too long"))

    def _read_whole(self, body: bytes) -> None:
        """An answer that is one JSON value: of a server that does not stream, or an error with status 200."""
        if self.done:
            return
        try:
            value = msgspec.json.decode(body)
            if isinstance(value, dict):
                self._take_whole(body)
            if value and not self._begun and (not isinstance(value, dict) or value.keys() & _BARE_ERROR):
                self._fail_as(value)
        except (ValueError, RecursionError):
            self._fail(self._failures.of("protocol", "the answer is no valid JSON"))
        except ProviderError as error:
            self._fail(self._failures.of("protocol", str(error)))
        self._close()
