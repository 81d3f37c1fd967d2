"""A real server whose sockets say what they hear, for tests of what lies below the protocol of Phoenix."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.transports import websocket
from antiphon.realtime.wire.base import Binary
from antiphon.telemetry.metrics import Metrics
from tests.phoenix import configured


class EchoSocket:
    """Stands where a socket with its channels would, and is its own serializer."""

    def __init__(self, _app: Phoenix, transport: Any, *_: Any) -> None:
        self._transport = transport
        self.serializer = self
        self.id = None
        self.expires_at = None

    def decode(self, data: str | bytes, max_depth: int) -> str | bytes:
        return data

    def receive(self, data: str | bytes) -> None:
        self._transport.send(data.encode() if isinstance(data, str) else Binary(data))

    def connection_lost(self) -> None:
        """Nothing was held."""


@asynccontextmanager
async def echoing(**settings: Any) -> AsyncIterator[int]:
    """The port of the server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(websocket, "Socket", EchoSocket)
        app = Phoenix(configured(**settings), metrics=Metrics())
        await app.listen("127.0.0.1", 0)
        try:
            yield app.port
        finally:
            await app.stop()
