"""The JavaScript clients, as published."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.realtime.channel import Channel
from antiphon.realtime.phoenix import Phoenix
from antiphon.telemetry.metrics import Metrics
from tests.phoenix import configured
from tests.rules import rule
from tests.wire.foreign.reference_server import ReferenceServer

VERSIONS = ["phoenix", "phoenix-1-7", "phoenix-1-6"]


@rule(
    "V2-1", "V2-5", "BN-1", "BN-2", "BN-3", "BN-4", "BN-8", "BN-9", "JN-1", "JN-2", "JN-4", "JN-8", "MS-3", "MS-7",
    "MS-10", "BC-1", "BC-2", "LV-1", "LV-4", "LV-5", "ER-1", "DC-2", "HB-1", "JS-4", "JS-10", "JS-13",
)  # fmt: skip
@pytest.mark.parametrize("version", VERSIONS)
async def test_the_npm_package_phoenix(room: ReferenceServer, javascript: Any, version: str) -> None:
    assert await javascript("session.js", f"ws://{room.url}", version).observed() == {
        "join": ["ok", {"echo": {"x": "é🎵"}}],
        "join again": ["ok", {}],
        "refused": ["error", {"reason": "full"}],
        "unmatched": ["error", {"reason": "unmatched topic"}],
        "echo": ["ok", {"n": [1, None, "x"]}],
        "error": ["error", {"why": 1}],
        "later": ["ok", {"late": True}],
        "unhandled": ["error", {"reason": "unhandled event"}],
        "broadcast": [[{"n": 1}, {"n": 1}]],
        "broadcast_from": [{"n": 2}],
        "not for me": [[]],
        "push": [{"n": 3}],
        "large": [200000],
        "many": [True],
        "stop": ["closed"],
        "leave": ["ok", {}, "closed"],
        "binary echo": ["ok", "0102ff"],
        "binary refusal": ["0102ff"],
        "empty": [0],
        "large bytes": [500000],
        "binary push": ["000102"],
        "binary broadcast": [["00010203", "00010203"]],
        "bytes to the others": ["0102ff"],
        "second": ["ok", {"echo": 2}, "closed"],
        "heard once": [[1]],
        "left and joined at once": ["ok", "ok", {"echo": 3}],
        "still there": ["ok", {"n": 3}],
        "never joined": ["ok", {}],
        "heartbeats": [5, 0],
        "crash": [True],
        "rejoined": ["joined"],
        "disconnect": [1001],
        "works again": ["ok", {"back": True}],
    }


@rule("JN-6", "DC-5", "JS-2", "JS-7")
@pytest.mark.parametrize("version", VERSIONS)
async def test_every_channel_is_joined_again_when_the_server_restarts(
    room: ReferenceServer, javascript: Any, version: str
) -> None:
    async with javascript("restart.js", f"ws://{room.url}", version).followed() as lines:
        seen = [await anext(lines)]
        room.stop()
        seen.append(await anext(lines))
        room.start()
        seen += [line async for line in lines]
    assert seen == [["joined", 1], ["closed", 1012], ["joined", 2]]


@rule("TR-2", "V1-1", "V1-2", "V1-3", "V1-4", "V1-5", "ER-1", "LV-1")
async def test_the_npm_package_phoenix_channels(room: ReferenceServer, javascript: Any) -> None:
    assert await javascript("version_one.js", f"ws://{room.url}").observed() == {
        "join": ["ok", {"echo": "é🎵"}],
        "refused": ["error", {"reason": "full"}],
        "echo": ["ok", {"n": [1, None]}],
        "error": ["error", {"why": 1}],
        "broadcast": [{"n": 1}],
        "push": [{"n": 2}],
        "crash": [True],
        "rejoined": ["ok", {"n": 3}],
        "leave": ["ok", {}, "closed"],
    }


class Tellers(Channel):
    """Tells everybody the token they came in with."""

    async def on_join(self, payload: Any, socket: Any) -> Any:
        return {"token": socket.assigns["token"]}


@pytest.fixture
async def tellers() -> AsyncIterator[str]:
    """A server that reads tokens, which the reference room does not."""
    app = Phoenix(configured(close_seconds=1.0, auth_token=True), metrics=Metrics())
    app.channel("room:*")(Tellers)

    @app.on_connect
    async def connect(info: Any) -> Any:
        return {"token": info.auth_token}

    await app.listen("127.0.0.1", 0)
    yield f"ws://127.0.0.1:{app.port}/socket"
    await app.stop()


@rule("AU-1", "AU-2", "AU-3")
async def test_the_npm_package_phoenix_sends_its_token_as_a_sub_protocol(tellers: str, javascript: Any) -> None:
    assert await javascript("token.js", tellers).observed() == {
        "plain": ["plain", "phoenix"],
        "~>>": ["~>>", "phoenix"],
        None: [None, ""],
    }
