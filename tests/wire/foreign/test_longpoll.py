"""The JavaScript client where no WebSocket gets through."""

import signal
from typing import Any

import pytest

from tests.rules import rule
from tests.wire.foreign.reference_server import ReferenceServer


@rule("JS-8", "JS-9", "LP-4", "LP-5", "LP-6", "LP-8", "DC-3", "TR-5")
async def test_the_npm_package_phoenix_by_long_poll(room: ReferenceServer, javascript: Any) -> None:
    assert await javascript("longpoll.js", f"http://{room.url}").observed() == {
        "echo": ["ok", {"x": "é🎵"}],
        "unknown": ["error", {"reason": "unhandled event"}],
        "broadcast": [{"n": 1}],
        "came back": [2, 3410],
        "fell back": ["ok", {"n": 1}, True],
        "refused": [1008],
    }


@rule("JS-2", "JS-9", "DC-5", "LP-17")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_it_comes_back_when_the_server_restarts(
    room: ReferenceServer, javascript: Any, end: signal.Signals
) -> None:
    async with javascript("restart.js", f"http://{room.url}", "phoenix", "longpoll").followed() as lines:
        seen = [await anext(lines)]
        room.stop(end)
        seen.append(await anext(lines))
        room.start()
        seen += [line async for line in lines]
    assert [name for name, _ in seen] == ["joined", "closed", "joined"]
    assert seen[1][1] in {1011, 3410}, "the server is not there, or knows nothing of the session"
