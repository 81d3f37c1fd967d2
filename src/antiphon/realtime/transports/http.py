"""HTTP as uvicorn speaks it, with the bounds that it leaves out: how large the head of a request may grow, and how
long a request may take to arrive. Without them one client fills the memory, and a thousand silent ones the table of
open files.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from antiphon.realtime.limits import Say
from antiphon.realtime.transports import handshake

HEAD_BYTES = 64 * 1024
"""What may come without anything coming of it: of a head, of what stands between the pieces of a body, or behind it."""

ARRIVAL_SECONDS = 30.0
"""From the connection, or the first byte of a later request, until a request is there with its body."""

LINGER_SECONDS, LINGER_BYTES = 10.0, 64 * 1024 * 1024
"""How much longer, and how much more, is taken and thrown away of a body that was answered before its end."""

ANSWER = "antiphon.answer"
"""The extension of a request that takes an answer whose bytes stand already: `answer(scope, status, rest)`, of which
`rest` are its own headers, the empty line and the body. False when it does not: then it is to be sent as ever."""


class RequestProtocol(HttpToolsProtocol):
    """One connection, until it is handed on to the socket's own protocol. It is made with uvicorn's `keywords`, and
    uvicorn calls it."""

    def __init__(self, say: Say, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._say = say
        self._unheard = 0
        self._suspicious = False
        self._too_large = False
        self._in_body = False
        self._arriving = False
        self._unwanted: int | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._extensions: Any = {ANSWER: self._answer}

    def expect_by(self, when: float) -> None:
        """When the first request has to be there, by the clock of the loop."""
        self._deadline = self.loop.call_at(when, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._request_is_there()
        self._extensions.clear()  # what holds each other would wait for the collector
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unheard += len(data)
        self._suspicious = self._unheard > HEAD_BYTES
        self._arriving = True
        super().data_received(data)
        if self._arriving and self._deadline is None:
            # Not where a request begins: nearly every one is there with its first byte, and needs no timer.
            self.expect_by(self.loop.time() + ARRIVAL_SECONDS)
        if self._unheard > HEAD_BYTES and not self.transport.is_closing():
            self._refuse_head()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when the parser stops."""
        if self._too_large:
            self._refuse_head()
        else:
            self._refuse(400, msg)

    # What the parser has found

    def on_headers_complete(self) -> None:
        if self._suspicious:
            self._check_head()
        super().on_headers_complete()  # raises where the target is none
        self._in_body, self._unheard = True, 0
        self.scope["extensions"] = self._extensions
        cycle: Any = self.cycle
        if cycle is not None and not cycle.keep_alive:  # None: an upgrade, which is handed on
            cycle.transport = _Lingering(self.transport, self._close_behind_body)

    def on_body(self, body: bytes) -> None:
        self._unheard = 0
        super().on_body(body)
        if self._unwanted is not None:
            self._unwanted += len(body)
            if self._unwanted > LINGER_BYTES:
                self.transport.close()

    def on_message_complete(self) -> None:
        if self._suspicious:
            self._check_head()  # what stands behind a body is part of it
        self._in_body, self._unheard = False, 0
        self._request_is_there()
        super().on_message_complete()
        if self._unwanted is not None:
            self.transport.close()

    def _check_head(self) -> None:
        # One that arrives in one piece is whole before `data_received` can look at its size. It is added up only where
        # so much has come: to count each header as it is found is to pay for it in every request.
        size = len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
        if size > HEAD_BYTES:
            self._too_large = True
            raise _HeadTooLargeError

    def _answer(self, scope: Any, status: int, rest: bytes) -> bool:
        # What the cycle's own `send` does in two calls, for each header anew: half of what a short answer takes. The
        # cycle is not kept with the scope, which it holds itself: each request would leave garbage to be looked for.
        cycle = self.cycle
        if cycle.scope is not scope or cycle.response_started or cycle.disconnected or self.flow.write_paused:
            return False
        head = [name + b": " + value + b"\r\n" for name, value in cycle.default_headers]
        if not cycle.keep_alive:
            head.append(b"connection: close\r\n")
        self.transport.write(b"".join((STATUS_LINE[status], *head, rest)))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True

    # The time it takes

    def _request_is_there(self) -> None:
        self._arriving = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._refuse(408, f"The request was not there within {ARRIVAL_SECONDS:g} seconds. Send it again.")

    def _refuse_head(self) -> None:
        self._say("http.head_too_large", limit=HEAD_BYTES)
        self._refuse(431, f"The head of the request is larger than {HEAD_BYTES} bytes. Send less.")

    def _refuse(self, status: int, sentence: str) -> None:
        if self._may_answer:
            self.transport.write(handshake.refuse(status, sentence))
        self.transport.close()

    def _close_behind_body(self) -> None:
        """The answer to the last request of this connection is there."""
        if not self._in_body or self.transport.is_closing():
            self.transport.close()
            return
        self._unwanted = 0
        self._request_is_there()
        self.expect_by(self.loop.time() + LINGER_SECONDS)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    @property
    def _may_answer(self) -> bool:
        """Whether what is written now cannot be taken for the answer to an earlier request, or for a part of one."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            return not self._in_body and self._unheard > 0
        return self._in_body and not self.pipeline and not cycle.response_started


class _Lingering:
    """The transport of an answer behind which the connection ends. Closed with input unread it would be reset, and the
    answer lost with it (RFC 9112, 9.6)."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class _HeadTooLargeError(Exception):
    """Stops the parser."""
