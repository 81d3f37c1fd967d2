"""The client without a network: channels behave as they do behind a wire, and assertions can fail."""

import asyncio
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import pytest

from antiphon.realtime.admission.connect import ConnectInfo, Refused
from antiphon.realtime.channel import Channel, Rejected, Reply
from antiphon.realtime.client.push import PushError
from antiphon.realtime.phoenix import Phoenix
from antiphon.telemetry.metrics import Metrics
from antiphon.testing.sockets import InProcessSocket, connect
from tests.phoenix import configured
from tests.rules import rule


class Counter(Channel):
    """A number that everybody in the room may raise."""

    left: list[str] = []  # noqa: RUF012 - what the test reads

    async def on_join(self, payload: Any, socket: Any) -> Any:
        if payload.get("full"):
            raise Rejected({"reason": "full"})
        return {"hello": payload.get("name"), "user": socket.assigns["user"]}

    async def on_leave(self, reason: str, socket: Any) -> None:
        self.left.append(reason)

    @Channel.on("add")
    async def add(self, payload: Any, socket: Any) -> Any:
        await self.broadcast("total", {"n": payload["n"]})
        await self.push("thanks", {"n": payload["n"]})
        return Reply("added", {"n": payload["n"]})

    @Channel.on("bytes")
    async def bytes(self, payload: Any, socket: Any) -> Any:
        return payload[::-1]

    @Channel.on("later")
    async def later(self, payload: Any, socket: Any) -> Any:
        await asyncio.sleep(0.01)
        await self.push("late", {})
        return {}

    @Channel.on("stop")
    async def end(self, payload: Any, socket: Any) -> None:
        self.stop()

    @Channel.on("crash")
    async def crash(self, payload: Any, socket: Any) -> None:
        raise RuntimeError("as asked")


@pytest.fixture
def app() -> Phoenix:
    Counter.left = []
    app = Phoenix(configured(max_queued_frames=2), metrics=Metrics())
    app.channel("room:*")(Counter)

    @app.on_connect
    async def let_in(info: ConnectInfo) -> Any:
        if info.params.get("user") == "nobody":
            raise Refused(429)
        return {"user": info.params.get("user")}

    app.socket_id = lambda socket: f"user:{socket.assigns['user']}"
    return app


async def open_room(app: Phoenix, **params: str) -> tuple[InProcessSocket, Any]:
    socket = await connect(app, params, timeout=0.2)
    return socket, await socket.join("room:1", {"name": "ann"})


async def test_a_join_answers(app: Phoenix) -> None:
    socket, room = await open_room(app, user="7")
    assert room.response == {"hello": "ann", "user": "7"}
    assert app.members("room:1") == 1
    await socket.close()
    assert app.members("room:1") == 0
    assert Counter.left == ["closed"]
    await socket.close()


async def test_a_refused_connection_raises_as_on_the_wire(app: Phoenix) -> None:
    with pytest.raises(Refused) as refused:
        await connect(app, {"user": "nobody"})
    assert refused.value.status == 429


async def test_a_refused_join_raises_what_was_answered(app: Phoenix) -> None:
    async with await connect(app) as socket:
        with pytest.raises(PushError) as refused:
            await socket.join("room:1", {"full": True})
        assert (refused.value.status, refused.value.response) == ("error", {"reason": "full"})
        with pytest.raises(PushError, match="unmatched topic"):
            await socket.join("lobby")


async def test_replies_pushes_and_broadcasts_are_told_apart(app: Phoenix) -> None:
    socket, room = await open_room(app)
    other, other_room = await open_room(app)
    ref = room.push("add", {"n": 3})
    assert await room.assert_reply(ref, "added", {"n": 3}) == {"n": 3}
    assert await room.assert_broadcast("total", lambda payload: payload["n"] > 2) == {"n": 3}
    await room.assert_push("thanks", {"n": ANY})
    await other_room.assert_broadcast("total", {"n": 3})
    await other_room.refute_push("thanks")
    await room.refute_broadcast("total")
    await socket.close()
    await other.close()


async def test_bytes_stay_bytes(app: Phoenix) -> None:
    socket, room = await open_room(app)
    await room.assert_reply(room.push("bytes", b"\x00\x01\xff"), "ok", b"\xff\x01\x00")
    app.broadcast("room:1", "picture", b"\x89")
    await room.assert_broadcast("picture", b"\x89")
    await socket.close()


async def test_what_comes_late_is_waited_for(app: Phoenix) -> None:
    socket, room = await open_room(app)
    refs = [room.push("later") for _ in range(4)]  # more than may queue: the reading is held, and taken up again
    for ref in refs:
        await room.assert_reply(ref)
        await room.assert_push("late")
    await socket.close()


@rule("ER-5", "LV-5")
async def test_a_leave_a_stop_and_a_crash_end_differently(app: Phoenix) -> None:
    for how, end in (("leave", "closed"), ("stop", "closed"), ("crash", "crashed")):
        socket, room = await open_room(app)
        if how == "leave":
            await room.leave()
        else:
            room.push(how)
        await room.assert_end(end)
        await socket.close()
    assert Counter.left == ["left", "normal", "crashed"]


async def test_a_second_join_takes_the_place_of_the_first(app: Phoenix) -> None:
    socket, _ = await open_room(app)
    again = await socket.join("room:1")
    app.broadcast("room:1", "hello", {})
    await again.assert_broadcast("hello")
    await again.refute_broadcast("hello")
    assert app.members("room:1") == 1
    await socket.close()


async def test_the_server_may_end_the_socket(app: Phoenix) -> None:
    socket, room = await open_room(app, user="7")
    assert app.disconnect("user:7") == 1
    await room.assert_end("lost")
    assert socket.closed_with == 1001
    with pytest.raises(AssertionError, match="the socket is closed"):
        room.push("add", {"n": 1})


async def test_a_server_that_stops_sends_the_client_elsewhere(app: Phoenix) -> None:
    socket, room = await open_room(app)
    await app.stop()
    await room.assert_end("lost")
    assert socket.closed_with == 1012
    with pytest.raises(Refused) as refused:
        await connect(app)
    assert refused.value.status == 503


async def test_presence_is_told_as_to_any_client(app: Phoenix) -> None:
    class Hall(Channel):
        async def after_join(self) -> None:
            await self.track(str(self.socket.assigns["user"]), {"on": 1})
            await self.push_presence_state()

    app.channel("hall:*")(Hall)
    await app.open()
    async with await connect(app, {"user": "ann"}) as ann:
        hall = await ann.join("hall:1")
        await hall.assert_push("presence_state", lambda state: set(state) <= {"ann"})
        async with await connect(app, {"user": "bob"}) as bob:
            await bob.join("hall:1")
            await hall.assert_broadcast("presence_diff", lambda diff: "bob" in diff["joins"])
        await hall.assert_broadcast("presence_diff", lambda diff: "bob" in diff["leaves"])
    await app.close()


async def test_a_frame_that_no_server_takes_ends_the_socket(app: Phoenix) -> None:
    socket, room = await open_room(app)
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    room.push("add", {"n": deep})
    await room.assert_end("lost")
    assert socket.closed_with == 1011


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        (lambda room, ref: room.assert_reply(ref, "ok"), "expected the reply ok .*, got added {'n': 3}"),
        (lambda room, ref: room.assert_reply(ref, "added", {"n": 4}), "got added {'n': 3}"),
        (lambda room, ref: room.assert_reply("99"), "expected a reply to the push 99, but there is"),
        (lambda room, ref: room.assert_push("total"), "expected the push total .*the broadcast total {'n': 3}"),
        (lambda room, ref: room.assert_push("thanks", {"n": 4}), "the push thanks {'n': 3}"),
        (lambda room, ref: room.assert_broadcast("thanks"), "expected the broadcast thanks"),
        (lambda room, ref: room.refute_push("thanks"), "expected no push thanks"),
        (lambda room, ref: room.refute_broadcast("total", {"n": 3}), "expected no broadcast total"),
        (lambda room, ref: room.assert_end("closed"), "expected the channel to be closed, but there is"),
    ],
)
async def test_an_assertion_that_does_not_hold_says_what_came(
    app: Phoenix, claim: Callable[[Any, str], Any], sentence: str
) -> None:
    socket = await connect(app, timeout=0.05)
    room = await socket.join("room:1")
    ref = room.push("add", {"n": 3})
    with pytest.raises(AssertionError, match=sentence):
        await claim(room, ref)
    await socket.close()


async def test_the_wrong_end_is_told(app: Phoenix) -> None:
    socket, room = await open_room(app)
    room.push("crash")
    with pytest.raises(AssertionError, match="to be closed, but it is crashed"):
        await room.assert_end("closed")
    await socket.close()
