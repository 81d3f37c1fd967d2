"""The client as a whole: how it comes in, comes back, and ends."""

import asyncio
import base64
import random
from typing import Any

import pytest

from antiphon.errors import ServiceError
from antiphon.realtime.client.options import ClientOptions
from antiphon.realtime.client.phoenix import PhoenixClient
from antiphon.realtime.client.push import ConnectionLostError
from tests.rules import rule


async def test_join_push_listen_leave(live: Any, client_of: Any, until: Any) -> None:
    client = await client_of(live, params={"who": "ann"})
    channel = client.channel("room:1", {"answer": {"hello": 1}})
    events: list[Any] = []
    channel.on("message", lambda event, payload: events.append((event, payload)))
    channel.on(None, lambda event, payload: events.append(event))
    assert await channel.join() == {"hello": 1}
    assert await channel.push("echo", {"n": 1}) == {"n": 1}
    live.app.broadcast("room:1", "message", {"n": 2})
    await until(lambda: len(events) == 2)
    assert events == [("message", {"n": 2}), "message"]
    await channel.leave()
    assert not channel.joined
    assert await live.ended() == ("room:1", "left")


# Coming in


async def test_a_server_that_is_not_there_is_one_sentence(free_port: int) -> None:
    with pytest.raises(ServiceError, match="is the server running"):
        await PhoenixClient(f"http://127.0.0.1:{free_port}/socket").connect()


@rule("TR-9")
async def test_a_server_that_refuses_is_one_sentence_without_a_secret(live: Any, client_of: Any) -> None:
    with pytest.raises(ServiceError, match="HTTP 429") as caught:
        await client_of(live, params={"refuse": "429", "token": "the secret"})
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_a_server_that_does_not_answer_is_given_up(client_of: Any) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    with pytest.raises(ServiceError, match="is the server running"):
        await client_of(server.sockets[0].getsockname()[1], timeout_seconds=0.05)
    server.close()


@rule("AU-1", "AU-2", "TR-2")
@pytest.mark.parametrize("token", ["a", "ab", "abc", "ü>~~>", "x" * 500])
async def test_a_token_goes_as_a_sub_protocol_and_not_into_the_address(
    scripted: Any, client_of: Any, token: str
) -> None:
    await client_of(scripted.port, params={"a b": "ü&="}, headers={"X-Trace": "7"}, token=token)
    (request,) = scripted.requests
    phoenix, bearer = request.headers["Sec-WebSocket-Protocol"].replace(" ", "").split(",")
    code = bearer.removeprefix("base64url.bearer.phx.")
    assert phoenix == "phoenix"
    assert "=" not in code
    assert base64.b64decode(code + "=" * (-len(code) % 4)).decode() == token
    assert request.headers["X-Trace"] == "7"
    assert request.path == "/socket/websocket?a+b=%C3%BC%26%3D&vsn=2.0.0"


@rule("AU-2")
async def test_a_token_may_need_the_whole_alphabet(live: Any, client_of: Any) -> None:
    """A slash has no place in a sub-protocol; Phoenix reads no other alphabet all the same, and we read both."""
    assert (await client_of(live, token="???>>>")).connected


async def test_every_connection_asks_anew_with_what_to_come_in(scripted: Any, client_of: Any) -> None:
    count = 0

    async def token() -> str:
        nonlocal count
        count += 1
        if count == 2:
            raise RuntimeError("the vault is closed")
        return f"t{count}"

    await client_of(scripted.port, params=lambda: {"n": str(count)}, headers=lambda: {"X-N": str(count)}, token=token)
    await (await scripted.accept()).close(1001)
    await scripted.accept()
    first, second = scripted.requests
    assert ("n=0" in first.path, first.headers["X-N"]) == (True, "0")
    # The second try asked a vault that was closed: what is not to be had is tried again, too.
    assert ("n=2" in second.path, second.headers["X-N"]) == (True, "2")
    assert base64.b64decode(second.headers["Sec-WebSocket-Protocol"].rpartition(".")[2] + "==").decode() == "t3"


async def test_it_connects_once(live: Any, client_of: Any) -> None:
    client = await client_of(live)
    with pytest.raises(ServiceError, match="connected already"):
        await client.connect()
    await client.close()
    await client.close()
    with pytest.raises(ServiceError, match="call connect first"):
        await client.channel("room:1").join()


# Coming back


async def test_after_a_break_it_comes_back_and_asks_again_what_to_join_with(
    live: Any, client_of: Any, until: Any
) -> None:
    states: list[str] = []
    client = await client_of(live, params={"id": "ann"}, on_status=states.append)
    joins: list[Any] = []
    channel = client.channel("room:1", lambda: {"answer": {"join": len(joins) + 1}})
    channel.on_joined = joins.append
    await channel.join()
    for count in (2, 3):
        live.app.disconnect("ann")
        await until(lambda count=count: len(joins) == count)
    assert joins == [{"join": 1}, {"join": 2}, {"join": 3}]
    assert states == ["connected", "reconnecting", "connected", "reconnecting", "connected"]
    assert await channel.push("echo", {"n": 1}) == {"n": 1}
    await client.close()
    assert states[-1] == "closed"


@rule("JS-7", "DC-2", "DC-5")
@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4321])
async def test_whatever_the_server_closes_with_it_comes_back(scripted: Any, client_of: Any, code: int) -> None:
    client = await client_of(scripted.port)
    await (await scripted.accept()).close(code)
    await scripted.accept()
    assert client.close_code == code


@rule("DC-5")
@pytest.mark.parametrize(("code", "spread"), [(1001, False), (1012, True), (1013, True)])
async def test_clients_that_were_sent_away_together_do_not_come_back_together(
    scripted: Any, client_of: Any, monkeypatch: Any, code: int, spread: bool
) -> None:
    taken: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        taken.append((low, high))
        return high

    monkeypatch.setattr(random, "uniform", uniform)
    await client_of(scripted.port, spread_seconds=0.07)
    began = asyncio.get_running_loop().time()
    await (await scripted.accept()).close(code)
    await scripted.accept()
    assert ((0, 0.07) in taken) is spread
    assert not spread or asyncio.get_running_loop().time() - began >= 0.07


async def test_a_server_that_names_a_time_is_not_asked_before(scripted: Any, client_of: Any) -> None:
    await client_of(scripted.port)
    scripted.refusals += [(503, {"Retry-After": "1"}), (503, {"Retry-After": "soon"})]
    began = asyncio.get_running_loop().time()
    await (await scripted.accept()).close(1001)
    await scripted.accept()
    assert asyncio.get_running_loop().time() - began >= 1.0
    assert len(scripted.requests) == 4


@rule("JS-1")
async def test_a_server_that_lets_in_and_throws_out_is_asked_ever_less(scripted: Any, client_of: Any) -> None:
    pauses = (0.0, 0.0, 0.0, 0.3)
    await client_of(scripted.port, reconnect_seconds=pauses)
    for _ in pauses:
        await (await scripted.accept()).close(1011)
    began = asyncio.get_running_loop().time()
    await scripted.accept()
    assert asyncio.get_running_loop().time() - began >= 0.14


async def test_a_push_under_way_when_the_connection_breaks_fails(live: Any, client_of: Any) -> None:
    client = await client_of(live, params={"id": "ann"})
    channel = client.channel("room:1")
    await channel.join()
    pushing = asyncio.create_task(channel.push("gated", {"gate": "never"}))
    await live.reached("never")
    live.app.disconnect("ann")
    with pytest.raises(ConnectionLostError, match="broke before the answer"):
        await pushing


async def test_it_knows_with_what_code_its_connection_ended(serve: Any, client_of: Any, until: Any) -> None:
    live = await serve(max_message_bytes=1024)
    told: list[str] = []
    client: PhoenixClient = await client_of(live, on_status=told.append)
    channel = client.channel("room:1")
    await channel.join()
    assert client.close_code is None
    with pytest.raises(ConnectionLostError):
        await channel.push("echo", {"text": "x" * 5000})
    await until(lambda: told[:3] == ["connected", "reconnecting", "connected"])
    assert client.close_code == 1009


@rule("JS-5", "JS-10")
async def test_a_reply_on_another_topic_is_none(scripted: Any, client_of: Any) -> None:
    client = await client_of(scripted.port)
    server = await scripted.accept()
    joining = asyncio.create_task(client.channel("room:1").join())
    join_ref, ref, *_ = await scripted.hear(server)
    assert join_ref == ref == "1"
    answer = {"status": "ok", "response": {"n": 1}}
    await scripted.say(server, join_ref, ref, "room:2", "phx_reply", answer)
    await scripted.say(server, join_ref, "9", "room:1", "phx_reply", answer)
    await scripted.say(server, join_ref, ref, "room:1", "phx_reply", answer | {"response": {"n": 2}})
    assert await joining == {"n": 2}


# Ending


async def test_closing_ends_what_waits(scripted: Any, client_of: Any) -> None:
    client = await client_of(scripted.port)
    server = await scripted.accept()
    channel, refused = client.channel("room:1"), client.channel("room:2")
    joining = asyncio.create_task(channel.join())
    await scripted.answer(server)
    await joining
    waiting = [asyncio.create_task(work) for work in (channel.push("echo"), refused.join())]
    await scripted.hear(server)
    await scripted.hear(server)
    await client.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(result) for result in results] == ["the client was closed"] * 2
    assert server.close_code == 1000
    with pytest.raises(ServiceError, match="is not joined"):
        await channel.push("echo")


async def test_closing_while_it_tries_to_come_back(scripted: Any, client_of: Any, until: Any) -> None:
    states: list[str] = []
    client = await client_of(scripted.port, on_status=states.append, reconnect_seconds=(100.0,))
    server = await scripted.accept()
    channel = client.channel("room:1")
    await server.close(1001)
    await until(lambda: "reconnecting" in states)
    joining = asyncio.create_task(channel.join())
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(ServiceError):
        await joining
    assert states == ["connected", "reconnecting", "closed"]


async def test_a_listener_of_its_state_that_raises_harms_nothing(scripted: Any, client_of: Any) -> None:
    reports: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context["exception"]))
    await client_of(scripted.port, on_status=lambda status: {}[status])
    await (await scripted.accept()).close(1001)
    await scripted.accept()
    asyncio.get_running_loop().set_exception_handler(None)
    assert [str(report) for report in reports] == ["'connected'", "'reconnecting'"]


def test_its_defaults_are_those_of_phoenix_js() -> None:
    options = ClientOptions()
    assert (options.timeout_seconds, options.heartbeat_seconds) == (10, 30)
