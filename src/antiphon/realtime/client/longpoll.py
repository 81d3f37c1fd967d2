"""Frames over HTTP, where no WebSocket comes through: one request waits for those of the server, another brings those
of the client (LP-1 to LP-19)."""

import asyncio
from base64 import b64encode
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO

import aiohttp
import msgspec

from antiphon.errors import ServiceError
from antiphon.realtime.admission.connect import AUTH_HEADER
from antiphon.realtime.client.options import ClientOptions
from antiphon.realtime.client.push import ConnectionLostError
from antiphon.realtime.client.transport import ABNORMAL, ServerCall, TransportName, refused, unreachable, wanted_pause
from antiphon.realtime.transports.frames import SERVER_ERROR, TOO_BIG, TRY_LATER
from antiphon.realtime.transports.longpoll_frames import GONE, MOST_FRAMES, NDJSON, NOTHING, TAKEN, TOKEN_HEADER
from antiphon.realtime.wire.base import Binary

_BODY_BYTES = 1_000_000
"""Of one body, unless a single frame has more: servers take 8 MB (LM-2), proxies often one."""
_EMPTY_SECONDS = 0.1
"""The least time between empty answers: whatever answers polls at once with nothing must not make them spin."""
_ESCAPED = 4
"""An answer may be so many times as long as the longest message: it holds several, as texts in a text."""

_FORBIDDEN, _SESSION_GONE = 1008, 3410
"""Close codes, those of phoenix.js (JS-9)."""
_CODES = {HTTPStatus.FORBIDDEN: _FORBIDDEN, GONE: _SESSION_GONE}


class _Answer(msgspec.Struct, frozen=True):
    status: int
    token: str = ""
    messages: list[str] = []


_decode = msgspec.json.Decoder(_Answer).decode


class _EndedError(Exception):
    """An answer that ends the session, or none: the close code, and the status of HTTP where there was one."""

    def __init__(self, code: int, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code
        self.status = status
        self.retry_after = retry_after


class LongPollTransport:
    """A `ClientTransport` over one session.

    Any request that fails ends it, and none is made twice. What the answer of a poll carried may be lost, which only a
    new join can mend; and what became of the frames of a POST is not known, as with a WebSocket that breaks.
    """

    name: TransportName = "longpoll"

    def __init__(self, session: aiohttp.ClientSession, call: ServerCall, options: ClientOptions) -> None:
        self.close_code: int | None = None
        self.retry_after: float | None = None
        self._session = session
        self._url = f"{call.url.replace('ws', 'http', 1) if call.url.startswith('ws') else call.url}/longpoll"
        self._query = list(call.query.items())
        self._headers = {"Accept": "application/json", **call.headers}
        if call.token is not None:
            self._headers[AUTH_HEADER] = call.token
        self._limit = options.max_message_bytes
        self._timeout = options.poll_seconds
        self._over = asyncio.Event()

    async def open(self, within: float) -> None:
        """Begins the session. Raises `ServiceError`."""
        try:
            answer = await self._ask("GET", {GONE}, within)
        except _EndedError as ended:
            raise self._not_opened(ended) from None
        if not answer.token:
            raise self._not_opened(_EndedError(SERVER_ERROR, HTTPStatus.OK))
        # Servers of Phoenix before 1.8.10 look for it in the query alone, where the last one counts (LP-8). Each poll
        # shows with what this client came in, too: a server that has lost the session asks for it before it says so.
        self._query.append(("token", answer.token))
        self._headers[TOKEN_HEADER] = answer.token

    def _not_opened(self, ended: _EndedError) -> ServiceError:
        if ended.status is None:
            return unreachable(self._url)
        if ended.status == HTTPStatus.OK:
            return ServiceError(f"{self._url} answers with something that is not long-poll: is the address right?")
        return refused(self._url, ended.status, ended.retry_after)

    async def receive(self) -> list[str | bytes]:
        """See `ClientTransport`."""
        waiting = asyncio.ensure_future(self._poll()), asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)
        return [] if waiting[0].cancelled() else waiting[0].result()

    async def send(self, frames: Iterable[bytes]) -> int:
        """See `ClientTransport`."""
        lines = _lines(frames)
        try:
            await self._ask("POST", {TAKEN}, self._timeout, b"\n".join(lines))
        except _EndedError as ended:
            self._end(ended)
            raise ConnectionLostError("the session broke before the server said that it has this") from ended
        return len(lines)

    async def close(self, code: int) -> None:
        """See `ClientTransport`. The server cannot be told: it sees that no poll comes any more."""
        self._end(_EndedError(code))

    def _end(self, ended: _EndedError) -> None:
        if self.close_code is None:
            self.close_code, self.retry_after = ended.code, ended.retry_after
            self._over.set()

    async def _poll(self) -> list[str | bytes]:
        try:
            while True:
                least = asyncio.get_running_loop().time() + _EMPTY_SECONDS
                answer = await self._ask("GET", {TAKEN, NOTHING}, self._timeout)
                if answer.messages:
                    return list(answer.messages)
                await asyncio.sleep(least - asyncio.get_running_loop().time())
        except _EndedError as ended:
            self._end(ended)
            return []

    async def _ask(self, method: str, wanted: set[int], within: float, body: bytes | None = None) -> _Answer:
        """The answer, of a status that is `wanted`; raises `_EndedError` for every other."""
        headers = self._headers if body is None else {**self._headers, "Content-Type": NDJSON}
        try:
            async with (
                asyncio.timeout(within),
                # A redirect would make a GET of a POST, and show the token to whomever it names.
                self._session.request(
                    method,
                    self._url,
                    params=self._query,
                    headers=headers,
                    data=body and BytesIO(body),  # aiohttp does not like to be given much at once
                    allow_redirects=False,
                    middlewares=(_once,),
                ) as response,
            ):
                if response.status != HTTPStatus.OK:
                    pause = wanted_pause(response.headers)
                    raise _EndedError(SERVER_ERROR if pause is None else TRY_LATER, response.status, pause)
                answer = _decode(await self._read(response))
        except msgspec.DecodeError as error:
            raise _EndedError(SERVER_ERROR, HTTPStatus.OK) from error
        except (OSError, aiohttp.ClientError) as error:
            raise _EndedError(ABNORMAL) from error
        if answer.status not in wanted:
            raise _EndedError(_CODES.get(answer.status, SERVER_ERROR), answer.status)
        if any(len(message) > self._limit for message in answer.messages):
            raise _EndedError(TOO_BIG)
        return answer

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        read = bytearray()
        async for piece in response.content.iter_any():
            read += piece
            if len(read) > self._limit * _ESCAPED:
                raise _EndedError(TOO_BIG, HTTPStatus.OK)
        return bytes(read)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp asks anew by itself when a connection that it kept breaks before an answer to a GET: the frames that the
    first answer carried would be missed, and nobody would know."""
    try:
        return await handler(request)
    except (OSError, aiohttp.ClientError) as error:
        raise _EndedError(ABNORMAL) from error


def _lines(frames: Iterable[bytes]) -> list[bytes]:
    """The first frames, as many as one body may hold (LP-9)."""
    lines: list[bytes] = []
    size = 0
    for frame in frames:
        line = b64encode(frame) if isinstance(frame, Binary) else frame
        size += len(line)
        if lines and (size > _BODY_BYTES or len(lines) == MOST_FRAMES):
            break
        lines.append(line)
    return lines


async def open_longpoll(session: aiohttp.ClientSession, call: ServerCall, options: ClientOptions) -> LongPollTransport:
    """Begins a session. Raises `ServiceError`."""
    transport = LongPollTransport(session, call, options)
    await transport.open(options.timeout_seconds)
    return transport
