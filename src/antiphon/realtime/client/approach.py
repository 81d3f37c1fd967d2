"""How a client comes in: with what holds at this moment, by a WebSocket, or by long-poll where none comes through."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress

import aiohttp

from antiphon.errors import ServiceError
from antiphon.realtime.client.frames import answers_heartbeat, decode_frame, encode_heartbeat
from antiphon.realtime.client.longpoll import open_longpoll
from antiphon.realtime.client.options import ClientOptions, Source, fresh
from antiphon.realtime.client.transport import UNANSWERED, ClientTransport, ServerCall
from antiphon.realtime.client.websocket import open_websocket
from antiphon.realtime.wire.base import BadFrameError
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)


class Approach:
    """Opens one transport after the other. What was found out about the way to the server is kept (JS-8): where a
    WebSocket has worked it is tried first every time, and where only long-poll did nothing else is tried again.
    """

    def __init__(
        self,
        url: str,
        params: Source[Mapping[str, str]],
        headers: Source[Mapping[str, str]],
        token: Source[str] | None,
        options: ClientOptions,
    ) -> None:
        self._url = url
        self._params = params
        self._headers = headers
        self._token = token
        self._options = options
        self._websocket_works = False
        self._by_longpoll = options.transport == "longpoll"

    async def open(self, session: aiohttp.ClientSession, refs: Iterator[str]) -> ClientTransport:
        """Raises `ServiceError`, with the time to wait when the server names one."""
        try:
            call = ServerCall(
                url=self._url,
                params=await fresh(self._params, "parameters of the connection"),
                headers=await fresh(self._headers, "headers of the connection"),
                token=None if self._token is None else await fresh(self._token, "token of the connection"),
            )
            return await self._open(session, call, refs)
        except (TypeError, ValueError, AttributeError):
            raise ServiceError("the parameters, headers and token of a connection must be texts") from None

    async def _open(self, session: aiohttp.ClientSession, call: ServerCall, refs: Iterator[str]) -> ClientTransport:
        if self._by_longpoll:
            return await open_longpoll(session, call, self._options)
        within = self._options.longpoll_fallback_seconds
        if within is None:
            return await open_websocket(session, call, self._options, self._options.timeout_seconds)
        try:
            transport = await open_websocket(session, call, self._options, within)
            if not self._websocket_works:
                await _prove(transport, next(refs), within)
        except ServiceError as error:
            if error.retry_after is not None:
                raise  # it is the server itself that answers, and asks to be left alone
            log.info("realtime.client_fell_back", problem=str(error))
        else:
            self._websocket_works = True
            return transport
        fallback = await open_longpoll(session, call, self._options)
        self._by_longpoll = not self._websocket_works
        return fallback


async def _prove(transport: ClientTransport, ref: str, within: float) -> None:
    """Some proxies open a WebSocket and let nothing through it: only an answer proves that it works."""
    answered = False
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await transport.send([encode_heartbeat(ref)])
                while not answered and (messages := await transport.receive()):
                    answered = any(_answers(data, ref) for data in messages)
    finally:
        if not answered:
            await transport.close(UNANSWERED)
    if not answered:
        raise ServiceError("the WebSocket opened, but no heartbeat was answered over it")


def _answers(data: str | bytes, ref: str) -> bool:
    try:
        return answers_heartbeat(decode_frame(data), ref)
    except BadFrameError:
        return False
