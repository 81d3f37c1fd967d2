"""Frames over a WebSocket."""

import asyncio
import base64
from collections.abc import Iterable

import aiohttp

from antiphon.realtime.admission.connect import BEARER
from antiphon.realtime.client.options import ClientOptions
from antiphon.realtime.client.push import ConnectionLostError
from antiphon.realtime.client.transport import ServerCall, TransportName, refused, unreachable, wanted_pause
from antiphon.realtime.wire.base import Binary

_CLOSE_SECONDS = 2.0
"""How long the server may take to answer a close."""


class WebSocketTransport:
    """A `ClientTransport` made of an open socket."""

    name: TransportName = "websocket"
    retry_after: float | None = None
    """Once it is open a WebSocket has no word for it; that it closes with 1013 says as much."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ending: int | None = None

    @property
    def close_code(self) -> int | None:
        """See `ClientTransport`."""
        return self._socket.close_code

    async def receive(self) -> list[str | bytes]:
        """See `ClientTransport`."""
        message = await self._socket.receive()
        return [message.data] if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY} else []

    async def send(self, frames: Iterable[bytes]) -> int:
        """See `ClientTransport`."""
        frame = next(iter(frames))
        kind = aiohttp.WSMsgType.BINARY if isinstance(frame, Binary) else aiohttp.WSMsgType.TEXT
        try:
            await self._socket.send_frame(frame, kind)
        except (OSError, aiohttp.ClientError) as error:
            raise ConnectionLostError("the connection to the server broke while this was sent") from error
        return 1

    async def close(self, code: int) -> None:
        """See `ClientTransport`."""
        self._ending = self._ending or code
        await self._socket.close(code=self._ending)


async def open_websocket(
    session: aiohttp.ClientSession, call: ServerCall, options: ClientOptions, within: float
) -> WebSocketTransport:
    """Opens one. Raises `ServiceError`."""
    url = f"{call.url}/websocket"
    try:
        async with asyncio.timeout(within):
            socket = await session.ws_connect(
                url,
                params=call.query,
                headers=call.headers,
                protocols=("phoenix",) if call.token is None else ("phoenix", _bearer(call.token)),
                max_msg_size=options.max_message_bytes,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
            )
    except aiohttp.WSServerHandshakeError as error:
        raise refused(url, error.status, wanted_pause(error.headers)) from None
    except (OSError, aiohttp.ClientError) as error:
        raise unreachable(url) from error
    return WebSocketTransport(socket)


def _bearer(token: str) -> str:
    """The token as a sub-protocol: despite the name Phoenix reads the standard alphabet, without padding (AU-2)."""
    return BEARER + base64.b64encode(token.encode()).decode().rstrip("=")
