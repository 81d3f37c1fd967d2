"""Messages, replies, pushes and broadcasts of a channel, over real connections."""

from typing import Any

import pytest

from antiphon.errors import ProcessingError
from antiphon.realtime.channel import Channel
from tests.rules import rule


def reply(ref: Any, response: Any, status: str = "ok") -> list[Any]:
    return ["1", ref, "room:1", "phx_reply", {"status": status, "response": response}]


@rule("V2-3", "MS-1")
@pytest.mark.parametrize("payload", [{"a": 1}, [1, 2], "text", 5, 1.5, True])
async def test_any_json_value_is_a_payload_and_a_reply(wire: Any, payload: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "echo", payload])
    await wire.expect(reply("2", payload))


@rule("MS-1")
async def test_a_null_join_ref_is_current(wire: Any) -> None:
    await wire.join("room:1")
    await wire.send([None, "2", "room:1", "echo", {}])
    await wire.expect(reply("2", {}))


@rule("MS-2")
async def test_no_reply_unless_one_is_returned(wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "silent", {}])
    await wire.nothing_more()


@rule("MS-3")
async def test_status_is_free_text(wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "error", {"why": 1}], ["1", "3", "room:1", "status", {}])
    await wire.send(["1", "4", "room:1", "reject", {"reason": "no"}])
    await wire.expect(reply("2", {"why": 1}, "error"), reply("3", {}, "maybe"), reply("4", {"reason": "no"}, "error"))


@rule("MS-4")
@pytest.mark.parametrize("stale", ["2", 1, True, ""])
async def test_a_frame_of_another_join_is_dropped(wire: Any, stale: Any) -> None:
    await wire.join("room:1")
    await wire.send([stale, "2", "room:1", "echo", {}])
    await wire.nothing_more()


@rule("MS-5")
async def test_a_frame_for_a_topic_that_is_not_joined(wire: Any) -> None:
    await wire.send(["1", "2", "room:1", "echo", {}])
    await wire.expect(
        [None, "2", "room:1", "phx_reply", {"status": "error", "response": {"reason": "unmatched topic"}}]
    )


@rule("MS-7")
async def test_an_answer_may_come_later_and_twice(wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "defer", {}], ["1", "3", "room:1", "echo", {}])
    await wire.expect(reply("3", {}))
    await wire.send(["1", "4", "room:1", "answer", {"late": True}])
    await wire.expect(reply("2", {"late": True}), reply("2", {}, "error"))


@rule("MS-7")
async def test_there_is_nothing_to_defer_without_a_ref(wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", None, "room:1", "defer", {}])
    await wire.expect(["1", "1", "room:1", "phx_error", {"reason": "channel_crash"}])


@rule("MS-8")
async def test_a_null_ref_is_answered_with_a_null_ref(wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", None, "room:1", "echo", {}])
    await wire.expect(reply(None, {}))


@rule("MS-9")
@pytest.mark.parametrize("event", ["phx_reply", "phx_error", "phx_close"])
async def test_protocol_names_may_come_in_but_not_go_out(wire: Any, event: str) -> None:
    await wire.join("plain:1")
    await wire.send(["1", "2", "plain:1", event, {}])
    await wire.expect(
        ["1", "2", "plain:1", "phx_reply", {"status": "ok", "response": {"event": event, "join_ref": "1"}}]
    )
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "push", {"event": event}])
    await wire.expect(["1", "1", "room:1", "phx_error", {"reason": "channel_crash"}])


@rule("MS-10")
async def test_an_event_without_a_handler(wire: Any) -> None:
    await wire.join("quiet")
    await wire.send(["1", "2", "quiet", "anything", {}], ["1", "3", "quiet", "again", {}])
    for ref in ("2", "3"):
        await wire.expect(
            ["1", ref, "quiet", "phx_reply", {"status": "error", "response": {"reason": "unhandled event"}}]
        )


@rule("V2-4")
@pytest.mark.parametrize("value", [[1], "text", 5, None])
async def test_a_push_that_is_no_object_is_an_error_at_the_sender(wire: Any, value: Any) -> None:
    await wire.join("room:1")
    await wire.send(["1", "2", "room:1", "push", {"value": value}])
    await wire.expect(["1", "1", "room:1", "phx_error", {"reason": "channel_crash"}])


@rule("BC-1", "BC-4")
async def test_a_broadcast_reaches_every_member_without_refs(live: Any, wire: Any) -> None:
    other = await live.wire()
    await wire.join("room:1")
    await other.join("room:1", join_ref="x")
    await wire.send(["1", "2", "room:1", "broadcast", {"text": "hé 🎵"}])
    for member in (wire, other):
        await member.expect([None, None, "room:1", "message", {"text": "hé 🎵"}])


@rule("BC-2")
async def test_broadcast_from_skips_the_calling_channel_only(live: Any, wire: Any) -> None:
    other = await live.wire()
    await wire.join("room:1")
    await other.join("room:1")
    await wire.send(["1", "2", "room:1", "broadcast_from", {"n": 1}], ["1", "3", "room:1", "broadcast", {"n": 2}])
    await wire.expect([None, None, "room:1", "message", {"n": 2}])
    await other.expect([None, None, "room:1", "message", {"n": 1}], [None, None, "room:1", "message", {"n": 2}])


@rule("BC-6")
async def test_anybody_may_broadcast(live: Any, wire: Any) -> None:
    await wire.join("room:1")
    live.app.broadcast("room:1", "news", {"n": 1})
    live.app.broadcast("room:2", "news", {"n": 2})
    await wire.expect([None, None, "room:1", "news", {"n": 1}])
    await wire.nothing_more()


@rule("BC-8")
@pytest.mark.parametrize("payload", [[], None, {"x": float("inf")}, {"x": "\ud800"}, {"x": object()}])
async def test_what_cannot_be_encoded_fails_at_the_publisher(live: Any, wire: Any, payload: Any) -> None:
    await wire.join("room:1")
    with pytest.raises((TypeError, ValueError)):
        live.app.broadcast("room:1", "message", payload)
    await wire.nothing_more()


@rule("MD-5")
async def test_pushes_broadcasts_and_replies_of_one_handler_keep_their_order(live: Any, wire: Any) -> None:
    other = await live.wire()
    await wire.join("room:1")
    await other.join("room:1")
    await wire.send(["1", "2", "room:1", "mixed", {}])
    message = [None, None, "room:1", "message"]
    await wire.expect(
        ["1", None, "room:1", "pushed", {"n": 1}],
        [*message, {"n": 2}],
        ["1", None, "room:1", "pushed", {"n": 3}],
        [*message, {"n": 4}],
        reply("2", {"n": 5}),
    )
    await other.expect([*message, {"n": 2}], [*message, {"n": 0}], [*message, {"n": 4}])


@rule("MD-5")
async def test_many_replies_and_broadcasts_in_one_chunk_keep_their_order(wire: Any) -> None:
    await wire.join("room:1")
    await wire.send(*(["1", str(n), "room:1", "broadcast", {"n": n, "reply": {"n": n}}] for n in range(200)))
    for n in range(200):
        frame = {"n": n, "reply": {"n": n}}
        await wire.expect([None, None, "room:1", "message", frame], reply(str(n), {"n": n}))


def test_handlers_are_inherited_and_replaced() -> None:
    class Base(Channel):
        @Channel.on("a")
        async def first(self, payload: Any, socket: Any) -> str:
            return "base"

    class Derived(Base):
        @Channel.on("a")
        @Channel.on("b")
        async def second(self, payload: Any, socket: Any) -> str:
            return "derived"

    assert Base.handlers == {"a": Base.first}
    assert Derived.handlers == {"a": Derived.second, "b": Derived.second}
    assert Channel.handlers == {}


@rule("MD-8", "MD-9")
async def test_assigns_are_merged_and_never_leak(live: Any, wire: Any) -> None:
    joined = await wire.join("room:1", {"assigns": True})
    assigns = joined[4]["response"]["assigns"]
    assert assigns["flavour"] == "room"
    assert assigns["params"] == {"vsn": "2.0.0"}
    await wire.send(["1", "2", "room:1", "assign", {"mine": 1}])
    answer = (await wire.receive())[4]["response"]
    assert answer["mine"]["mine"] == 1
    assert "mine" not in answer["socket"]
    assert "flavour" not in answer["socket"]
    other = await wire.join("room:2", {"assigns": True})
    assert other[4]["response"]["assigns"] == assigns


async def test_a_push_during_the_join_says_what_to_do_instead(live: Any) -> None:
    class Eager(Channel):
        async def on_join(self, payload: Any, socket: Any) -> Any:
            with pytest.raises(ProcessingError, match="after_join"):
                await self.broadcast("early", {})
            return {"checked": True}

    live.app.route("eager", Eager)
    wire = await live.wire()
    assert (await wire.join("eager"))[4]["response"] == {"checked": True}
