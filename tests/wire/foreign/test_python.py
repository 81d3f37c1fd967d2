"""The Python clients, as published."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.realtime.channel import Channel
from antiphon.realtime.client.phoenix import PhoenixClient
from antiphon.realtime.phoenix import Phoenix
from antiphon.telemetry.metrics import Metrics
from tests.phoenix import configured
from tests.rules import rule
from tests.wire.foreign.reference_server import ReferenceServer


class Absinthe(Channel):
    """A GraphQL server that knows one query and one subscription."""

    async def on_message(self, payload: Any, socket: Any) -> Any:
        if self.event == "unsubscribe":
            return payload
        if "hello" in payload["query"]:
            return {"data": {"hello": "world"}}
        self.defer().reply({"subscriptionId": "s1"})
        for n in range(3):
            await self.push("subscription:data", {"subscriptionId": "s1", "result": {"data": {"counted": n}}})
        return None


@pytest.fixture
async def graphql() -> AsyncIterator[str]:
    """A server of the channel that a client of GraphQL expects."""
    app = Phoenix(configured(close_seconds=1.0), metrics=Metrics())
    app.channel("__absinthe__:control")(Absinthe)
    await app.listen("127.0.0.1", 0)
    yield f"127.0.0.1:{app.port}/socket"
    await app.stop()


@rule("TR-2", "V1-1", "V1-3", "V1-4", "V1-5", "V2-2", "MS-5", "LV-1")
async def test_phxsocket(room: ReferenceServer, python: Any) -> None:
    assert await python("phxsocket_session.py", room.url).observed() == {
        "join": [{"echo": "é🎵"}],
        "echo": ["ok", {"n": [1, None]}],
        "error": ["error", {"why": 1}],
        "broadcast": [{"n": 1}],
        "refused": [{"reason": "full"}],
        "leave": ["ok", {}],
        "not there": ["error", {"reason": "unmatched topic"}],
    }


@rule("V1-1", "V1-2", "V1-4", "HB-1", "LV-1")
@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_phoenix_channels_python_client(room: ReferenceServer, python: Any, version: str) -> None:
    """In version 2 it drops what has no join_ref, so no broadcast and no refusal reaches it: its own fault."""
    seen: dict[str, Any] = {}
    async with (
        PhoenixClient(f"http://{room.url}") as other,
        python("channels_session.py", room.url, version).followed() as lines,
    ):
        speaker = other.channel("room:1")
        await speaker.join()
        async for name, *values in lines:
            seen[name] = values
            if name == "listening":
                await speaker.push("broadcast_reply", {"n": 1})
    heard = {"refused": [True], "listening": [], "broadcast": [{"n": 1}]} if version == "1.0" else {}
    assert seen == {"joined": [True], "left": [False], "joined again": [True], **heard}


@rule("TR-2", "V1-1", "V1-4", "V2-2")
async def test_gql(graphql: str, python: Any) -> None:
    assert await python("absinthe_session.py", graphql).observed() == {
        "query": [{"hello": "world"}],
        "subscription 0": [{"counted": 0}],
        "subscription 1": [{"counted": 1}],
        "subscription 2": [{"counted": 2}],
        "query again": [{"hello": "world"}],
    }
