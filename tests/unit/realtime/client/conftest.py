"""Clients of a test, and servers that misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from antiphon.realtime.client.channel import ClientChannel
from antiphon.realtime.client.options import ClientOptions
from antiphon.realtime.client.phoenix import PhoenixClient

QUICK = ClientOptions(reconnect_seconds=(0.01,), spread_seconds=0.01, rejoin_seconds=(0.01,))

ClientOf = Callable[..., Awaitable[PhoenixClient]]
Until = Callable[[Callable[[], Any]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Waits until something holds."""

    async def wait(condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)

    return wait


@pytest.fixture(params=["websocket", "longpoll"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each of them, for what holds on both."""
    return str(request.param)


@pytest.fixture
async def live(serve: Any) -> Any:
    """A server with the usual settings, by both transports."""
    return await serve(longpoll=True)


@pytest.fixture
async def clients() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def client_of(clients: AsyncExitStack) -> ClientOf:
    """A connected client of a server (what has an `app`), or of a port. Options by name go into its `ClientOptions`."""

    async def open_client(live: Any, **options: Any) -> PhoenixClient:
        port = live if isinstance(live, int) else live.app.port
        own = {name: options.pop(name) for name in list(options) if name in ClientOptions.__struct_fields__}
        client = PhoenixClient(
            f"http://127.0.0.1:{port}/socket", options=msgspec.structs.replace(QUICK, **own), **options
        )
        clients.push_async_callback(client.close)
        await client.connect()
        return client

    return open_client


class Scripted:
    """A server that does only what a test tells it to: it may be wrong, late or silent."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Request] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []
        """Answers to the next connections, before one is let in."""
        self.arrived: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def accept(self) -> ServerConnection:
        """The next connection."""
        async with asyncio.timeout(5):
            return await self.arrived.get()

    async def joined(self, channel: ClientChannel) -> ServerConnection:
        """The next connection, once the channel is joined on it."""
        connection = await self.accept()
        joining = asyncio.create_task(channel.join())
        await self.answer(connection)
        await joining
        return connection

    async def hear(self, connection: ServerConnection) -> Any:
        """The next frame, decoded if it is JSON."""
        async with asyncio.timeout(5):
            data = await connection.recv()
        return json.loads(data) if isinstance(data, str) else data

    async def say(self, connection: ServerConnection, *frame: Any) -> None:
        await connection.send(json.dumps(frame))

    async def answer(self, connection: ServerConnection, response: Any = None, status: str = "ok") -> Any:
        """Answers the next frame and returns it."""
        join_ref, ref, topic, event, payload = await self.hear(connection)
        await self.say(connection, join_ref, ref, topic, "phx_reply", {"status": status, "response": response or {}})
        return [join_ref, ref, topic, event, payload]

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if not self.refusals:
            return None
        status, headers = self.refusals.pop(0)
        return Response(status, "as told", Headers({**headers, "Content-Length": "0"}), b"")

    async def take(self, connection: ServerConnection) -> None:
        self.arrived.put_nowait(connection)
        await connection.wait_closed()


@pytest.fixture
async def scripted(clients: AsyncExitStack) -> Scripted:
    """Closed before the clients are: they must cope with that too."""
    made = Scripted()
    server = await clients.enter_async_context(
        serve(
            made.take,
            "127.0.0.1",
            0,
            process_request=made.refuse,
            subprotocols=[Subprotocol("phoenix")],
            ping_interval=None,
            close_timeout=0.2,
        )
    )
    made.port = next(iter(server.sockets)).getsockname()[1]
    return made
