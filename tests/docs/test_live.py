"""The page about what goes over the socket and HTTP, against a server that does it."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.realtime.client.channel import ClientChannel
from antiphon.realtime.client.phoenix import PhoenixClient
from antiphon.realtime.client.push import PushError
from antiphon.web.channels.conversation import ConversationChannel

LIVE = "docs/reference/live.md"

Payloads = dict[str, list[dict[str, Any]]]


def shape(page: Any, heading: str) -> dict[str, Any]:
    """The example below a heading."""
    text = page(LIVE).section(heading)
    example: dict[str, Any] = json.loads(text.split("```json\n")[1].split("```")[0])
    return example


class Visitor:
    """A client in a new conversation, which keeps whatever it hears."""

    def __init__(self, channel: ClientChannel) -> None:
        self.channel = channel
        self.heard: Payloads = defaultdict(list)
        self.joined: Any = None
        self._over = asyncio.Event()
        channel.on(None, self._hear)

    async def ask(self, text: str) -> None:
        self._over.clear()
        await self.channel.push("message", {"text": text})
        async with asyncio.timeout(20):
            await self._over.wait()

    def _hear(self, event: str, payload: Any) -> None:
        self.heard[event].append(payload)
        if event == "turn_end":
            self._over.set()


@pytest.fixture
async def visitor(server: str) -> AsyncIterator[Visitor]:
    async with PhoenixClient(f"{server}/socket") as client:
        start = client.channel("conversation:new", {"client_id": "live"})
        created = await start.join()
        await start.leave()
        visitor = Visitor(client.channel(f"conversation:{created['conversation']['id']}"))
        visitor.joined = await visitor.channel.join()
        yield visitor


async def test_the_shapes_of_a_turn(page: Any, visitor: Visitor) -> None:
    await visitor.ask("What is 17% of 2340?")
    heard = visitor.heard
    for event in ("turn_start", "tool", "turn_end"):
        assert [set(payload) for payload in heard[event]] == [set(shape(page, event))] * len(heard[event]), event
    assert set(heard["turn_end"][0]["usage"]) == set(shape(page, "turn_end")["usage"])
    assert {frozenset(payload) for payload in heard["delta"]} == {
        frozenset({"turn_id", "seq", "text"}),
        frozenset({"turn_id", "seq", "reasoning"}),
    }
    question, answer = heard["message"]
    assert set(question) == set(answer) == set(shape(page, "message"))
    said = page(LIVE).section("message")
    for part in answer["parts"]:
        assert f'type: "{part["type"]}"' in said.replace("\n  ", " ")
        assert [field for field in part if field not in said] == []


async def test_the_reply_to_a_join(page: Any, visitor: Visitor) -> None:
    assert set(visitor.joined) == set(shape(page, "reply to a join"))
    assert set(visitor.joined["conversation"]) == set(shape(page, "conversation"))
    assert set(visitor.joined["members"][0]) == set(shape(page, "reply to a join")["members"][0])
    waiting = visitor.channel.push("message", {"text": "!hang"})
    turn_id = (await waiting)["turn_id"]
    again = await visitor.channel.join()
    listed = f"`{{{', '.join(again['turns'][0])}}}`"
    assert listed in page(LIVE).section("reply to a join")
    assert await visitor.channel.push("cancel", {"turn_id": turn_id}) == {}


async def test_the_events_in_the_tables(page: Any, visitor: Visitor) -> None:
    sent = {row[0].strip("`") for row in page(LIVE).table("What a client sends")}
    assert sent == set(ConversationChannel.handlers)
    told = {row[0].strip("`") for row in page(LIVE).table("What the server sends")}
    await visitor.ask("What is 2 + 2?")
    await visitor.ask("/good")
    assert set(visitor.heard) | {"typing", "approval"} == told


@pytest.mark.parametrize("topic", ["conversation:new", "conversation:*", "conversations"])
async def test_the_topics_in_the_table(page: Any, server: str, topic: str) -> None:
    """Each has a channel behind it: a join that asks for nothing sensible is refused by that, in its words."""
    assert f"`{topic}`" in {row[0] for row in page(LIVE).table("Topics")}
    async with PhoenixClient(f"{server}/socket") as client:
        joining = asyncio.create_task(client.channel(topic.replace("*", "nobody")).join())
        await asyncio.wait([joining])
        refusal = joining.exception()
        assert refusal is None or (
            isinstance(refusal, PushError) and refusal.response["code"] in {"validation", "not_found"}
        )


def test_the_paths_of_http(page: Any, fetch: Any) -> None:
    schema = fetch("openapi.json").json()
    served = {f"{method.upper()} {path}" for path, methods in schema["paths"].items() for method in methods}
    named = {row[0].strip("`").partition("?")[0] for row in page(LIVE).table("HTTP")}
    assert {name.replace("{id}", "{conversation_id}") for name in named if "/api/" in name} == served
    for path in ("health", "ready", "health/deep", "metrics", "docs"):
        assert f"/{path}" in page(LIVE).section("HTTP")
        fetch(path)


def test_the_lists_of_http(page: Any, fetch: Any) -> None:
    for path in ("api/v1/assistants", "api/v1/models"):
        item = fetch(path).json()["items"][0]
        (row,) = [row for row in page(LIVE).table("HTTP") if row[0] == f"`GET /{path}`"]
        assert f"`{{{', '.join(item)}}}`" in row[1]
