"""Version 1 by itself, and spoken with a server."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.wire.base import BadFrameError, TopicMessage
from antiphon.realtime.wire.v1 import V1
from tests.rules import rule

PLAIN = {"topic": "t", "event": "e", "payload": {"a": [1]}, "ref": 7}


@rule("V1-1", "V2-2")
@pytest.mark.parametrize("ref", ["1", 7, None, {"x": 1}])
def test_a_frame_is_an_object_whose_ref_keeps_its_type(ref: Any) -> None:
    frame = V1.decode(json.dumps({**PLAIN, "ref": ref}), 100)
    assert (frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload) == (None, ref, "t", "e", {"a": [1]})


@rule("V1-1", "ER-6")
@pytest.mark.parametrize("missing", list(PLAIN))
def test_a_frame_with_a_key_missing_is_no_frame(missing: str) -> None:
    with pytest.raises(BadFrameError, match="topic, event, payload and ref"):
        V1.decode(json.dumps({key: value for key, value in PLAIN.items() if key != missing}), 100)


@rule("V1-2")
def test_a_join_ref_is_honoured_when_there_is_one() -> None:
    assert V1.decode(json.dumps({**PLAIN, "join_ref": "3"}), 100).join_ref == "3"


@rule("V1-3", "V1-4", "V1-5")
def test_what_is_sent_has_a_ref_and_never_a_join_ref() -> None:
    reply = {"topic": "t", "event": "phx_reply", "payload": {"status": "ok", "response": [1]}, "ref": "2"}
    assert json.loads(V1.reply("1", "2", "t", "ok", [1])) == reply
    assert json.loads(V1.push("1", "t", "e", {})) == {"topic": "t", "event": "e", "payload": {}, "ref": None}
    assert json.loads(V1.close("1", "t")) == {"topic": "t", "event": "phx_close", "payload": {}, "ref": "1"}
    assert json.loads(V1.error(None, "t"))["ref"] is None
    broadcast = TopicMessage.of("t", "e", {"x": 1}).frame(V1)
    assert broadcast is not None
    assert json.loads(broadcast) == {"topic": "t", "event": "e", "payload": {"x": 1}, "ref": None}


@rule("V1-6")
def test_bytes_are_refused_at_a_push_and_left_out_of_a_broadcast() -> None:
    with pytest.raises(TypeError, match="version 1"):
        V1.push("1", "t", "e", b"x")
    with pytest.raises(TypeError, match="version 1"):
        V1.reply("1", "2", "t", "ok", bytearray(b"x"))
    assert TopicMessage.of("t", "e", b"x").frame(V1) is None
    with pytest.raises(BadFrameError, match="binary"):
        V1.decode(b"x", 100)


@rule("V1-7", "ER-6")
@given(st.text() | st.builds(json.dumps, st.lists(st.integers() | st.none(), max_size=6)))
def test_what_is_no_object_is_no_frame_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(BadFrameError):
        V1.decode(text, 10)


@rule("ER-7")
def test_what_is_nested_too_deeply_is_no_frame() -> None:
    with pytest.raises(BadFrameError, match="deep"):
        V1.decode(json.dumps({**PLAIN, "payload": json.loads("[" * 50 + "]" * 50)}), 10)


# --- with a server ------------------------------------------------------------------------------------------------


class Old:
    """A client that speaks version 1."""

    def __init__(self, wire: Any) -> None:
        self.connection = wire.connection
        self.receive = wire.receive

    async def ask(self, topic: str, event: str, payload: Any, ref: Any = "1", **more: Any) -> Any:
        await self.connection.send(json.dumps({"topic": topic, "event": event, "payload": payload, "ref": ref, **more}))
        return await self.receive()


def reply(topic: str, ref: Any, response: Any = None, status: str = "ok") -> dict[str, Any]:
    answer = {"status": status, "response": {} if response is None else response}
    return {"topic": topic, "event": "phx_reply", "payload": answer, "ref": ref}


@rule("TR-2", "V1-4", "HB-1", "HB-2")
@pytest.mark.parametrize("query", ["", "vsn=1.0.0"])
async def test_a_client_that_names_no_version_speaks_the_first(live: Any, query: str) -> None:
    old = Old(await live.wire(query))
    assert await old.ask("room:1", "phx_join", {}, 3) == reply("room:1", 3)
    assert await old.ask("room:1", "echo", {"a": "ü"}, 4) == reply("room:1", 4, {"a": "ü"})
    assert await old.ask("phoenix", "heartbeat", {}, None) == reply("phoenix", None)
    assert await old.ask("room:1", "phx_leave", {}, 5) == reply("room:1", 5)
    assert await old.receive() == {"topic": "room:1", "event": "phx_close", "payload": {}, "ref": None}


@rule("BC-8", "V1-3")
async def test_both_versions_hear_the_same_broadcast(live: Any) -> None:
    old, new = Old(await live.wire("")), await live.wire()
    await old.ask("room:1", "phx_join", {})
    await new.join("room:1")
    live.app.broadcast("room:1", "news", {"n": 1})
    assert await old.receive() == {"topic": "room:1", "event": "news", "payload": {"n": 1}, "ref": None}
    await new.expect([None, None, "room:1", "news", {"n": 1}])


@rule("JN-7")
async def test_a_second_join_without_join_refs_is_not_closed_by_the_end_of_the_first(live: Any) -> None:
    old = Old(await live.wire(""))
    await old.ask("room:1", "phx_join", {}, "1")
    assert (await old.ask("room:1", "phx_join", {}, "2"))["event"] == "phx_close"
    assert await old.receive() == reply("room:1", "2")
    assert await old.ask("room:1", "echo", {}, "3") == reply("room:1", "3")


@rule("V1-5", "JN-6")
async def test_with_join_refs_the_old_close_comes_behind_and_names_its_own(live: Any) -> None:
    old = Old(await live.wire(""))
    await old.ask("room:1", "phx_join", {}, "1", join_ref="1")
    assert await old.ask("room:1", "phx_join", {}, "2", join_ref="2") == reply("room:1", "2")
    assert await old.receive() == {"topic": "room:1", "event": "phx_close", "payload": {}, "ref": "1"}


@rule("V1-6")
async def test_bytes_pushed_to_it_end_its_channel_and_bytes_for_all_pass_it_by(live: Any) -> None:
    old, new = Old(await live.wire("")), await live.wire()
    await old.ask("room:1", "phx_join", {})
    await new.join("room:1")
    live.app.broadcast("room:1", "file", b"\x00\xff")
    live.app.broadcast("room:1", "news", {"n": 1})
    assert (await old.receive())["event"] == "news"
    assert await new.connection.recv() == b"\x02\x06\x04room:1file\x00\xff"
    assert b"antiphon_ws_unsayable_total 1.0" in live.metrics.render()
    assert (await old.ask("room:1", "bytes", {}))["event"] == "phx_error"


@rule("ER-6", "V1-7")
@pytest.mark.parametrize("frame", ['["1","1","room:1","phx_join",{}]', b"\x00", '{"topic":"t"}'])
async def test_what_is_no_frame_of_its_version_ends_the_socket(live: Any, frame: Any) -> None:
    wire = await live.wire("")
    await wire.connection.send(frame)
    assert await wire.closed() == 1011
