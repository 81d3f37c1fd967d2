"""Connections: how they begin, how they are refused, every way they end; with hostile and slow clients too."""

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from tests.rules import rule
from tests.unit.realtime.transports.bytewise import HEADERS, KEY

HEARTBEAT = b'[null,"1","phoenix","heartbeat",{}]'


@pytest.fixture(params=["asyncio", "uvloop"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Flow control differs between event loops, and both are used."""
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


async def refused(live: Any, query: str = "vsn=2.0.0", **options: Any) -> int:
    with pytest.raises(InvalidStatus) as caught:
        await live.wire(query, **options)
    return caught.value.response.status_code


# --- how they begin -----------------------------------------------------------------------------------------------


@rule("TR-2", "TR-3")
@pytest.mark.parametrize("query", ["vsn=1.1.0", "vsn=3.0.0", "vsn=", "vsn[]=2.0.0"])
async def test_a_version_that_is_not_served_is_refused(live: Any, query: str) -> None:
    assert await refused(live, query) == 403


@rule("TR-3")
async def test_connect_is_not_called_for_a_wrong_version(live: Any) -> None:
    assert await refused(live, "vsn=3.0.0&crash=1") == 403


@rule("TR-6")
async def test_connect_sees_every_parameter(live: Any) -> None:
    wire = await live.wire("vsn=2.0.0&user[name]=ann&", additional_headers={"x-me": "1", "cookie": "secret=1"})
    assigns = (await wire.join("room:1", {"assigns": True}))[4]["response"]["assigns"]
    assert assigns["params"] == {"vsn": "2.0.0", "user": {"name": "ann"}}
    assert assigns["headers"]["x-me"] == "1"
    assert "cookie" not in assigns["headers"]


@rule("TR-9", "TR-10", "TR-12")
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("refuse=403", 403),
        ("refuse=429", 429),
        ("unavailable=1", 503),
        ("crash=1", 500),
        ("nonsense=1", 403),
        ("id=seven", 403),
    ],
)
async def test_how_connect_says_no(live: Any, query: str, status: int) -> None:
    assert await refused(live, f"vsn=2.0.0&{query}") == status
    assert f'antiphon_ws_refused_total{{status="{status}"}} 1.0'.encode() in live.metrics.render()


@rule("TR-7", "OR-8")
async def test_the_origin_is_looked_at_first(live: Any) -> None:
    assert await refused(live, "vsn=2.0.0&crash=1", origin="https://evil.com") == 403
    wire = await live.wire(origin="http://localhost:5173")
    await wire.nothing_more()


@rule("TR-7", "TR-8", "TR-13", "TR-14")
@pytest.mark.parametrize(
    ("target", "method", "headers", "status"),
    [
        ("/socket/websocket?vsn=2.0.0", "POST", HEADERS + KEY, 400),
        ("/socket/websocket?vsn=2.0.0", "GET", HEADERS, 400),
        ("/socket/websocket?vsn=2.0.0", "GET", HEADERS.replace("13", "12") + KEY, 400),
        ("/socket/websocket?vsn=2.0.0", "GET", "host: localhost\r\n", 400),
        ("/socket/websocket?vsn=2.0.0&a=%zz", "GET", HEADERS + KEY, 400),
        ("/elsewhere?vsn=2.0.0", "GET", HEADERS + KEY, 404),
        ("/elsewhere", "GET", "host: localhost\r\n", 404),
    ],
)
async def test_what_is_no_upgrade(live: Any, raw: Any, target: str, method: str, headers: str, status: int) -> None:
    client = await raw(live, upgrade=False)
    assert f" {status} " in await client.request(target, method, headers)


@rule("AU-3")
async def test_phoenix_is_answered(live: Any, wire: Any) -> None:
    assert wire.connection.subprotocol == "phoenix"
    assert (await live.wire(subprotocols=None)).connection.subprotocol is None


async def test_frames_sent_before_the_answer_are_kept(live: Any, raw: Any) -> None:
    client = await raw(live, upgrade=False)
    asking = asyncio.create_task(client.request("/socket/websocket?vsn=2.0.0&gate=door"))
    await live.reached("door")
    for _ in range(3):
        client.write(1, HEARTBEAT)
        await client.writer.drain()
    live.open("door")
    assert " 101 " in await asking
    for _ in range(3):
        assert json.loads((await client.frame())[1])[3] == "phx_reply"


async def test_a_client_that_goes_away_while_connect_runs_leaves_nothing(live: Any, raw: Any) -> None:
    client = await raw(live, upgrade=False)
    client.writer.write(f"GET /socket/websocket?vsn=2.0.0&gate=door HTTP/1.1\r\n{HEADERS}{KEY}\r\n".encode())
    await live.reached("door")
    client.writer.transport.abort()
    async with asyncio.timeout(5):
        while len(live.app.sockets):
            await asyncio.sleep(0.001)
    live.open("door")


async def test_a_defect_before_the_upgrade_is_refused_and_leaves_nothing(
    live: Any, raw: Any, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    def fails(*_: Any) -> bool:
        raise RuntimeError("the secret of the check")

    monkeypatch.setattr(live.app.admission.origins, "allows", fails)
    client = await raw(live, upgrade=False)
    assert " 500 " in await client.request("/socket/websocket?vsn=2.0.0")
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["realtime.connect_failed"]
    async with asyncio.timeout(5):
        while len(live.app.sockets):
            await asyncio.sleep(0.001)


# --- hostile input ------------------------------------------------------------------------------------------------


@rule("DC-7", "DC-8")
@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(1, HEARTBEAT, {"rsv1": True})], 1002),
        ([(0, b"x", {})], 1002),
        ([(1, b"x", {"fin": False}), (1, b"y", {})], 1002),
        ([(1, b"\xff\xfe", {})], 1007),
        ([(2, b"\x00", {})], 1011),
        ([(8, b"\x03", {})], 1002),
        ([(8, (1005).to_bytes(2, "big"), {})], 1002),
        ([(8, (1000).to_bytes(2, "big"), {})], 1000),
        ([(8, b"", {})], 1000),
    ],
)
async def test_close_codes(live: Any, raw: Any, frames: Any, code: int) -> None:
    client = await raw(live)
    for opcode, payload, options in frames:
        client.write(opcode, payload, **options)
    assert await client.close_code() == code


@rule("LM-1")
async def test_an_oversized_message_is_refused_by_its_header(serve: Any, raw: Any) -> None:
    live = await serve(max_message_bytes=4096)
    client = await raw(live)
    # Only the header of a frame of a gigabyte is ever sent.
    client.writer.write(bytes((0x81, 0xFF)) + (2**30).to_bytes(8, "big") + b"mask")
    assert await client.close_code() == 1009


@rule("LM-1")
async def test_a_client_that_sent_too_much_learns_why(live: Any, wire: Any) -> None:
    await wire.connection.send("x" * (3 * 1024 * 1024))
    assert await wire.closed() == 1009


@rule("DC-7")
async def test_what_follows_a_broken_frame_is_not_kept(live: Any, raw: Any) -> None:
    client = await raw(live)
    # The header of a message that is never finished, then a frame that breaks the protocol, then a flood.
    client.writer.write(bytes((0x81, 0xFE, 0xFF)))
    await client.writer.drain()
    client.writer.write(bytes((0xFF,)) + bytes(4) + b"x" * 0xFFFF + bytes((0xFF, 0xFF)))
    client.writer.write(bytes(4 * 1024 * 1024))
    await client.writer.drain()
    (connection,) = live.app.sockets._connections
    assert connection._parser._buffer is None or len(connection._parser._buffer) < 200_000
    assert await client.close_code() in {1002, 1011}


@rule("DC-7")
async def test_a_bad_frame_ends_the_connection_at_once_when_the_client_agrees(serve: Any, raw: Any) -> None:
    live = await serve(close_seconds=60.0)
    client = await raw(live)
    client.write(1, b"no json")
    client.write(1, HEARTBEAT)
    assert (await client.frame())[1] == (1011).to_bytes(2, "big")
    client.write(8, (1011).to_bytes(2, "big"))
    async with asyncio.timeout(5):
        assert await client.reader.read() == b""


@rule("HB-5")
async def test_pings_are_answered_also_between_fragments(live: Any, raw: Any) -> None:
    client = await raw(live)
    client.write(1, HEARTBEAT[:10], fin=False)
    client.write(9, b"mid")
    client.write(0, HEARTBEAT[10:])
    client.write(10, b"unasked")
    assert await client.frame() == (10, b"mid")
    assert json.loads((await client.frame())[1])[1] == "1"


async def test_a_frame_in_single_bytes_and_many_frames_in_one_packet(live: Any, raw: Any) -> None:
    client = await raw(live)
    data = Frame(Opcode.TEXT, HEARTBEAT).serialize(mask=True)
    for n in range(len(data)):
        client.writer.write(data[n : n + 1])
        await client.writer.drain()
    client.writer.write(data * 500)
    for _ in range(501):
        assert json.loads((await client.frame())[1])[3] == "phx_reply"


async def test_frames_after_a_close_are_not_handled(live: Any, raw: Any) -> None:
    client = await raw(live)
    client.write(8, b"")
    client.write(1, b'["1","1","room:1","phx_join",{}]')
    assert await client.close_code() == 1000
    assert live.app.members("room:1") == 0


# --- silence and slowness -----------------------------------------------------------------------------------------


@rule("HB-4", "HB-6")
async def test_a_silent_client_is_closed_with_1002(serve: Any, raw: Any) -> None:
    live = await serve(idle_seconds=0.2)
    quiet, talking = await raw(live), await raw(live)

    async def talk() -> None:
        while True:
            talking.write(9, b"")
            await asyncio.sleep(0.05)

    talker = asyncio.create_task(talk())
    assert await quiet.close_code() == 1002
    talking.write(1, HEARTBEAT)
    while (frame := await talking.frame())[0] == 10:
        pass
    assert frame[0] == 1
    talker.cancel()


async def test_a_client_that_does_not_answer_a_close_is_cut_off(serve: Any, raw: Any) -> None:
    live = await serve(idle_seconds=0.1, close_seconds=0.1)
    client = await raw(live)
    assert (await client.frame())[0] == 8
    async with asyncio.timeout(5):
        assert await client.reader.read() == b""
    assert not len(live.app.sockets)


async def test_a_connect_that_takes_too_long_is_refused(serve: Any, raw: Any) -> None:
    live = await serve(idle_seconds=0.1)
    client = await raw(live, upgrade=False)
    assert " 408 " in await client.request("/socket/websocket?vsn=2.0.0&gate=door")


async def publish_until_gone(live: Any, members: int, text: str) -> int:
    """Broadcasts until only `members` are left; returns how many it took."""
    for count in range(20_000):
        if live.app.members("room:1") == members:
            return count
        live.app.broadcast("room:1", "message", {"text": text})
        await asyncio.sleep(0)
    raise AssertionError("the slow client is still there")


@rule("BC-11")
async def test_a_slow_consumer_is_let_go_and_slows_nobody(serve: Any, raw: Any) -> None:
    live = await serve(blocked_bytes=256 * 1024)
    wire, slow = await live.wire(), await raw(live, receive_buffer=4096)
    await wire.join("room:1")
    slow.write(1, b'["1","1","room:1","phx_join",{}]')
    await slow.frame()
    reading = asyncio.create_task(collect(wire))
    count = await publish_until_gone(live, 1, "x" * 20_000)
    live.app.broadcast("room:1", "message", {"text": "end"})
    async with asyncio.timeout(10):
        assert await reading == count
    assert b'antiphon_ws_closed_total{code="1013"} 1.0' in live.metrics.render()
    assert await live.ended() == ("room:1", "closed")


async def collect(wire: Any) -> int:
    count = 0
    while (await wire.receive())[4] != {"text": "end"}:
        count += 1
    return count


@rule("BC-11")
async def test_a_client_that_takes_nothing_for_too_long_is_let_go(serve: Any, raw: Any) -> None:
    live = await serve(blocked_bytes=64 * 1024 * 1024, blocked_seconds=0.2)
    slow = await raw(live, receive_buffer=4096)
    slow.write(1, b'["1","1","room:1","phx_join",{}]')
    await slow.frame()
    for _ in range(400):
        live.app.broadcast("room:1", "message", {"text": "x" * 20_000})
    assert await live.ended() == ("room:1", "closed")
    assert b'antiphon_ws_closed_total{code="1013"} 1.0' in live.metrics.render()


async def test_a_channel_that_leaves_more_behind_than_its_client_takes_ends_once(serve: Any, raw: Any) -> None:
    live = await serve(blocked_bytes=64 * 1024)
    kept = live.room()
    live.app.route("kept", lambda: kept)
    slow = await raw(live, receive_buffer=4096)
    slow.write(1, b'["1","1","kept","phx_join",{}]')
    await slow.frame()
    live.app.broadcast("kept", "message", {"text": "x" * 8_000_000})
    await asyncio.sleep(0.01)
    live.app.broadcast("kept", "message", {"text": "x" * 100_000})
    kept.stop()
    assert await live.ended() == ("kept", "normal")
    assert live.ends.empty()
    assert b'antiphon_ws_closed_total{code="1013"} 1.0' in live.metrics.render()


async def test_a_client_that_was_slow_and_recovers_misses_nothing(serve: Any, raw: Any) -> None:
    live = await serve(blocked_bytes=64 * 1024 * 1024)
    slow = await raw(live, receive_buffer=4096)
    slow.write(1, b'["1","1","room:1","phx_join",{}]')
    await slow.frame()
    for n in range(600):
        live.app.broadcast("room:1", "message", {"n": n, "text": "x" * 20_000})
        if n % 10 == 0:
            await asyncio.sleep(0)
    for n in range(600):
        assert json.loads((await slow.frame())[1])[4]["n"] == n
    slow.write(1, HEARTBEAT)
    assert json.loads((await slow.frame())[1])[1] == "1"


async def test_a_client_that_never_reads_cannot_make_the_server_hoard_replies(serve: Any, raw: Any) -> None:
    live = await serve(blocked_seconds=0.3)
    greedy = await raw(live, receive_buffer=4096)
    greedy.write(1, b'["1","1","room:1","phx_join",{}]')
    await greedy.frame()
    question = json.dumps(["1", "2", "room:1", "echo", {"text": "x" * 20_000}]).encode()
    for _ in range(500):
        greedy.write(1, question)
    assert await live.ended() == ("room:1", "closed")
    assert b'antiphon_ws_closed_total{code="1013"} 1.0' in live.metrics.render()


# --- going away ---------------------------------------------------------------------------------------------------


@rule("DC-5")
async def test_drain_asks_every_socket_to_come_back_elsewhere(serve: Any) -> None:
    live = await serve(drain_batch=2, drain_pause=0.01)
    wires = [await live.wire() for _ in range(5)]
    await wires[0].join("room:1")
    await live.app.drain()
    assert [await wire.closed() for wire in wires] == [1012] * 5
    assert await live.ended() == ("room:1", "closed")
    assert await refused(live) == 503


@rule("DC-6")
async def test_a_server_that_stops_closes_with_1012(live: Any, wire: Any) -> None:
    await live.app.stop()
    assert await wire.closed() == 1012


async def test_gauges_follow_the_connections(live: Any, wire: Any) -> None:
    await wire.join("room:1")
    assert b"antiphon_ws_sockets 1.0" in live.metrics.render()
    assert b"antiphon_ws_channels 1.0" in live.metrics.render()
    await wire.connection.close()
    await live.ended()
    assert b"antiphon_ws_sockets 0.0" in live.metrics.render()
    assert b"antiphon_ws_channels 0.0" in live.metrics.render()
