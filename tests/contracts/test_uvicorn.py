"""uvicorn's protocol interface is no documented contract: this proves what the WebSocket engine relies on.

If one of these fails after an upgrade, widen or narrow the range in pyproject.toml accordingly.
"""

import asyncio
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import pytest
import uvicorn
from packaging.requirements import Requirement
from websockets.asyncio.client import connect

from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.transports.handshake import accept, parse_request, problem
from antiphon.telemetry.metrics import Metrics

KEYWORDS = {"config", "server_state", "app_state"}


class Recorder(asyncio.Protocol):
    """Stands where the engine's protocol class stands and notes what uvicorn does."""

    calls: ClassVar[list[Any]]

    def __init__(self, **keywords: Any) -> None:
        self.keywords = keywords
        self.calls.append(("init", set(keywords)))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.keywords["server_state"].connections.add(self)
        self.calls.append("connection_made")

    def data_received(self, data: bytes) -> None:
        self.calls.append(data)
        if data.startswith(b"GET"):
            self.transport.write(accept(parse_request(data)))
        else:
            self.transport.write(b"\x81\x02hi")

    def connection_lost(self, exc: Any) -> None:
        self.keywords["server_state"].connections.discard(self)
        self.calls.append("connection_lost")

    def shutdown(self) -> None:
        self.calls.append("shutdown")
        self.transport.write(b"\x88\x02\x03\xf4")
        self.transport.close()


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(params=["asyncio", "uvloop"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


async def serve(protocol: type[asyncio.Protocol]) -> tuple[uvicorn.Server, asyncio.Task[None], int]:
    config = uvicorn.Config(
        answer,
        host="127.0.0.1",
        port=0,
        http="httptools",
        ws=protocol,
        lifespan="off",
        log_config=None,
        interface="asgi3",
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(5):
        while not server.started:
            await asyncio.sleep(0.001)
    return server, task, server.servers[0].sockets[0].getsockname()[1]


def test_the_installed_version_is_in_the_range_that_was_proved() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    wanted = next(found for found in map(Requirement, project["dependencies"]) if found.name == "uvicorn")
    assert wanted.specifier.contains(version("uvicorn"))
    assert any(part.operator in {"<", "=="} for part in wanted.specifier), "the range must have an upper end"


async def test_the_class_is_made_with_these_keywords_then_given_transport_request_and_frames() -> None:
    class Mine(Recorder):
        calls: ClassVar[list[Any]] = []

    server, task, port = await serve(Mine)
    async with connect(f"ws://127.0.0.1:{port}/any/path?a=%20b", proxy=None) as client:
        await client.send("hello")
        assert await client.recv() == "hi"
        # A connection in this set is what a graceful stop waits for and calls `shutdown` on.
        connections: set[Any] = set(server.server_state.connections)
        assert [type(each) for each in connections] == [Mine]
        server.should_exit = True
        await client.wait_closed()
        assert client.close_code == 1012
    await task
    (init, keywords), made, request, *rest = Mine.calls
    assert (init, made) == ("init", "connection_made")
    assert keywords >= KEYWORDS
    parsed = parse_request(request)
    assert (parsed.method, parsed.path, parsed.query) == ("GET", "/any/path", "a=%20b")
    assert problem(parsed.headers) is None
    assert rest.index("shutdown") < rest.index("connection_lost")


async def test_the_application_shares_its_port_with_sockets() -> None:
    app = Phoenix(metrics=Metrics())
    server, task, port = await serve(app.protocol_class())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
    assert (await reader.read()).endswith(b"ok")
    writer.close()
    async with connect(f"ws://127.0.0.1:{port}/socket/websocket?vsn=2.0.0", proxy=None) as client:
        await client.send('[null,"1","phoenix","heartbeat",{}]')
        assert await client.recv() == '[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]'
        server.should_exit = True
        await client.wait_closed()
        assert client.close_code == 1012
    await task
    assert not server.server_state.connections
    await app.stop()
