"""The channels of Supabase's clients, frame by frame; `tests/wire/foreign` has the clients themselves."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from antiphon.errors import ConfigError
from antiphon.realtime.admission.connect import Access
from antiphon.realtime.brokers.memory import MemoryBroker, MemoryHub
from antiphon.realtime.channel import Rejected
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.presence.presence import Presence
from antiphon.realtime.pubsub import PubSub
from antiphon.realtime.supabase import RealtimeChannel
from antiphon.telemetry.metrics import Metrics
from tests.phoenix import configured
from tests.rules import rule
from tests.unit.realtime.transports.hosting import uvicorn_serves

TOPIC = "realtime:room:1"
SHOUT = {"type": "broadcast", "event": "shout", "payload": {"n": 1}}

Enter = Callable[..., Awaitable[Any]]


def config(**more: Any) -> dict[str, Any]:
    """What a client joins with."""
    return {"config": {"presence": {"key": "ann", "enabled": False}, **more}}


def ok(ref: Any, response: Any = None, topic: str = TOPIC) -> list[Any]:
    return ["1", ref, topic, "phx_reply", {"status": "ok", "response": response or {}}]


def refused(ref: Any, reason: str, topic: str = TOPIC) -> list[Any]:
    return ["1", ref, topic, "phx_reply", {"status": "error", "response": {"reason": reason}}]


def system(status: str, message: str, extension: str = "system") -> list[Any]:
    told = {"status": status, "message": message, "extension": extension, "channel": "room:1"}
    return ["1", None, TOPIC, "system", told]


@pytest.fixture
async def enter(live: Any) -> Enter:
    """Connects clients at the mount of Supabase."""
    live.app.serve_supabase()
    return entrance(live)


def entrance(live: Any) -> Enter:
    async def wire(query: str = "apikey=key&vsn=2.0.0") -> Any:
        return await live.wire(query, "/realtime/v1", subprotocols=None)

    return wire


async def said(wire: Any) -> tuple[str, str, Any]:
    """Topic, event and payload of the binary broadcast that comes next."""
    frame = await wire.connection.recv()
    assert frame[0] == 4
    topic, event = frame[1], frame[2]
    data = frame[5 + topic + event + frame[3] :]
    return (
        frame[5 : 5 + topic].decode(),
        frame[5 + topic : 5 + topic + event].decode(),
        json.loads(data) if frame[4] else data,
    )


@rule("SB-1")
async def test_the_mount_has_its_own_path_and_the_door_of_the_application(live: Any, enter: Enter) -> None:
    wire = await enter("apikey=key&vsn=2.0.0&id=ann")
    assert await wire.join(TOPIC, config()) == ok("1")
    assert live.app.disconnect("ann") == 1
    assert await wire.closed() == 1001
    with pytest.raises(Exception, match="HTTP 403"):
        await enter("apikey=key&vsn=2.0.0&refuse=403")


@rule("SB-1", "TR-3")
async def test_an_application_that_does_not_offer_it_has_no_such_path(live: Any) -> None:
    with pytest.raises(Exception, match="HTTP 404"):
        await entrance(live)()


@rule("SB-1")
async def test_the_settings_can_say_no_or_another_path(serve: Any) -> None:
    live = await serve(supabase=False)
    live.app.serve_supabase()
    with pytest.raises(Exception, match="HTTP 404"):
        await entrance(live)()
    assert (await (await live.wire()).join(TOPIC))[4]["response"] == {"reason": "unmatched topic"}


@rule("TR-1")
def test_two_mounts_on_one_path() -> None:
    app = Phoenix(configured(), metrics=Metrics())
    app.serve_supabase()
    with pytest.raises(ConfigError, match="two mounts have the path /realtime/v1/websocket"):
        app.serve_supabase()


@rule("SB-1", "TR-6")
async def test_who_connects_is_asked_in_whatever_order_it_was_set_up(live: Any, enter: Enter) -> None:
    seen: list[Any] = []

    async def let_in(info: Any) -> None:
        seen.append(info.params)

    live.app.on_connect(let_in)
    await enter()
    assert seen[0] == {"apikey": "key", "vsn": "2.0.0"}


@rule("SB-1")
@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"config": {}},
        {"config": None},
        {"config": {"broadcast": None, "presence": None, "postgres_changes": None, "private": None}},
        {"config": {"broadcast": {"replay": {"since": 1}}, "unknown": 1}, "version": "realtime-js/2"},
    ],
)
async def test_joins_that_say_little_are_fine(enter: Enter, payload: Any) -> None:
    wire = await enter()
    await wire.send(["1", "1", TOPIC, "phx_join", payload])
    await wire.expect(ok("1"), ["1", None, TOPIC, "presence_state", {}])


@rule("SB-1", "JN-2")
@pytest.mark.parametrize(
    "payload",
    [[], "text", {"config": 1}, {"config": {"private": "perhaps"}}, {"config": {"postgres_changes": [1]}},
     {"config": {"presence": {"key": 5}}}, {"config": {"broadcast": {"self": 1}}}],
)  # fmt: skip
async def test_joins_that_cannot_be_read_are_refused(enter: Enter, payload: Any) -> None:
    wire = await enter()
    await wire.send(["1", "1", TOPIC, "phx_join", payload])
    answer = await wire.receive()
    assert answer[4]["status"] == "error"
    assert answer[4]["response"]["reason"].startswith("the join cannot be read: ")


@rule("SB-1")
async def test_database_changes_are_mirrored_and_said_not_to_come(enter: Enter) -> None:
    wire = await enter()
    changes: list[dict[str, Any]] = [
        {"event": "*", "schema": "public"},
        {"event": "INSERT", "table": "people", "filter": "id=eq.1", "id": 7},
    ]
    mirrored = [{**changes[0], "id": 1}, {**changes[1], "id": 2}]
    assert await wire.join(TOPIC, config(postgres_changes=changes)) == ok("1", {"postgres_changes": mirrored})
    no_feed = "there is no database feed here: these changes will not come"
    await wire.expect(system("error", no_feed, "postgres_changes"))
    assert (await wire.join("realtime:other", config(postgres_changes=[])))[4]["response"] == {"postgres_changes": []}
    await wire.nothing_more()


@rule("SB-1")
async def test_private_channels_are_for_those_who_are_let_in(live: Any, enter: Enter) -> None:
    wire = await enter()
    assert await wire.join(TOPIC, config(private=True)) == refused("1", "Unauthorized: this channel is not for you")
    assert await wire.join(TOPIC, config()) == ok("1")


@rule("SB-1")
async def test_the_application_decides_about_every_join(live: Any) -> None:
    asked: list[tuple[str, bool]] = []

    async def admits(channel: RealtimeChannel) -> bool:
        asked.append((channel.topic, channel.private))
        return channel.private and channel.socket.assigns["params"]["apikey"] == "key"

    live.app.serve_supabase(admits)
    wire = await entrance(live)()
    assert await wire.join(TOPIC, config(private=True)) == ok("1")
    # Else whoever leaves the word out would hear what is said in private.
    assert (await (await entrance(live)()).join(TOPIC, config()))[4]["status"] == "error"
    assert asked == [(TOPIC, True), (TOPIC, False)]


@rule("SB-2", "SB-3", "SB-4")
async def test_a_broadcast_reaches_the_others_in_their_own_words(live: Any, enter: Enter) -> None:
    new, old, other, plain = await enter(), await enter("apikey=key"), await enter(), await live.wire()
    for wire in (new, other, plain):
        await wire.join(TOPIC, config())
    join = {"topic": TOPIC, "event": "phx_join", "payload": config(), "ref": "1", "join_ref": "1"}
    await old.connection.send(json.dumps(join))
    await old.receive()
    await new.connection.send(b'\x03\x01\x01\x0f\x05\x00\x0112realtime:room:1shout{"n":1}')
    assert await said(other) == (TOPIC, "shout", {"n": 1})
    assert await old.receive() == {"topic": TOPIC, "event": "broadcast", "payload": SHOUT, "ref": None}
    await plain.expect([None, None, TOPIC, "broadcast", SHOUT])
    await new.nothing_more()


@rule("SB-2", "SB-3", "V1-6")
async def test_bytes_reach_those_who_know_them(live: Any, enter: Enter) -> None:
    new, old, plain = await enter(), await enter("apikey=key"), await live.wire()
    await new.join(TOPIC, config(broadcast={"self": True, "ack": True}))
    await plain.join(TOPIC, config())
    join = {"topic": TOPIC, "event": "phx_join", "payload": config(), "ref": "1"}
    await old.connection.send(json.dumps(join))
    await old.receive()
    await new.connection.send(b"\x03\x01\x01\x0f\x05\x00\x0012realtime:room:1shout\x01\xff")
    assert await said(new) == (TOPIC, "shout", b"\x01\xff")
    await new.expect(ok("2"))
    assert await plain.connection.recv() == b"\x02\x0f\x05realtime:room:1shout\x01\xff"
    await old.connection.send(json.dumps({"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": None}))
    assert (await old.receive())["topic"] == "phoenix"
    assert b"antiphon_ws_unsayable_total 1.0" in live.metrics.render()


@rule("SB-4")
@pytest.mark.parametrize("itself", [True, False])
@pytest.mark.parametrize("ack", [True, False])
async def test_the_speaker_hears_itself_and_is_answered_where_it_asked_for_that(
    enter: Enter, itself: bool, ack: bool
) -> None:
    wire = await enter()
    await wire.join(TOPIC, config(broadcast={"self": itself, "ack": ack}))
    await wire.send(["1", "2", TOPIC, "broadcast", SHOUT])
    if itself:
        assert await said(wire) == (TOPIC, "shout", {"n": 1})
    if ack:
        await wire.expect(ok("2"))
    await wire.nothing_more()


@rule("SB-4", "MS-9")
async def test_broadcasts_that_are_none(enter: Enter) -> None:
    wire = await enter()
    await wire.join(TOPIC, config())
    nonsense: tuple[Any, ...] = ({}, {"event": 5}, [], None, "text")
    for payload in nonsense:
        await wire.send(["1", "2", TOPIC, "broadcast", payload])
        await wire.expect(refused("2", "a broadcast has an event and a payload"))
    # To a client of plain Phoenix the event of bytes is an event like those of the protocol.
    for name in (b"\x09\x00\x0013realtime:room:1phx_close", b"\x0d\x00\x0013realtime:room:1presence_diff"):
        await wire.connection.send(b"\x03\x01\x01\x0f" + name)
        assert "to the protocol" in (await wire.receive())[4]["response"]["reason"]
    await wire.nothing_more()


@rule("SB-3")
async def test_the_server_speaks_too(live: Any, enter: Enter) -> None:
    wire = await enter()
    await wire.join(TOPIC, config())
    live.app.broadcast(TOPIC, "broadcast", SHOUT)
    live.app.broadcast(TOPIC, "bytes", b"\x00")
    live.app.broadcast(TOPIC, "other", {"n": 2})
    assert await said(wire) == (TOPIC, "shout", {"n": 1})
    assert await said(wire) == (TOPIC, "bytes", b"\x00")
    await wire.expect([None, None, TOPIC, "other", {"n": 2}])


@rule("SB-5", "PR-2", "PR-5", "PR-6")
async def test_presence_by_events(enter: Enter) -> None:
    wire = await enter()
    presence = {"presence": {"key": "ann", "enabled": True}}
    assert await wire.join(TOPIC, config(**presence)) == ok("1")
    await wire.expect(["1", None, TOPIC, "presence_state", {}])
    track = {"type": "presence", "event": "track", "payload": {"n": 1}}
    await wire.send(["1", "2", TOPIC, "presence", track])
    await wire.expect(ok("2"))
    joined = (await wire.receive())[4]
    assert joined["leaves"] == {}
    (meta,) = joined["joins"]["ann"]["metas"]
    assert meta["n"] == 1
    await wire.send(["1", "3", TOPIC, "presence", {**track, "payload": {"n": 2}}])
    await wire.expect(ok("3"))
    changed = (await wire.receive())[4]
    assert changed["leaves"] == joined["joins"]
    assert changed["joins"]["ann"]["metas"][0]["phx_ref_prev"] == meta["phx_ref"]
    for ref in ("4", "5"):
        await wire.send(["1", ref, TOPIC, "presence", {"type": "presence", "event": "untrack"}])
    await wire.expect(ok("4"), ok("5"))
    assert (await wire.receive())[4]["leaves"].keys() == {"ann"}
    await wire.nothing_more()


@rule("SB-5")
async def test_whoever_brings_no_key_gets_one(enter: Enter) -> None:
    wire = await enter()
    for n in (1, 2):
        topic = f"realtime:{n}"
        await wire.join(topic, {"config": {"presence": {"key": ""}}})
        await wire.receive()
        await wire.send(["1", "2", topic, "presence", {"event": "track"}])
        await wire.receive()
        (key,) = (await wire.receive())[4]["joins"]
        assert len(key) == 36


@rule("SB-5")
async def test_presence_that_is_off_is_not_sent_until_it_is_used(enter: Enter) -> None:
    wire, other = await enter(), await enter()
    await wire.join(TOPIC, config())
    await other.join(TOPIC, {"config": {"presence": {"key": "bob"}}})
    await other.receive()
    await other.send(["1", "2", TOPIC, "presence", {"event": "track", "payload": {}}])
    await other.expect(ok("2"))
    await other.receive()
    await wire.nothing_more()
    await wire.send(["1", "2", TOPIC, "presence", {"event": "track", "payload": {}}])
    assert (await wire.receive())[4].keys() == {"bob"}
    await wire.expect(ok("2"))
    assert (await wire.receive())[4]["joins"].keys() == {"ann"}
    await other.connection.close()
    assert (await wire.receive())[4]["leaves"].keys() == {"bob"}


@rule("SB-5")
@pytest.mark.parametrize(
    "payload", [{}, None, [], {"event": "come"}, {"event": "track", "payload": [1]}, {"event": "track", "payload": "x"}]
)
async def test_presence_that_is_none(enter: Enter, payload: Any) -> None:
    wire = await enter()
    await wire.join(TOPIC, config(presence={"enabled": True}))
    await wire.receive()
    await wire.send(["1", "2", TOPIC, "presence", payload])
    assert (await wire.receive())[4]["status"] == "error"
    await wire.nothing_more()


@rule("SB-5")
async def test_a_meta_that_is_too_large(serve: Any) -> None:
    live = await serve(max_meta_bytes=1000)
    live.app.serve_supabase()
    wire = await entrance(live)()
    await wire.join(TOPIC, config(presence={"enabled": True}))
    await wire.receive()
    await wire.send(["1", "2", TOPIC, "presence", {"event": "track", "payload": {"x": "x" * 2000}}])
    assert (await wire.receive())[4]["status"] == "error"
    await wire.send(["1", "3", TOPIC, "presence", {"event": "track", "payload": {}}])
    await wire.expect(ok("3"))


@pytest.fixture
async def guarded(live: Any) -> Any:
    """Takes tokens: `good` for a minute."""
    live.time = 1000.0
    live.app.expiry.now = lambda: live.time

    async def prolong(token: str, _socket: Any) -> Access:
        if token != "good":
            raise Rejected({"reason": "bad"})
        return Access(expires_at=live.time + 60)

    live.app.on_access_token(prolong)
    live.app.serve_supabase()
    return live


def pass_time(live: Any, seconds: float) -> None:
    live.time += seconds
    live.app.expiry.check()


@rule("SB-6")
async def test_a_token_prolongs_without_a_new_join(guarded: Any) -> None:
    wire = await entrance(guarded)()
    assert await wire.join(TOPIC, {**config(), "access_token": "good"}) == ok("1")
    pass_time(guarded, 40)
    await wire.expect(system("ok", "the access token ends in 20 seconds"))
    await wire.send(["1", "2", TOPIC, "access_token", {"access_token": "good"}])
    await wire.expect(ok("2", {"expires_in": 60}))
    pass_time(guarded, 25)
    await wire.nothing_more()


@rule("SB-6")
async def test_a_token_that_is_not_accepted_ends_the_channel_alone(guarded: Any) -> None:
    wire = await entrance(guarded)()
    await wire.join("realtime:other", config())
    await wire.join(TOPIC, config())
    await wire.send(["1", "2", TOPIC, "access_token", {"access_token": "stolen"}])
    await wire.expect(
        system("error", "the access token is not accepted: bad"),
        refused("2", "bad"),
        ["1", "1", TOPIC, "phx_close", {}],
    )
    await wire.send(["1", "3", "realtime:other", "access_token", {"access_token": None}])
    await wire.expect(ok("3", topic="realtime:other"))
    assert (await wire.join(TOPIC, {**config(), "access_token": "stolen"}))[4]["response"] == {"reason": "bad"}


@rule("SB-6")
async def test_an_expired_token_ends_the_channels_and_a_new_one_opens_them_again(guarded: Any) -> None:
    wire = await entrance(guarded)()
    await wire.join(TOPIC, {**config(), "access_token": "good"})
    pass_time(guarded, 60)
    await wire.expect(system("error", "the access token has expired"), ["1", "1", TOPIC, "phx_close", {}])
    assert await wire.join(TOPIC, config()) == refused("1", "expired")
    assert await wire.join("room:1", {}) == refused("1", "expired", "room:1")
    assert await wire.join(TOPIC, {**config(), "access_token": "good"}) == ok("1")
    pass_time(guarded, 59)
    await wire.expect(system("ok", "the access token ends in 1 seconds"))
    assert b"antiphon_ws_access_expired_total 1.0" in guarded.metrics.render()


@rule("SB-6")
async def test_a_socket_with_other_channels_is_closed_all_the_same(guarded: Any) -> None:
    wire = await entrance(guarded)()
    await wire.join("room:1")
    await wire.join(TOPIC, {**config(), "access_token": "good"})
    pass_time(guarded, 60)
    assert await wire.closed() == 3000


@rule("SB-6")
async def test_where_nobody_takes_tokens_they_are_let_pass(live: Any, enter: Enter) -> None:
    wire = await enter()
    assert await wire.join(TOPIC, {**config(), "access_token": "any"}) == ok("1")
    await wire.send(["1", "2", TOPIC, "access_token", {"access_token": "any"}])
    await wire.expect(ok("2"))


@rule("SB-7")
async def test_limits_are_told_in_words_that_clients_know(serve: Any) -> None:
    live = await serve(max_channels=1, max_joins_per_second=0.01, max_messages_per_second=2.0)
    live.app.serve_supabase()
    wire = await entrance(live)()
    await wire.join(TOPIC, config())
    reasons = [(await wire.join("realtime:other", config()))[4]["response"]["reason"] for _ in range(3)]
    assert reasons == [
        "ChannelRateLimitReached: too many channels joined",
        "ClientJoinRateLimitReached: too many joins",
        "ClientJoinRateLimitReached: too many joins",
    ]
    assert (await wire.join("realtime:other", config()))[4]["response"]["reason"] == (
        "ConnectionRateLimitReached: too many messages"
    )


@rule("SB-2", "ER-6")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60))
async def test_whatever_comes_closes_one_socket_at_most(enter: Enter, data: bytes) -> None:
    wire, neighbour = await enter(), await enter()
    await neighbour.join(TOPIC, config())
    await wire.join(TOPIC, config())
    await wire.connection.send(b"\x03" + data)
    try:
        await wire.send([None, "barrier", "phoenix", "heartbeat", {}])
        while (await wire.receive())[1] != "barrier":
            pass
    except ConnectionClosed:
        assert await wire.closed() == 1011
    await neighbour.nothing_more()
    for each in (wire, neighbour):
        await each.connection.close()


@rule("SB-1", "SB-2", "SB-3")
async def test_on_servers_of_others_too() -> None:
    metrics = Metrics()
    app = Phoenix(configured(close_seconds=1.0), metrics=metrics, presence=Presence(metrics=metrics))
    app.serve_supabase()
    async with uvicorn_serves(app) as port:
        address = f"ws://127.0.0.1:{port}/realtime/v1/websocket?apikey=key&vsn=2.0.0"
        async with connect(address, proxy=None) as wire:
            await wire.send(json.dumps(["1", "1", TOPIC, "phx_join", config(broadcast={"self": True})]))
            assert json.loads(await wire.recv()) == ok("1")
            await wire.send(b"\x03\x01\x01\x0f\x05\x00\x0112realtime:room:1shout[1]")
            assert await wire.recv() == b"\x04\x0f\x05\x00\x01realtime:room:1shout[1]"


@rule("SB-3", "BC-1")
async def test_on_other_nodes_too(serve: Any) -> None:
    hub, wires = MemoryHub(), []
    for name in ("here", "there"):
        metrics = Metrics()
        own = {
            "pubsub": PubSub(metrics=metrics),
            "presence": Presence(metrics=metrics),
            "cluster": Cluster(MemoryBroker(hub), name=name, metrics=metrics),
        }
        live = await serve(application=own)
        live.app.serve_supabase()
        wires.append(await entrance(live)())
        await wires[-1].join(TOPIC, config())
    here, there = wires
    await here.connection.send(b'\x03\x01\x01\x0f\x05\x00\x0112realtime:room:1shout{"n":1}')
    assert await said(there) == (TOPIC, "shout", {"n": 1})
    await here.connection.send(b"\x03\x01\x01\x0f\x05\x00\x0013realtime:room:1shout\xff")
    assert await said(there) == (TOPIC, "shout", b"\xff")
