"""What is known of a connection over TLS, inside a uvicorn that somebody else has set up."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from antiphon.realtime.admission.connect import ConnectInfo
from antiphon.realtime.channel import Channel
from antiphon.realtime.phoenix import Phoenix
from antiphon.telemetry.metrics import Metrics
from tests.phoenix import configured
from tests.rules import rule


@pytest.fixture(params=["asyncio", "uvloop"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Each loop has a TLS of its own."""
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One for both ends, which sign for each other: a file with the certificate and one with its key."""
    folder = tmp_path_factory.mktemp("tls")
    shown, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    run(["openssl", "req", "-x509", *curve, *subject, "-keyout", key, "-out", shown], check=True, capture_output=True)
    return shown, key


class Served:
    """An application on somebody's uvicorn, and what its `on_connect` was told."""

    def __init__(self, app: Phoenix, port: int) -> None:
        self.app, self.port = app, port
        self.told: list[ConnectInfo] = []

        @app.on_connect
        async def told(info: ConnectInfo) -> None:
            self.told.append(info)


@pytest.fixture
async def served(certificate: tuple[Path, Path]) -> AsyncIterator[Served]:
    config = configured(connect_info=("peer", "uri"), origins="same-connection")
    app = Phoenix(config, metrics=Metrics())
    shown, key = certificate
    server = uvicorn.Server(
        uvicorn.Config(
            nothing_else,
            host="127.0.0.1",
            port=0,
            ws=app.protocol_class(),
            lifespan="off",
            log_config=None,
            ssl_certfile=shown,
            ssl_keyfile=str(key),
            ssl_ca_certs=str(shown),
            ssl_cert_reqs=ssl.CERT_OPTIONAL,
        )
    )
    serving = asyncio.create_task(server._serve())
    async with asyncio.timeout(5):
        while not server.started:
            await asyncio.sleep(0.001)
    yield Served(app, server.servers[0].sockets[0].getsockname()[1])
    await app.drain()
    server.should_exit = True
    await serving
    await app.stop()


async def nothing_else(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("only upgrades are sent")


def client(certificate: tuple[Path, Path], *, shows_its_own: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate[0])
    if shows_its_own:
        context.load_cert_chain(*certificate)
    return context


@rule("CI-1")
@pytest.mark.parametrize("shows_its_own", [True, False])
async def test_the_certificate_of_the_client_is_told(
    served: Served, certificate: tuple[Path, Path], shows_its_own: bool
) -> None:
    context = client(certificate, shows_its_own=shows_its_own)
    async with connect(f"wss://localhost:{served.port}/socket/websocket", ssl=context, proxy=None):
        pass
    (info,) = served.told
    assert info.uri is not None
    assert (info.uri.scheme, info.uri.host, info.uri.port) == ("https", "localhost", served.port)
    assert info.peer is not None
    expected = ssl.PEM_cert_to_DER_cert(certificate[0].read_text()) if shows_its_own else None
    assert info.peer.certificate == expected


@rule("OR-5")
async def test_the_same_connection_is_https(served: Served, certificate: tuple[Path, Path]) -> None:
    context, url = client(certificate, shows_its_own=False), f"wss://localhost:{served.port}/socket/websocket"
    async with connect(url, ssl=context, proxy=None, origin=Origin(f"https://localhost:{served.port}")):
        pass
    with pytest.raises(InvalidStatus):
        async with connect(url, ssl=context, proxy=None, origin=Origin(f"http://localhost:{served.port}")):
            pass


async def test_many_and_large_messages_pass_both_ways(served: Served, certificate: tuple[Path, Path]) -> None:
    class Echo(Channel):
        async def on_message(self, payload: Any, socket: Any) -> Any:
            return payload

    served.app.route("echo", Echo)
    context, url = client(certificate, shows_its_own=False), f"wss://localhost:{served.port}/socket/websocket"
    async with asyncio.timeout(5), connect(f"{url}?vsn=2.0.0", ssl=context, proxy=None) as wire:
        await wire.send('["1","0","echo","phx_join",{}]')
        await wire.recv()
        for n, size in enumerate([1, 10, 900_000, 1, 900_000, 1]):
            await wire.send(json.dumps(["1", n, "echo", "echo", "x" * size]))
            assert json.loads(await wire.recv())[4]["response"] == "x" * size
    assert wire.close_code == 1000
