"""Access that ends, on a clock that the test moves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from antiphon.errors import ServiceError
from antiphon.realtime.admission.connect import Access, ConnectInfo, Refused
from antiphon.realtime.channel import Channel, Rejected
from antiphon.realtime.members.socket import Socket
from antiphon.testing.sockets import InProcessSocket
from antiphon.testing.sockets import connect as join_in
from tests.rules import rule
from tests.unit.realtime.transports.polling import Poller

BEGIN = 1_000_000.0


class Talkative(Channel):
    """Says in its own words what comes."""

    async def on_expiring(self, seconds: float) -> None:
        await self.push("hurry", {"left": seconds})

    async def on_expired(self) -> None:
        raise RuntimeError("the secret of the end")


class Unanswering(Channel):
    """Has a handler of its own."""

    @Channel.on("access_token")
    async def mine(self, payload: Any, socket: Any) -> Any:
        return {"mine": payload}


class Doorman:
    """Lets in for as long as the client asks, and prolongs by tokens that are numbers of seconds."""

    def __init__(self, live: Any) -> None:
        self.live = live
        self.time = BEGIN
        self.gate: asyncio.Event | None = None
        live.app.expiry.now = lambda: self.time
        live.app.on_connect(self.let_in)
        live.app.on_access_token(self.prolong)
        live.app.channel("talkative")(Talkative)
        live.app.channel("own")(Unanswering)

    async def let_in(self, info: ConnectInfo) -> Any:
        seconds = info.params.get("seconds")
        return {"user": "ann"} if seconds is None else Access({"user": "ann"}, self.time + float(seconds))

    async def prolong(self, token: str, socket: Socket) -> Any:
        if self.gate is not None:
            await self.gate.wait()
        match token:
            case "forbidden":
                raise Refused
            case "stolen":
                raise Rejected({"reason": "stolen", "from": socket.assigns["user"]})
            case "down":
                raise ServiceError("nobody can check it now")
            case "broken":
                raise RuntimeError("the secret of the check")
            case "nonsense":
                return ["no", "access"]
            case "forever":
                return {"user": "bob", "flavour": "renewed"}
        return Access({"user": "bob"}, self.time + float(token))

    def pass_time(self, seconds: float) -> None:
        self.time += seconds
        self.live.app.expiry.check()

    def counted(self, line: bytes) -> bool:
        return line in self.live.metrics.render()


Serve = Callable[..., Awaitable[Any]]


@pytest.fixture
async def door(serve: Serve) -> Doorman:
    return Doorman(await serve(expiry_warning_seconds=30))


def reply(ref: Any, response: Any, status: str = "ok", topic: str = "room:1", join_ref: Any = "1") -> list[Any]:
    return [join_ref, ref, topic, "phx_reply", {"status": status, "response": response}]


def push(event: str, payload: Any, topic: str = "room:1") -> list[Any]:
    return ["1", None, topic, event, payload]


EXPIRING = push("access_token_expiring", {"expires_in": 30})
EXPIRED = push("access_token_expired", {"reason": "expired"})


async def test_every_channel_is_warned_and_then_told_and_the_socket_closes_with_3000(door: Doorman) -> None:
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    other = await door.live.wire("vsn=2.0.0")
    await wire.join("room:1")
    await wire.join("room:2")
    await other.join("room:1")
    door.pass_time(69.9)
    await wire.nothing_more()
    door.pass_time(0.1)
    await wire.expect(EXPIRING, push("access_token_expiring", {"expires_in": 30}, "room:2"))
    door.pass_time(29.9)
    await wire.nothing_more()
    door.pass_time(0.1)
    await wire.expect(EXPIRED, push("access_token_expired", {"reason": "expired"}, "room:2"))
    assert await wire.closed() == 3000
    assert {await door.live.ended(), await door.live.ended()} == {("room:1", "closed"), ("room:2", "closed")}
    assert door.counted(b"antiphon_ws_access_expired_total 1.0")
    assert door.counted(b'antiphon_ws_closed_total{code="3000"} 1.0')
    door.pass_time(1e9)
    await other.nothing_more()


async def test_access_that_is_over_at_once_is_over(door: Doorman) -> None:
    wire = await door.live.wire("vsn=2.0.0&seconds=-1")
    assert (await wire.join("room:1"))[4] == {"status": "error", "response": {"reason": "expired"}}
    door.pass_time(0)
    assert await wire.closed() == 3000


async def test_no_warning_where_none_is_wanted(serve: Serve) -> None:
    door = Doorman(await serve(expiry_warning_seconds=0))
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    await wire.join("room:1")
    door.pass_time(100)
    await wire.expect(EXPIRED)
    assert await wire.closed() == 3000


async def test_a_token_prolongs_the_access_without_a_new_join(door: Doorman) -> None:
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    await wire.join("room:1")
    await wire.join("room:2")
    await wire.send(["1", "2", "room:1", "access_token", {"access_token": "1000"}])
    await wire.expect(reply("2", {"expires_in": 1000}))
    await wire.send(["1", "3", "room:2", "assign", {}])
    assigns = {"user": "bob"}
    await wire.expect(reply("3", {"mine": {**assigns, "flavour": "room"}, "socket": assigns}, topic="room:2"))
    door.pass_time(900)
    await wire.nothing_more()
    door.pass_time(70)
    await wire.expect(EXPIRING, push("access_token_expiring", {"expires_in": 30}, "room:2"))
    assert door.counted(b'antiphon_ws_access_tokens_total{outcome="accepted"} 1.0')


async def test_a_token_that_holds_for_good(door: Doorman) -> None:
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "access_token", {"access_token": "forever"}])
    await wire.expect(reply("2", {}))
    door.pass_time(1e9)
    await wire.send(["1", "3", "room:1", "assign", {}])
    # What a route says of its channels outlasts what the socket says (MD-8).
    assert (await wire.receive())[4]["response"]["mine"]["flavour"] == "room"


async def test_a_token_makes_access_end_that_did_not(door: Doorman) -> None:
    wire = await door.live.wire()
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "access_token", {"access_token": "5"}])
    await wire.expect(reply("2", {"expires_in": 5}))
    door.pass_time(0)
    await wire.expect(push("access_token_expiring", {"expires_in": 5}))
    door.pass_time(5)
    await wire.expect(EXPIRED)
    assert await wire.closed() == 3000


@rule("HB-3")
async def test_a_token_on_the_control_topic_needs_no_channel(door: Doorman) -> None:
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    await wire.send([None, "1", "phoenix", "access_token", {"access_token": "1000"}])
    await wire.expect(reply("1", {"expires_in": 1000}, topic="phoenix", join_ref=None))
    await wire.send([None, "2", "phoenix", "access_token", {"access_token": "stolen"}])
    refused = {"reason": "stolen", "from": "bob"}
    await wire.expect(reply("2", refused, "error", topic="phoenix", join_ref=None))
    await wire.send([None, "3", "phoenix", "access_token", {"access_token": "broken"}])
    await wire.expect(reply("3", {"reason": "failed"}, "error", topic="phoenix", join_ref=None))
    door.pass_time(900)
    await wire.nothing_more()


async def test_one_token_at_a_time_on_the_control_topic(door: Doorman) -> None:
    door.gate = asyncio.Event()
    wire = await door.live.wire()
    await wire.send(*([None, str(n), "phoenix", "access_token", {"access_token": "9"}] for n in (1, 2)))
    busy = {"reason": "another access_token is being looked at"}
    await wire.expect(reply("2", busy, "error", topic="phoenix", join_ref=None))
    door.gate.set()
    await wire.expect(reply("1", {"expires_in": 9}, topic="phoenix", join_ref=None))


@pytest.mark.parametrize(
    ("payload", "response"),
    [
        ({"access_token": "forbidden"}, {"reason": "unauthorized"}),
        ({"access_token": "stolen"}, {"reason": "stolen", "from": "ann"}),
        ({"access_token": "down"}, {"reason": "unavailable"}),
        ({"access_token": "0"}, {"reason": "expired"}),
        ({"access_token": "-5"}, {"reason": "expired"}),
        ({"access_token": None}, {"reason": "no access_token"}),
        ({"access_token": 5}, {"reason": "no access_token"}),
        ({}, {"reason": "no access_token"}),
        (["5"], {"reason": "no access_token"}),
    ],
)
async def test_a_token_that_is_not_accepted_changes_nothing(door: Doorman, payload: Any, response: Any) -> None:
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "access_token", payload])
    await wire.expect(reply("2", response, "error"))
    await wire.send(["1", "3", "room:1", "assign", {}])
    assert (await wire.receive())[4]["response"]["socket"] == {"user": "ann"}
    door.pass_time(70)
    await wire.expect(EXPIRING)


@rule("ER-1")
@pytest.mark.parametrize("token", ["broken", "nonsense", "nan"])
async def test_a_check_that_fails_ends_the_channel_and_changes_nothing(door: Doorman, token: str) -> None:
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "access_token", {"access_token": token}])
    await wire.expect(["1", "1", "room:1", "phx_error", {"reason": "channel_crash"}])
    await wire.join("room:1")
    door.pass_time(70)
    await wire.expect(EXPIRING)


@rule("MS-10")
async def test_where_nobody_takes_tokens_it_is_an_event_like_any_other(live: Any, wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(
        ["1", "2", "room:1", "access_token", {"access_token": "t"}],
        [None, "3", "phoenix", "access_token", {"access_token": "t"}],
    )
    await wire.expect(
        reply("2", {"reason": "unhandled event"}, "error"),
        reply("3", {"reason": "unmatched topic"}, "error", topic="phoenix", join_ref=None),
    )


async def test_a_channel_may_have_a_handler_of_its_own(door: Doorman) -> None:
    wire = await door.live.wire()
    await wire.join("own")
    await wire.send(["1", "2", "own", "access_token", {"access_token": "5"}])
    await wire.expect(reply("2", {"mine": {"access_token": "5"}}, topic="own"))


async def test_a_channel_may_say_it_in_its_own_words_and_fail_at_it(door: Doorman) -> None:
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    await wire.join("talkative")
    door.pass_time(70)
    await wire.expect(push("hurry", {"left": 30.0}, "talkative"))
    door.pass_time(30)
    assert await wire.closed() == 3000


async def test_a_join_may_bring_the_token(door: Doorman) -> None:
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    assert (await wire.join("room:1", {"access_token": "1000", "assigns": True}))[4]["response"]["assigns"] == {
        "user": "bob", "flavour": "room",
    }  # fmt: skip
    refused = await wire.join("room:2", {"access_token": "stolen"})
    assert refused[4] == {"status": "error", "response": {"reason": "stolen", "from": "bob"}}
    door.pass_time(900)
    await wire.nothing_more()


async def test_nobody_joins_when_the_access_has_ended(door: Doorman) -> None:
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    door.time += 100  # and the next look at the clock is still to come
    assert (await wire.join("room:1"))[4] == {"status": "error", "response": {"reason": "expired"}}
    assert (await wire.join("room:1", {"access_token": "9"}))[4]["status"] == "ok"


async def test_a_join_that_is_being_answered_is_ended_too(door: Doorman) -> None:
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    await wire.send(["1", "1", "room:1", "phx_join", {"gate": "join"}])
    await door.live.reached("join")
    door.pass_time(100)
    assert await wire.closed() == 3000


async def test_a_token_that_comes_back_for_a_closed_socket(door: Doorman) -> None:
    door.gate = asyncio.Event()
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "access_token", {"access_token": "1000"}])
    await wire.connection.close()
    async with asyncio.timeout(5):
        while door.live.app.sockets:
            await asyncio.sleep(0.001)
    door.gate.set()
    assert await door.live.ended() == ("room:1", "closed")
    door.pass_time(1e9)
    assert door.counted(b"antiphon_ws_access_expired_total 0.0")


async def test_the_beat_of_all_connections_looks_at_the_clock(serve: Serve) -> None:
    door = Doorman(await serve(idle_seconds=0.2))
    wire = await door.live.wire("vsn=2.0.0&seconds=100")
    await wire.join("room:1")
    door.time += 100
    await wire.expect(EXPIRED)
    assert await wire.closed() == 3000


async def test_a_client_without_a_network_is_told_too(door: Doorman) -> None:
    socket: InProcessSocket
    async with await join_in(door.live.app, {"seconds": "100"}) as socket:
        room = await socket.join("room:1")
        door.pass_time(70)
        await room.assert_push("access_token_expiring", {"expires_in": 30})
        door.pass_time(30)
        await room.assert_push("access_token_expired", {"reason": "expired"})
        assert socket.closed_with == 3000


async def test_a_client_that_polls_is_told_too(serve: Serve) -> None:
    door = Doorman(await serve(longpoll=True, longpoll_window=5.0))
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{door.live.app.port}/socket/longpoll"
        poller = await Poller(http, url, "vsn=2.0.0&seconds=100").open()
        await poller.join("room:1")
        door.pass_time(70)
        assert await poller.frames(1) == [EXPIRING]
        await poller.post(["1", "2", "room:1", "access_token", {"access_token": "1000"}])
        assert await poller.frames(1) == [reply("2", {"expires_in": 1000})]
        door.pass_time(971)
        assert await poller.frames(1) == [push("access_token_expiring", {"expires_in": 29})]
        door.pass_time(29)
        assert (await poller.get())["status"] == 410


async def test_what_an_application_lets_everybody_in_with_stays_what_it_is(door: Doorman) -> None:
    shared = {"user": "everybody"}

    async def let_in(_: ConnectInfo) -> Any:
        return shared

    door.live.app.on_connect(let_in)
    wire, other = await door.live.wire(), await door.live.wire()
    for each in (wire, other):
        await each.join("room:1")
    await wire.send(["1", "2", "room:1", "access_token", {"access_token": "9"}])
    await wire.expect(reply("2", {"expires_in": 9}))
    await other.send(["1", "2", "room:1", "assign", {}])
    assert (await other.receive())[4]["response"]["socket"] == shared == {"user": "everybody"}


async def test_refused_tokens_are_counted_and_do_not_fill_the_log(door: Doorman, logged: list[Any]) -> None:
    wire = await door.live.wire()
    await wire.join("room:1")
    for ref in range(50):
        await wire.send(["1", ref, "room:1", "access_token", {"access_token": "stolen"}])
        await wire.receive()
    assert [line["event"] for line in logged] == ["realtime.access_token_refused"]
    assert "stolen" not in str(logged)
    door.pass_time(60)
    await wire.send(["1", "2", "room:1", "access_token", {"access_token": "stolen"}])
    await wire.receive()
    assert len(logged) == 2
    assert door.counted(b'antiphon_ws_access_tokens_total{outcome="refused"} 51.0')


async def test_thousands_end_each_in_their_time(door: Doorman) -> None:
    sockets = [await join_in(door.live.app, {"seconds": str(n)}) for n in range(1, 2001)]
    for passed in range(0, 2000, 250):
        assert sum(socket.closed_with is None for socket in sockets) == 2000 - passed
        door.pass_time(250)
    assert {socket.closed_with for socket in sockets} == {3000}


@pytest.mark.parametrize("returned", [{"a": 1}, None])
def test_access_without_an_end(returned: Any) -> None:
    assert Access.of(returned) == Access(returned or {})
    assert Access.of(Access({}, 5.0)) == Access({}, 5.0)


def test_what_is_no_access() -> None:
    with pytest.raises(TypeError, match="not str"):
        Access.of("ann")
    with pytest.raises(ValueError, match="no number"):
        Access({}, float("nan"))
    assert Access({}, float("inf")).expires_at == float("inf")


class Careless(Channel):
    """Its author forgot the `async`."""

    def on_expiring(self, seconds: float) -> None:  # type: ignore[override]
        """What is told to nobody."""

    def on_expired(self) -> None:  # type: ignore[override]
        raise RuntimeError("the secret of the careless")


async def test_a_hook_that_is_no_coroutine_keeps_no_other_channel_from_being_told(
    door: Doorman, logged: list[Any]
) -> None:
    door.live.app.channel("careless")(Careless)
    careless, wire = await door.live.wire("vsn=2.0.0&seconds=100"), await door.live.wire("vsn=2.0.0&seconds=100")
    await careless.join("careless")
    await wire.join("room:1")
    door.pass_time(70)
    await wire.expect(EXPIRING)
    door.pass_time(30)
    await wire.expect(EXPIRED)
    assert (await careless.closed(), await wire.closed()) == (3000, 3000)
    failures = [line["topic"] for line in logged if line["event"] == "realtime.expiry_not_told"]
    assert failures == ["careless"]  # the second within a second
