"""The official JavaScript client, as published, against our server."""

import asyncio
from typing import Any

from tests.rules import rule


async def test_the_npm_package_phoenix_joins_talks_leaves_and_comes_back(script: Any) -> None:
    seen = {name: values for name, *values in await script("session.js")}
    assert seen == {
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
        "crash": ["channel_crash"],
        "rejoined": ["joined"],
        "disconnect": [1001],
        "works again": ["ok", {"back": True}],
    }


async def test_jn_6_the_client_rejoins_every_channel_when_the_server_restarts(server: Any, script: Any) -> None:
    running = asyncio.create_task(script("restart.js"))
    async with asyncio.timeout(20):
        while not server.members("room:1"):
            await asyncio.sleep(0.01)
        port = server.port
        await server.stop()
        await server.listen("127.0.0.1", port)
    assert await running == [["joined", 1], ["closed", 1012], ["joined", 2]]


@rule("AU-1", "AU-2", "AU-3")
async def test_the_client_sends_its_token_as_a_sub_protocol(script: Any) -> None:
    seen = sorted(await script("token.js"), key=str)
    assert seen == [["plain", "plain", "phoenix"], ["~>>", "~>>", "phoenix"], [None, None, ""]]
