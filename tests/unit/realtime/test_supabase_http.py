"""What clients of Supabase say over HTTP, without having joined; `tests/wire/foreign` has the clients themselves."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.errors import ServiceError
from antiphon.realtime import supabase_http
from antiphon.realtime.admission.connect import Access, ConnectInfo, Refused
from antiphon.realtime.brokers.memory import MemoryBroker, MemoryHub
from antiphon.realtime.channel import Channel, Rejected
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.realtime.supabase import RealtimeChannel
from tests.rules import rule
from tests.unit.realtime.transports.hosting import uvicorn_serves

TOPIC = "realtime:room:1"
JSON, BYTES = {"content-type": "application/json"}, {"content-type": "application/octet-stream"}
UNAUTHORIZED = {"message": "Unauthorized"}
BLANK, INVALID = ["can't be blank"], ["is invalid"]
SINGLE = "/room%3A1/events/shout"

Ask = Callable[..., Awaitable[tuple[int, Any]]]


def message(n: int = 1, **more: Any) -> dict[str, Any]:
    return {"topic": "room:1", "event": "shout", "payload": {"n": n}, **more}


def heard(n: int = 1, **more: Any) -> list[Any]:
    """What a member that speaks version 1 has of it."""
    return ["realtime:room:1", "broadcast", {"type": "broadcast", "event": "shout", "payload": {"n": n}, **more}]


class Poster:
    """Asks a server for what is said to be heard; keeps the headers of the last answer."""

    def __init__(self, http: aiohttp.ClientSession, port: int) -> None:
        self._http = http
        self._url = f"http://127.0.0.1:{port}/realtime/v1/api/broadcast"
        self.headers: dict[str, str] = {}

    async def post(
        self, body: Any, path: str = "", *, method: str = "POST", key: str | None = "key", **headers: str
    ) -> tuple[int, Any]:
        """Status and body of the answer."""
        sent = {**JSON, **({} if key is None else {"apikey": key})}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with (
            asyncio.timeout(10),
            self._http.request(method, self._url + path, data=data, headers=sent) as answer,
        ):
            self.headers = {name.lower(): value for name, value in answer.headers.items()}
            text = await answer.read()
            return answer.status, json.loads(text) if text else None

    async def say(self, *messages: Any, **headers: Any) -> tuple[int, Any]:
        return await self.post({"messages": list(messages)}, **headers)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def poster(live: Any, http: aiohttp.ClientSession) -> Poster:
    live.app.serve_supabase()
    return Poster(http, live.app.port)


async def member(live: Any, topic: str = TOPIC, vsn: str = "1.0.0", **config: Any) -> Any:
    """A client that has joined."""
    wire = await live.wire(f"apikey=member&vsn={vsn}", "/realtime/v1", subprotocols=None)
    frame = {"topic": topic, "event": "phx_join", "ref": "1", "payload": {"config": config}}
    payload = {"config": {"presence": {"enabled": False}, **config}}
    await wire.connection.send(
        json.dumps(frame | {"payload": payload} if vsn == "1.0.0" else ["1", "1", topic, "phx_join", payload])
    )
    answer = await wire.receive()
    assert (answer["payload"] if vsn == "1.0.0" else answer[4])["status"] == "ok"
    return wire


async def hears(wire: Any) -> list[Any]:
    """The next frame of version 1, without what every broadcast has alike."""
    frame = await wire.receive()
    assert frame["ref"] is None
    return [frame["topic"], frame["event"], frame["payload"]]


async def quiet(wire: Any) -> None:
    """Nothing was said until now."""
    await wire.connection.send('{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"b"}')
    assert (await wire.receive())["event"] == "phx_reply"


# --- what is said -------------------------------------------------------------------------------------------------


@rule("SB-3", "SB-4")
async def test_everybody_in_the_topic_hears_it_in_order(live: Any, poster: Poster) -> None:
    one, two, elsewhere = await member(live), await member(live, vsn="2.0.0"), await member(live, "realtime:other")
    batch = [message(1), message(2, id="m2", private=None), {**message(3), "topic": "other"}, message(4, private=False)]
    assert await poster.say(*batch) == (202, None)
    assert [await hears(one) for _ in range(3)] == [heard(1), heard(2, meta={"id": "m2"}), heard(4)]
    assert await hears(elsewhere) == ["realtime:other", *heard(3)[1:]]
    frame = await two.connection.recv()
    assert frame == b"\x04\x0f\x05\x00\x01realtime:room:1shout" + b'{"n":1}'
    await quiet(elsewhere)


@pytest.mark.parametrize("value", [{"n": 1}, {}, [1, {"a": None}], "text", 0, None, True])
async def test_one_message_may_be_any_json(live: Any, poster: Poster, value: Any) -> None:
    wire = await member(live, "realtime:café/1 é")
    path = "/caf%C3%A9%2F1%20%C3%A9/events/gr%C3%BC%C3%9F%2F"
    assert await poster.post(value, path) == (202, None)
    payload = {"type": "broadcast", "event": "grüß/", "payload": value}
    assert await hears(wire) == ["realtime:café/1 é", "broadcast", payload]


@rule("SB-3")
@pytest.mark.parametrize("data", [b"", b"\x00\xff{", b"x" * 70_000])
async def test_bytes_go_as_bytes(live: Any, poster: Poster, data: bytes) -> None:
    wire = await member(live, vsn="2.0.0")
    assert await poster.post(data, SINGLE, **BYTES) == (202, None)
    assert await wire.connection.recv() == b"\x04\x0f\x05\x00\x00realtime:room:1shout" + data


@pytest.mark.parametrize("event", ["presence_diff", "phx_close", "e" * 300])
async def test_bytes_whose_event_no_frame_can_say(poster: Poster, event: str) -> None:
    status, told = await poster.post(b"1", f"/room/events/{event}", **BYTES)
    assert (status, list(told["errors"])) == (422, ["event"])


async def test_other_nodes_hear_it(serve: Any, http: aiohttp.ClientSession) -> None:
    hub = MemoryHub()
    nodes = [await serve({"cluster": Cluster(MemoryBroker(hub), name=name)}) for name in ("here", "there")]
    for live in nodes:
        live.app.serve_supabase()
    wire = await member(nodes[1])
    assert (await Poster(http, nodes[0].app.port).say(message()))[0] == 202
    assert await hears(wire) == heard()


async def test_a_server_of_others_serves_it_too(http: aiohttp.ClientSession, serve: Any) -> None:
    live = await serve()
    live.app.serve_supabase()
    wire = await member(live)
    async with uvicorn_serves(live.app) as port:
        assert (await Poster(http, port).say(message()))[0] == 202
        assert await hears(wire) == heard()


# --- who may ------------------------------------------------------------------------------------------------------


async def test_the_key_is_a_parameter_as_on_the_socket(live: Any, poster: Poster) -> None:
    seen: list[Any] = []

    @live.app.on_connect  # type: ignore[untyped-decorator]  # of a fixture that says Any
    async def connect(info: ConnectInfo) -> None:
        seen.append(info.params.get("apikey"))
        if info.params.get("apikey") != "right":
            raise Refused

    assert await poster.say(message(), key="wrong") == (401, UNAUTHORIZED)
    assert await poster.say(message(), key=None) == (401, UNAUTHORIZED)
    assert (await poster.say(message(), key="right"))[0] == 202
    assert (await poster.post(message()["payload"], SINGLE + "?apikey=right", key=None))[0] == 202
    assert (await poster.say(message(), key=None, authorization="Bearer right"))[0] == 202
    assert await poster.say(message(), key=None, authorization="Basic right") == (401, UNAUTHORIZED)
    assert seen == ["wrong", None, "right", "right", "right", None]


@rule("SB-6")
async def test_a_bearer_token_is_what_a_join_would_bring(live: Any, poster: Poster) -> None:
    live.app.expiry.now = lambda: 1000.0

    @live.app.on_connect  # type: ignore[untyped-decorator]
    async def connect(info: ConnectInfo) -> Access:
        return Access({"user": "nobody"}, expires_at=999.0 if info.params["apikey"] == "old" else None)

    @live.app.on_access_token  # type: ignore[untyped-decorator]
    async def renew(token: str, socket: Any) -> Access:
        match token:
            case "stolen":
                raise Rejected({"reason": "stolen"})
            case "down":
                raise ServiceError("the store is full")
        return Access({"user": token}, expires_at=2000.0 if token == "ann" else 1000.0)

    wire = await member(live)
    assert await poster.say(message(), key="old") == (401, UNAUTHORIZED)
    for token in ("stolen", "down", "late"):
        assert await poster.say(message(), authorization=f"Bearer {token}") == (401, UNAUTHORIZED)
    await quiet(wire)
    assert (await poster.say(message(), key="old", authorization="bearer ann"))[0] == 202
    assert await hears(wire) == heard()


async def test_a_door_that_cannot_be_asked(live: Any, poster: Poster) -> None:
    @live.app.on_connect  # type: ignore[untyped-decorator]
    async def connect(info: ConnectInfo) -> None:
        raise ServiceError("the store is full", retry_after=3)

    assert await poster.say(message()) == (503, {"message": "Service Unavailable"})
    assert poster.headers["retry-after"] == "3"
    live.app.turn_away()
    assert (await poster.say(message()))[0] == 503


@rule("OR-9")
async def test_pages_of_others_say_nothing(live: Any, poster: Poster) -> None:
    wire = await member(live)
    assert await poster.say(message(), origin="http://evil.example") == (403, {"message": "Forbidden"})
    assert (await poster.post(b"", method="OPTIONS", origin="http://evil.example"))[0] == 403
    await quiet(wire)
    asked = {"origin": "http://localhost:3000", "access_control_request_headers": "apikey,content-type"}
    assert await poster.post(b"", method="OPTIONS", **asked) == (200, None)
    assert poster.headers["access-control-allow-headers"] == "apikey,content-type"
    assert poster.headers["access-control-allow-origin"] == "*"
    assert (await poster.say(message(), origin="http://localhost:3000"))[0] == 202
    assert poster.headers["access-control-allow-origin"] == "*"


async def test_what_is_private_is_for_whom_the_application_admits(live: Any, http: aiohttp.ClientSession) -> None:
    seen: list[Any] = []

    async def admits(channel: RealtimeChannel) -> bool:
        seen.append((channel.topic, channel.private, channel.assigns["params"]["apikey"]))
        return channel.private == channel.topic.startswith("realtime:staff:")

    live.app.serve_supabase(admits)
    poster = Poster(http, live.app.port)
    staff, lobby = await member(live, "realtime:staff:1", private=True), await member(live, "realtime:lobby")
    seen.clear()
    said = [{**message(n), "topic": topic, "private": private} for n, (topic, private) in enumerate(
        [("staff:1", False), ("staff:1", True), ("lobby", True), ("lobby", False), ("staff:1", True)]
    )]  # fmt: skip
    assert await poster.say(*said) == (202, None)
    assert [(await hears(staff))[2]["payload"] for _ in range(2)] == [{"n": 1}, {"n": 4}]
    assert (await hears(lobby))[2]["payload"] == {"n": 3}
    assert seen == [
        ("realtime:staff:1", False, "key"), ("realtime:staff:1", True, "key"),
        ("realtime:lobby", True, "key"), ("realtime:lobby", False, "key"),
    ]  # fmt: skip
    assert await poster.post({}, "/staff:1/events/e") == (403, UNAUTHORIZED)
    assert await poster.post({}, "/lobby/events/e?private=true") == (403, UNAUTHORIZED)
    await quiet(staff)
    await quiet(lobby)
    assert await poster.post({}, "/staff:1/events/e?private=true") == (202, None)
    assert (await hears(staff))[2]["event"] == "e"


async def test_without_a_word_of_the_application_nothing_is_private(live: Any, poster: Poster) -> None:
    wire = await member(live)
    assert await poster.say(message(1, private=True), message(2)) == (202, None)
    assert await hears(wire) == heard(2)
    assert await poster.post({}, SINGLE + "?private=true") == (403, UNAUTHORIZED)


async def test_topics_of_other_channels_are_not_reached(live: Any, http: aiohttp.ClientSession) -> None:
    class Mine(Channel):
        pass

    live.app.channel("realtime:mine")(Mine)
    live.app.serve_supabase()
    poster, wire = Poster(http, live.app.port), await live.wire()
    assert (await wire.join("realtime:mine"))[4]["status"] == "ok"
    assert await poster.post({}, "/mine/events/e") == (403, UNAUTHORIZED)
    assert await poster.say({**message(), "topic": "mine"}) == (202, None)
    await wire.nothing_more()


# --- what is wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, BLANK), ([], BLANK), (1, BLANK), ({"messages": []}, BLANK), ({"messages": None}, BLANK),
        ({"messages": {"topic": "t"}}, INVALID),
        (
            {"messages": [{"topic": "topic"}, {"payload": {"data": "data"}}, message()]},
            [{"payload": BLANK, "event": BLANK}, {"topic": BLANK, "event": BLANK}, {}],
        ),
        ({"messages": [7]}, [{"topic": BLANK, "event": BLANK, "payload": BLANK}]),
        ({"messages": [message(topic=1, event=[])]}, [{"topic": INVALID, "event": INVALID}]),
        ({"messages": [message(payload="text", private="yes")]}, [{"payload": INVALID, "private": INVALID}]),
        ({"messages": [message(topic="", payload={})]}, [{"topic": BLANK}]),
        ({"messages": [message(payload=[], private=0, id=7)]}, [{"payload": INVALID, "private": INVALID}]),
    ],
)  # fmt: skip
async def test_a_batch_that_is_none(live: Any, poster: Poster, body: Any, errors: Any) -> None:
    """All of it is said, or nothing."""
    wire = await member(live)
    assert await poster.post(body) == (422, {"errors": {"messages": errors}})
    await quiet(wire)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"messages":[' + b"[" * 100_000])
async def test_a_body_that_is_no_json(poster: Poster, body: bytes) -> None:
    assert await poster.post(body) == (400, {"message": "Bad Request"})
    assert await poster.post(body, SINGLE) == (400, {"message": "Bad Request"})


async def test_what_nobody_serves(live: Any, poster: Poster) -> None:
    assert (await poster.post(b"x", SINGLE, content_type="text/plain"))[0] == 415
    assert (await poster.post(b"", method="GET"))[0] == 405
    assert poster.headers["allow"] == "POST, OPTIONS"
    assert (await poster.post(b"{}", "/room%ff/events/e"))[0] == 400
    assert (await poster.post(b"{}", "/room/events"))[0] == 404
    assert (await poster.post(b"{}", "s"))[0] == 404


async def test_it_is_there_only_where_the_dialect_is(live: Any, serve: Any, http: aiohttp.ClientSession) -> None:
    assert (await Poster(http, live.app.port).say(message()))[0] == 404
    off = await serve(supabase=False)
    off.app.serve_supabase()
    assert (await Poster(http, off.app.port).say(message()))[0] == 404


async def test_its_limits(serve: Any, http: aiohttp.ClientSession) -> None:
    live = await serve(max_message_bytes=20_000, max_json_depth=5)
    live.app.serve_supabase()
    poster = Poster(http, live.app.port)
    assert await poster.say(message(payload={"x": "y" * 20_000})) == (413, {"message": "Payload Too Large"})
    assert await poster.post(b"x" * 20_001, SINGLE, **BYTES) == (413, {"message": "Payload Too Large"})
    assert (await poster.post(b"x" * 20_000, SINGLE, **BYTES))[0] == 202
    deep: dict[str, Any] = {"a": {"b": {"c": {"d": {"e": {}}}}}}
    told = ["is nested too deeply"]
    assert await poster.say(message(payload=deep)) == (422, {"errors": {"messages": [{"payload": told}]}})
    assert await poster.post(deep, SINGLE) == (422, {"errors": {"payload": told}})
    assert (await poster.say(*[message()] * 100))[0] == 202
    assert await poster.say(*[message()] * 101) == (
        429,
        {"message": "Too many messages to broadcast, please reduce the batch size"},
    )


async def test_so_many_a_second(serve: Any, http: aiohttp.ClientSession) -> None:
    live = await serve(max_messages_per_second=0.01)
    live.app.serve_supabase()
    poster, wire = Poster(http, live.app.port), await member(live)
    assert (await poster.say(message(1), message(2), message(3)))[0] == 202
    assert await poster.say(message(4)) == (429, {"message": "You have exceeded your rate limit"})
    assert int(poster.headers["retry-after"]) > 100
    assert [(await hears(wire))[2]["payload"]["n"] for _ in range(3)] == [1, 2, 3]
    unbounded = await serve(max_messages_per_second=0.01, rate_limit_enabled=False)
    unbounded.app.serve_supabase()
    poster = Poster(http, unbounded.app.port)
    assert [(await poster.say(*[message()] * 50))[0] for _ in range(3)] == [202] * 3


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["topic", "event", "payload", "private", "id", "messages"]), inner, max_size=5
    ),
    max_leaves=12,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(batch=VALUES)
async def test_whatever_comes_is_answered(live: Any, http: aiohttp.ClientSession, batch: Any) -> None:
    if not live.app.routes.find(TOPIC):
        live.app.serve_supabase()
    poster = Poster(http, live.app.port)
    for body, path in (({"messages": batch}, ""), (batch, ""), (batch, SINGLE)):
        assert (await poster.post(body, path))[0] in {202, 400, 422}


async def test_a_body_that_does_not_come(live: Any, poster: Poster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supabase_http, "BODY_SECONDS", 0.05)

    async def dripping() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    url = f"http://127.0.0.1:{live.app.port}/realtime/v1/api/broadcast"
    async with (
        asyncio.timeout(10),
        aiohttp.ClientSession() as session,
        session.post(url, data=dripping(), headers={"apikey": "key"}) as answer,
    ):
        assert answer.status == 408


async def test_a_client_that_goes_while_it_sends_leaves_nothing(live: Any, poster: Poster) -> None:
    wire = await member(live)
    _, writer = await asyncio.open_connection("127.0.0.1", live.app.port)
    writer.write(
        b"POST /realtime/v1/api/broadcast HTTP/1.1\r\nhost: localhost\r\napikey: key\r\ncontent-length: 500\r\n\r\n"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await poster.say(message()))[0] == 202
    assert await hears(wire) == heard()
    assert len(live.app.sockets) == 1
