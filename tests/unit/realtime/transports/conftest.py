"""Clients made of bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.unit.realtime.transports.bytewise import Raw


@pytest.fixture
async def raw() -> AsyncIterator[Callable[..., Any]]:
    opened: list[Raw] = []

    async def connect(live: Any, *, upgrade: bool = True, receive_buffer: int | None = None) -> Raw:
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", live.app.port))
        client = Raw(*await asyncio.open_connection(sock=plain, limit=2**12 if receive_buffer else 2**16))
        opened.append(client)
        if upgrade:
            assert " 101 " in await client.request("/socket/websocket?vsn=2.0.0")
        return client

    yield connect
    for client in opened:
        client.writer.transport.abort()
