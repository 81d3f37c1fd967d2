"""What a client may send at worst: the socket answers or closes as the contract says, and nobody else is harmed."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect

from antiphon.conversation.router import TEXT_LIMIT, WAITING_LIMIT
from antiphon.realtime.client.push import PushError
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.serving import LONGEST, Visitors

EVENTS = ("message", "cancel", "history", "typing", "phx_join", "no_such_event", "phx_leave")


def socket_of(workspace: Workspace, **options: Any) -> connect:
    return connect(f"{workspace.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0", proxy=None, **options)


async def reply_to(socket: ClientConnection, ref: str) -> dict[str, Any]:
    async with asyncio.timeout(LONGEST):
        while True:
            frame = json.loads(await socket.recv())
            if frame[1] == ref and frame[3] == "phx_reply":
                payload: dict[str, Any] = frame[4]
                return payload


# --- frames -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", 1011),
        ("[]", 1011),
        ('["1","1","conversation:x","phx_join"]', 1011),
        ('{"topic":"a","event":"b","payload":{},"ref":"1"}', 1011),
        ("[1,2,3,4,5,6]", 1011),
        ('["1","1",7,"phx_join",{}]', 1011),
        ("[" * 5000, 1011),
        ('["1","1","conversation:x","message",{"text":"\\ud800"}]', 1011),
        (b"\x00\x01\x02", 1011),
        (b"\xff" * 64, 1011),
        ("x" * (1024 * 1024 + 1), 1009),
    ],
)
async def test_a_malformed_frame_ends_only_its_own_socket(
    house: Serving, visitors: Visitors, frame: str | bytes, code: int
) -> None:
    async with house(realtime={"transport": {"close_seconds": 0.2}}) as workspace:
        visitor = await visitors.enter(workspace.url)
        async with socket_of(workspace) as socket:
            await socket.send(frame)
            async with asyncio.timeout(LONGEST):
                await socket.wait_closed()
            assert socket.close_code == code
        assert (await visitor.ask("!echo unharmed"))["text"] == "unharmed"


# --- payloads -----------------------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
anything = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4))
fields = st.sampled_from(
    ["text", "client_id", "turn_id", "before", "limit", "on", "since", "assistant", "title", "seq"]
)
payloads = anything | st.dictionaries(fields, anything, max_size=5)


class Victim:
    """A joined conversation on a raw socket, which may be sent anything."""

    def __init__(self, socket: ClientConnection, conversation_id: str) -> None:
        self.socket = socket
        self.topic = f"conversation:{conversation_id}"
        self.ref = 0

    async def send(self, topic: str, event: str, payload: Any) -> dict[str, Any] | None:
        """The reply; None when a heartbeat sent behind it is answered and `typing` was not."""
        self.ref += 1
        ref, beat = f"r{self.ref}", f"beat{self.ref}"
        await self.socket.send(json.dumps(["1", ref, topic, event, payload]))
        await self.socket.send(json.dumps([None, beat, "phoenix", "heartbeat", {}]))
        replies: dict[str, Any] = {}
        async with asyncio.timeout(LONGEST):
            while beat not in replies or (ref not in replies and event != "typing"):
                frame = json.loads(await self.socket.recv())
                assert frame[3] != "phx_error", f"{event} {payload!r} crashed the channel"
                if frame[3] == "phx_reply":
                    replies[frame[1]] = frame[4]
        return replies.get(ref)


def test_no_payload_crashes_a_channel(house: Serving) -> None:
    """Any JSON under any event gets a reply (ok, or error with a reason), or silence for `typing`."""

    with asyncio.Runner() as runner:
        entered = house()
        workspace = runner.run(entered.__aenter__())

        async def open_socket() -> Victim:
            socket = await socket_of(workspace)
            victim = Victim(socket, "none")
            made = await victim.send("conversation:new", "phx_join", {"client_id": "fuzz"})
            assert made is not None
            victim.topic = f"conversation:{made['response']['conversation']['id']}"
            return victim

        victim = runner.run(open_socket())

        async def attack(event: str, payload: Any) -> None:
            joined = await victim.send(victim.topic, "phx_join", {})
            assert joined is not None
            assert joined["status"] == "ok"
            reply = await victim.send(victim.topic, event, payload)
            if event == "typing":
                assert reply is None or reply["status"] == "error"
                return
            assert reply is not None
            assert reply["status"] in {"ok", "error"}
            if reply["status"] == "error":
                assert reply["response"]["reason"]

        @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(event=st.sampled_from(EVENTS), payload=payloads)
        @example(event="message", payload={"text": "!echo x", "client_id": "\x00"})
        @example(event="message", payload={"text": "!echo a\x00b"})
        @example(event="phx_join", payload={"since": {"turn_id": {}, "seq": []}})
        @example(event="phx_join", payload={"since": "9" * 15, "limit": 2**60})
        @example(event="phx_join", payload={"since": "٣"})
        @example(event="history", payload={"before": True, "limit": -1})
        @example(event="cancel", payload={"turn_id": ["x"]})
        def play(event: str, payload: Any) -> None:
            runner.run(attack(event, payload))

        try:
            play()
            new = st.dictionaries(st.sampled_from(["client_id", "assistant", "title"]), anything) | anything

            @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
            @given(payload=new)
            @example(payload={"client_id": "x", "title": "\x00", "assistant": ""})
            @example(payload={"client_id": "\x00"})
            def create(payload: Any) -> None:
                reply = runner.run(victim.send("conversation:new", "phx_join", payload))
                assert reply is not None
                assert reply["status"] == "ok" or reply["response"]["code"] in {"validation", "config", "not_found"}

            create()
            reply = runner.run(victim.send("conversations", "phx_join", [1, {"limit": "x"}]))
            assert reply is not None
            assert reply["status"] == "ok"
        finally:
            runner.run(victim.socket.close())
            runner.run(entered.__aexit__(None, None, None))


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({"text": "x" * (TEXT_LIMIT + 1)}, "The message has 100,001 characters; 100,000 are the most."),
        ({"text": "  \n "}, "An empty message has no answer. Write something."),
        ({"text": 7}, "`text` must be a string."),
        ({}, "`text` must be a string."),
        ([], "The payload must be an object."),
        ({"text": "hi", "client_id": ""}, "`client_id` must be a text of 1 to 200 characters."),
        ({"text": "hi", "client_id": "x" * 201}, "`client_id` must be a text of 1 to 200 characters."),
    ],
)
async def test_a_message_nobody_can_take_is_refused_with_the_reason(
    here: Workspace, visitors: Visitors, payload: Any, sentence: str
) -> None:
    visitor = await visitors.enter(here.url)
    with pytest.raises(PushError) as caught:
        await visitor.channel.push("message", payload)
    assert caught.value.response == {"reason": sentence, "code": "validation"}
    assert visitor.shown() == []
    assert (await visitor.ask("!echo fine"))["text"] == "fine"


async def test_the_longest_message_is_taken(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    text = "!echo " + "ä" * (TEXT_LIMIT - 6)
    assert (await visitor.ask(text))["end"]["status"] == "answered"


async def test_a_flood_is_refused_and_what_was_accepted_is_answered(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    running = await visitor.say("!slow 60000 !long 5")
    await visitor.until("turn_start", turn_id=running["turn_id"])
    accepted = [await visitor.say(f"!echo {number}") for number in range(WAITING_LIMIT)]
    with pytest.raises(PushError) as caught:
        await visitor.say("one too many")
    assert caught.value.response["code"] == "service"
    assert f"{WAITING_LIMIT} messages wait here already" in caught.value.response["reason"]
    await visitor.channel.push("cancel", {"turn_id": running["turn_id"]})
    for number, receipt in enumerate(accepted):
        assert (await visitor.answer(receipt["turn_id"]))["text"] == str(number)


@pytest.mark.parametrize("topic", ["person:local", "person:*", "administrator", "conversation", "conversations:x", ""])
async def test_no_client_gets_into_a_topic_of_the_house(here: Workspace, topic: str) -> None:
    async with socket_of(here) as socket:
        await socket.send(json.dumps(["1", "1", topic, "phx_join", {}]))
        reply = await reply_to(socket, "1")
        assert (reply["status"], reply["response"]) == ("error", {"reason": "unmatched topic"})


@pytest.mark.parametrize("conversation_id", ["nope", "", "../../etc", "0" * 5000, "new2", "%00"])
async def test_a_conversation_that_does_not_exist(here: Workspace, conversation_id: str) -> None:
    async with socket_of(here) as socket:
        await socket.send(json.dumps(["1", "1", f"conversation:{conversation_id}", "phx_join", {}]))
        reply = await reply_to(socket, "1")
        assert reply["status"] == "error"
        assert reply["response"]["code"] == "not_found"


# --- bodies -------------------------------------------------------------------------------------------------------


async def test_a_body_announced_too_large_is_refused_before_it_is_sent(here: Workspace) -> None:
    host, port = here.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "PATCH /api/v1/conversations/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(LONGEST):
        answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_body_that_turns_out_too_large_is_cut_off(here: Workspace) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 64 * 1024 * 1024:
            sent += 65536
            yield b" " * 65536

    async with aiohttp.ClientSession() as session:
        url = f"{here.url}/api/v1/conversations/x"
        try:
            async with session.patch(url, data=endless(), headers={"content-type": "application/json"}) as answer:
                assert answer.status == 413
                assert (await answer.json())["title"] == "Body too large"
        except aiohttp.ClientConnectionError:
            pass  # the server had answered and closed while we were still sending
    assert sent < 32 * 1024 * 1024


async def test_a_socket_that_vanishes_while_it_is_answered(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    async with socket_of(here) as socket:
        await socket.send(json.dumps(["1", "1", visitor.channel.topic, "phx_join", {}]))
        await reply_to(socket, "1")
        await socket.send(json.dumps(["1", "2", visitor.channel.topic, "message", {"text": "!slow 5 !long 20"}]))
        receipt = (await reply_to(socket, "2"))["response"]
        socket.transport.abort()
    assert (await visitor.answer(receipt["turn_id"]))["end"]["status"] == "answered"
