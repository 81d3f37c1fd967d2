"""The JavaScript client where no WebSocket gets through."""

from typing import Any

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
