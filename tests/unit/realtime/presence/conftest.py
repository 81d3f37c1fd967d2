"""One node by itself, and what its members are sent."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.realtime.presence.presence import Presence
from antiphon.telemetry.metrics import Metrics
from tests.unit.realtime.presence.client import clone


class Members:
    """The members of all topics: takes what is broadcast."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def broadcast(self, topic: str, event: str, payload: Any) -> None:
        assert event == "presence_diff"
        assert set(payload) == {"joins", "leaves"}
        self.sent.append((topic, clone(payload)))

    def refs(self) -> list[tuple[list[str], list[str]]]:
        """The refs on both sides of each diff since this was last asked."""
        sent, self.sent = self.sent, []
        return [
            tuple([meta["phx_ref"] for each in diff[side].values() for meta in each["metas"]] for side in diff)  # type: ignore[misc]
            for _, diff in sent
        ]


@pytest.fixture
def members() -> Members:
    return Members()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def presence(members: Members, metrics: Metrics) -> AsyncIterator[Presence]:
    presence = Presence("here", broadcast=members.broadcast, metrics=metrics)
    yield presence
    await presence.stop()
