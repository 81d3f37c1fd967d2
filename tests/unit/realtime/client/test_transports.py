"""What holds on both transports, and how a client finds the one that comes through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from antiphon.errors import ServiceError
from antiphon.realtime.client.options import ClientOptions
from antiphon.realtime.client.phoenix import PhoenixClient
from antiphon.realtime.client.push import ConnectionLostError
from tests.proxy import Proxy
from tests.rules import rule


@rule("LP-16", "MD-4", "LP-9")
async def test_frames_keep_their_order_however_many_go_at_once(live: Any, client_of: Any, transport: str) -> None:
    client = await client_of(live, transport=transport)
    assert client.transport == transport
    channel = client.channel("room:after", {"answer": {"hello": 1}})
    heard: list[Any] = []
    channel.on("message", lambda event, payload: heard.append(payload["n"]))
    channel.on("welcome", lambda event, payload: heard.append(payload["topic"]))
    assert await channel.join() == {"hello": 1}
    async with asyncio.TaskGroup() as pushing:
        for n in range(250):
            pushing.create_task(channel.send("broadcast", {"n": n, "text": "x" * (n % 7) * 1000}))
    await channel.push("echo", {})
    assert heard == ["room:after", *range(250)]
    await channel.leave()
    assert live.app.members("room:after") == 0


@rule("LP-9", "BN-1")
async def test_bytes_reach_the_server(live: Any, client_of: Any, transport: str) -> None:
    channel = (await client_of(live, transport=transport)).channel("room:1")
    await channel.join()
    assert await channel.request("size", b"\x00\xff[\n") == await channel.request("size", b"1234")


@rule("JS-2", "LP-14")
async def test_who_is_sent_away_comes_back_and_resumes(live: Any, client_of: Any, until: Any, transport: str) -> None:
    states: list[str] = []
    client = await client_of(live, transport=transport, params={"id": "ann"}, on_status=states.append)
    payloads: list[Any] = []

    async def payload() -> Any:
        payloads.append(len(payloads))
        return {"answer": {"cursor": f"c{len(payloads)}", "recovered": True}}

    recovered: list[bool] = []
    channel = client.channel("room:1", payload, resume=True)
    channel.on_recovered = recovered.append
    await channel.join()
    waiting = asyncio.create_task(channel.push("gated", {"gate": "never"}))
    await live.reached("never")
    live.app.disconnect("ann")
    with pytest.raises(ConnectionLostError):
        await waiting
    await until(lambda: recovered == [True])
    assert states == ["connected", "reconnecting", "connected"]
    assert client.close_code == {"websocket": 1001, "longpoll": 3410}[transport]
    assert client.transport == transport
    assert await channel.push("echo", {"n": 1}) == {"n": 1}


@rule("JS-3", "HB-1", "LP-15")
async def test_heartbeats_are_answered(live: Any, client_of: Any, until: Any, transport: str) -> None:
    states: list[str] = []
    client = await client_of(live, transport=transport, heartbeat_seconds=0.1, on_status=states.append)
    before = live.app.frames_received
    await until(lambda: live.app.frames_received >= before + 4)
    assert states == ["connected"]
    assert client.connected


@rule("LV-1")
async def test_who_closes_is_gone_at_once(live: Any, client_of: Any, transport: str) -> None:
    client = await client_of(live, transport=transport)
    for topic in ("room:1", "room:2"):
        await client.channel(topic).join()
    await client.close()
    assert {await live.ended(), await live.ended()} == {
        (topic, {"websocket": "closed", "longpoll": "left"}[transport]) for topic in ("room:1", "room:2")
    }


async def test_closing_does_not_wait_for_a_server_that_says_nothing(live: Any, client_of: Any, transport: str) -> None:
    async with Proxy("127.0.0.1", live.app.port) as proxy:
        client = await client_of(proxy.port, transport=transport)
        await client.channel("room:1").join()
        proxy.pause()
        async with asyncio.timeout(4):
            await client.close()
        proxy.resume()


@rule("AU-1", "AU-6")
@pytest.mark.parametrize("token", ["a.b-c_d", "ü>~~>", "€"])
async def test_a_token_is_the_same_text_by_every_way(serve: Any, client_of: Any, transport: str, token: str) -> None:
    live = await serve(longpoll=True, auth_token=True)
    seen: list[Any] = []

    async def let_in(info: Any) -> Any:
        seen.append((info.auth_token, dict(info.params)))
        return {}

    live.app.on_connect(let_in)
    await client_of(live, transport=transport, token=token, params={"token": "another"})
    assert seen == [(token, {"token": "another", "vsn": "2.0.0"})]


@pytest.mark.parametrize("wrong", [{"params": {"a": None}}, {"headers": {"a": 1}}, {"token": 7}, {"token": "\ud800"}])
async def test_what_no_request_can_say_is_one_sentence(
    live: Any, client_of: Any, transport: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ServiceError, match="must be texts"):
        await client_of(live, transport=transport, **wrong)


async def test_a_server_that_restarts_is_found_again(serve: Any, client_of: Any, until: Any, transport: str) -> None:
    first = await serve(longpoll=True)
    client = await client_of(first, transport=transport)
    channel = client.channel("room:1")
    await channel.join()
    port = first.app.port
    await first.app.stop()
    again = type(first)(first.app.config)
    await again.app.listen("127.0.0.1", port)
    try:
        await until(lambda: channel.joined and client.connected and again.app.members("room:1") == 1)
        assert await channel.push("echo", {"n": 1}) == {"n": 1}
    finally:
        await client.close()
        await again.app.stop()


# The way that comes through


class Gateway:
    """A proxy as there are many: it passes requests on, and has its own idea of WebSockets."""

    def __init__(self, target: int, *, upgrade: str) -> None:
        self.port = 0
        self.upgrades = 0
        self.upgrade = upgrade
        self._target = target

    async def take(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            self.upgrades += 1
            if self.upgrade == "refused":
                return web.Response(status=403, text="no upgrades here")
            if self.upgrade == "busy":
                return web.Response(status=503, headers={"Retry-After": "7"})
            return await self._websocket(request)
        return await self._forward(request)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        """Takes it, and lets something through only when it is `open`."""
        socket = web.WebSocketResponse(protocols=["phoenix"])
        await socket.prepare(request)
        url = f"http://127.0.0.1:{self._target}{request.path_qs}"
        async with aiohttp.ClientSession() as far, far.ws_connect(url, protocols=("phoenix",)) as there:
            answers = asyncio.create_task(self._back(there, socket))
            async for message in socket:
                if self.upgrade == "open":
                    await there.send_str(message.data)
            answers.cancel()
            await asyncio.wait([answers])
        return socket

    async def _back(self, there: aiohttp.ClientWebSocketResponse, socket: web.WebSocketResponse) -> None:
        async for message in there:
            await socket.send_str(message.data)
        await socket.close(code=1012)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        url = f"http://127.0.0.1:{self._target}{request.path_qs}"
        headers = {name: value for name, value in request.headers.items() if name not in {"Host", "Content-Length"}}
        async with (
            aiohttp.ClientSession() as far,
            far.request(request.method, url, headers=headers, data=body or None) as answer,
        ):
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")


@pytest.fixture
async def gateway(live: Any, clients: AsyncExitStack) -> AsyncIterator[Gateway]:
    gateway = Gateway(live.app.port, upgrade="refused")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", gateway.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway.port = runner.addresses[0][1]
    yield gateway
    await clients.aclose()
    await runner.cleanup()


@rule("JS-8")
@pytest.mark.parametrize("upgrade", ["refused", "deaf"])
async def test_where_no_websocket_comes_through_it_goes_by_long_poll_and_remembers(
    live: Any, gateway: Gateway, client_of: Any, until: Any, upgrade: str
) -> None:
    gateway.upgrade = upgrade
    states: list[str] = []
    client: Any = await client_of(
        gateway.port, longpoll_fallback_seconds=0.3, params={"id": "ann"}, on_status=states.append
    )
    assert client.transport == "longpoll"
    channel = client.channel("room:1")
    await channel.join()
    live.app.disconnect("ann")
    await until(lambda: states == ["connected", "reconnecting", "connected"] and channel.joined)
    await client.close()
    await client.connect()
    assert client.transport == "longpoll"
    assert gateway.upgrades == 1
    await client.close()
    assert client.transport is None


async def test_nothing_falls_back_that_was_not_told_to(gateway: Gateway, client_of: Any) -> None:
    with pytest.raises(ServiceError, match="websocket refused the connection with HTTP 403"):
        await client_of(gateway.port)
    assert gateway.upgrades == 1


async def test_a_server_that_asks_to_be_left_alone_is_not_asked_in_another_way(
    gateway: Gateway, client_of: Any
) -> None:
    gateway.upgrade = "busy"
    with pytest.raises(ServiceError, match="HTTP 503") as caught:
        await client_of(gateway.port, longpoll_fallback_seconds=0.3)
    assert caught.value.retry_after == 7.0


@rule("JS-8")
async def test_where_a_websocket_has_worked_it_is_tried_first_again(
    live: Any, gateway: Gateway, client_of: Any, until: Any
) -> None:
    gateway.upgrade = "open"
    client = await client_of(gateway.port, longpoll_fallback_seconds=2.0, params={"id": "ann"})
    assert client.transport == "websocket"
    gateway.upgrade = "refused"
    live.app.disconnect("ann")
    await until(lambda: client.transport == "longpoll")
    gateway.upgrade = "open"
    live.app.disconnect("ann")
    await until(lambda: client.transport == "websocket")


async def test_a_server_that_is_not_there_is_told_of_the_last_way_that_was_tried(free_port: int) -> None:
    client = PhoenixClient(f"http://127.0.0.1:{free_port}/socket", options=ClientOptions(longpoll_fallback_seconds=0.3))
    with pytest.raises(ServiceError, match="longpoll: is the server running"):
        await client.connect()
