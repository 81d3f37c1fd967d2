"""The application by itself: what it registers, where it listens, how it stops."""

import asyncio
import socket
from typing import Any

import pytest
from pydantic import ValidationError as PydanticError

from antiphon.errors import ServiceError
from antiphon.realtime.channel import Channel
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.pubsub import PubSub
from antiphon.telemetry.metrics import Metrics
from tests.phoenix import configured


def application() -> Phoenix:
    metrics = Metrics()
    return Phoenix(metrics=metrics, pubsub=PubSub(metrics=metrics))


async def test_the_first_registered_channel_wins_and_assigns_are_its_own() -> None:
    app = application()

    @app.channel("room:*", kind="any")
    class Room(Channel):
        pass

    @app.channel("room:lobby")
    class Never(Channel):
        pass

    route = app.routes.find("room:lobby")
    assert route is not None
    assert (route.factory, route.assigns) == (Room, {"kind": "any"})


async def test_start_serves_until_stop_and_twice_is_fine() -> None:
    app = application()
    with pytest.raises(ServiceError, match="start it first"):
        _ = app.port
    serving = asyncio.create_task(app.start("127.0.0.1", 0))
    async with asyncio.timeout(5):
        while True:
            try:
                port = app.port
                break
            except ServiceError:
                await asyncio.sleep(0.001)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 404")
    writer.close()
    with pytest.raises(ServiceError, match="already serving"):
        await app.listen("127.0.0.1", 0)
    await app.stop()
    await app.stop()
    await serving
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_an_application_serves_again_after_a_stop() -> None:
    app = application()
    for _ in range(2):
        await app.listen("127.0.0.1", 0)
        assert not app.entrance.closed
        await app.stop()


async def test_an_address_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"cannot listen on 127\.0\.0\.1:{port} .*: choose another"):
            await application().listen("127.0.0.1", port)


async def test_a_broadcast_to_nobody_is_still_checked() -> None:
    app = application()
    app.broadcast("room:1", "message", {"n": 1})
    with pytest.raises(TypeError, match="object"):
        app.broadcast("room:1", "message", "text")
    with pytest.raises(ValueError, match="phx_"):
        app.broadcast("room:1", "phx_close", {})
    assert app.members("room:1") == 0


@pytest.mark.parametrize("settings", [{"idle_seconds": 0}, {"mount": "socket"}, {"mount": "/socket/"}, {"nonsense": 1}])
def test_settings_that_make_no_sense_are_refused(settings: Any) -> None:
    with pytest.raises(PydanticError):
        configured(**settings)
