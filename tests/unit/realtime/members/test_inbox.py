"""What a channel sees besides the messages of its client: broadcasts it intercepts, and messages of other topics."""

import asyncio
from typing import Any

import pytest

from antiphon.realtime.channel import Channel
from tests.rules import rule


class Private(Channel):
    """Lets `private` pass for those who may see it, and shows what it hears elsewhere."""

    async def on_join(self, payload: Any, socket: Any) -> None:
        self.vip = payload.get("vip", False)
        self.gate = asyncio.Event()

    @Channel.on("listen")
    async def listen_to(self, payload: Any, socket: Any) -> dict[str, Any]:
        await self.subscribe(payload["pattern"])
        return {}

    @Channel.on("say")
    async def say(self, payload: Any, socket: Any) -> None:
        for event in payload["events"]:
            await self.broadcast(event, {"event": event})

    @Channel.on("tell")
    async def tell(self, payload: Any, socket: Any) -> dict[str, Any]:
        await self.app.pubsub.publish(payload["topic"], payload["message"])
        return {}

    @Channel.on("wait")
    async def wait(self, payload: Any, socket: Any) -> dict[str, Any]:
        async with asyncio.timeout(5):
            await self.gate.wait()
        return {}

    @Channel.out("private")
    async def private(self, event: str, payload: Any) -> None:
        if payload.get("crash") and self.vip:
            raise RuntimeError("the secret of the hook")
        if payload.get("stop"):
            self.stop()
        elif self.vip:
            await self.push(event, {**payload, "seen": True})

    async def on_info(self, topic: str, message: Any) -> None:
        if message == "crash":
            raise RuntimeError("the secret of the message")
        await self.push("heard", {"topic": topic, "message": message})


class Inheriting(Private):
    """Intercepts what its base does, and more."""

    @Channel.out("open")
    async def opened(self, event: str, payload: Any) -> None:
        """Drops it."""


@pytest.fixture
def private(live: Any) -> Any:
    live.app.channel("private:*")(Private)
    live.app.channel("inheriting")(Inheriting)
    return live


@rule("BC-5", "MD-5")
async def test_an_intercepted_broadcast_reaches_only_whom_the_hook_lets_it(private: Any) -> None:
    vip, guest = await private.wire(), await private.wire()
    await vip.join("private:1", {"vip": True}, "7")
    await guest.join("private:1")
    await guest.send(["1", "2", "private:1", "say", {"events": ["open", "private", "open"]}])
    for _ in range(2):
        await guest.expect([None, None, "private:1", "open", {"event": "open"}])
    await guest.nothing_more()
    await vip.expect(
        [None, None, "private:1", "open", {"event": "open"}],
        # Pushed by the hook, so it carries the join_ref of this member.
        ["7", None, "private:1", "private", {"event": "private", "seen": True}],
        [None, None, "private:1", "open", {"event": "open"}],
    )


@rule("BC-5", "BN-11")
async def test_a_hook_sees_bytes_and_may_drop_what_its_base_let_pass(private: Any) -> None:
    wire = await private.wire()
    await wire.join("inheriting", {"vip": True})
    private.app.broadcast("inheriting", "open", b"\x00")
    private.app.broadcast("inheriting", "private", {"n": 1})
    await wire.expect(["1", None, "inheriting", "private", {"n": 1, "seen": True}])


@rule("BC-5", "LV-5")
async def test_a_hook_may_end_the_channel(private: Any) -> None:
    wire = await private.wire()
    await wire.join("private:1")
    private.app.broadcast("private:1", "private", {"stop": True})
    await wire.expect(["1", "1", "private:1", "phx_close", {}])


@rule("BC-5", "ER-1")
async def test_a_hook_that_raises_ends_its_own_channel_only(private: Any) -> None:
    vip, guest = await private.wire(), await private.wire()
    await vip.join("private:1", {"vip": True})
    await guest.join("private:1")
    private.app.broadcast("private:1", "private", {"crash": True})
    await vip.expect(["1", "1", "private:1", "phx_error", {"reason": "channel_crash"}])
    await guest.nothing_more()


@rule("BC-5")
async def test_what_comes_while_a_handler_waits_is_seen_behind_it(private: Any) -> None:
    wire = await private.wire()
    channels: list[Private] = []

    def kept() -> Private:
        channels.append(Private())
        return channels[-1]

    private.app.route("kept", kept)
    await wire.join("kept", {"vip": True})
    await wire.send(["1", "2", "kept", "wait", {}])
    await wire.nothing_more()
    private.app.broadcast("kept", "private", {"n": 1})
    await wire.nothing_more()
    channels[0].gate.set()
    await wire.expect(
        ["1", "2", "kept", "phx_reply", {"status": "ok", "response": {}}],
        ["1", None, "kept", "private", {"n": 1, "seen": True}],
    )


@rule("BC-6")
async def test_a_channel_hears_other_topics_until_it_ends(private: Any) -> None:
    wire = await private.wire()
    await wire.join("private:1")
    await wire.send(["1", "2", "private:1", "listen", {"pattern": "news:*"}])
    await wire.receive()
    assert await private.app.pubsub.publish("news:sport", {"n": 1}) == 1
    await wire.expect(["1", None, "private:1", "heard", {"topic": "news:sport", "message": {"n": 1}}])
    await wire.send(["1", "3", "private:1", "phx_leave", {}])
    await wire.expect(
        ["1", "3", "private:1", "phx_reply", {"status": "ok", "response": {}}],
        ["1", "1", "private:1", "phx_close", {}],
    )
    assert await private.app.pubsub.publish("news:sport", {"n": 2}) == 0


@rule("BC-6", "PS-4")
async def test_a_message_it_fails_on_ends_the_channel_and_its_subscriptions(private: Any) -> None:
    wire = await private.wire()
    await wire.join("private:1")
    for pattern in ("news:*", "news:sport"):
        await wire.send(["1", "2", "private:1", "listen", {"pattern": pattern}])
        await wire.receive()
    assert await private.app.pubsub.publish("news:sport", "crash") == 2
    await wire.expect(["1", "1", "private:1", "phx_error", {"reason": "channel_crash"}])
    assert await private.app.pubsub.publish("news:sport", "crash") == 0


@rule("BC-6")
async def test_messages_wait_for_a_busy_channel_and_are_dropped_with_it(private: Any) -> None:
    wire = await private.wire()
    await wire.join("private:1")
    await wire.send(["1", "2", "private:1", "listen", {"pattern": "news"}])
    await wire.receive()
    await wire.send(["1", "3", "private:1", "wait", {}])
    await wire.nothing_more()
    for number in range(3):
        await private.app.pubsub.publish("news", number)
    await wire.connection.close()
    async with asyncio.timeout(5):
        while await private.app.pubsub.publish("news", "late"):
            await asyncio.sleep(0.005)


@rule("BC-6")
async def test_what_a_handler_tells_its_own_channel_is_seen_right_after_it(private: Any) -> None:
    """The handler does not wait for anything, and nothing else happens that would move the channel on."""
    wire = await private.wire()
    await wire.join("private:1")
    await wire.send(["1", "2", "private:1", "listen", {"pattern": "news:*"}])
    await wire.receive()
    for ref in ("3", "4"):
        await wire.send(["1", ref, "private:1", "tell", {"topic": "news:1", "message": ref}])
        await wire.expect(
            ["1", ref, "private:1", "phx_reply", {"status": "ok", "response": {}}],
            ["1", None, "private:1", "heard", {"topic": "news:1", "message": ref}],
        )
