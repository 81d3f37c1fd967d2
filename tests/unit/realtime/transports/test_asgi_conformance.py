"""The whole protocol on servers of others: all that breaks there is what they do with broken WebSocket frames."""

import pytest
from examples.reference_room import reference_room

from antiphon.realtime.presence.presence import Presence
from antiphon.realtime.pubsub import PubSub
from antiphon.telemetry.metrics import Metrics
from antiphon.testing.conformance.raw import RoomAddress
from antiphon.testing.conformance.registry import all_checks
from antiphon.testing.conformance.runner import Runner
from tests.phoenix import configured
from tests.unit.realtime.transports.hosting import HOSTS

THEIRS = {"uvicorn": {"DC-8"}, "hypercorn": {"V2-6", "DC-7", "DC-8"}}


@pytest.mark.parametrize("name", sorted(HOSTS))
async def test_every_rule_that_is_not_about_framing(name: str) -> None:
    metrics = Metrics()
    config = configured(close_seconds=1.0, longpoll=True, longpoll_window=4.0)
    app = reference_room(config, metrics=metrics, pubsub=PubSub(metrics=metrics), presence=Presence(metrics=metrics))
    async with HOSTS[name](app) as port:
        address = RoomAddress("127.0.0.1", port, tls=False, mount="/socket")
        checks = [each for each in all_checks() if not each.slow and each.rule not in THEIRS[name]]
        verdicts = await Runner(address).run(checks)
    assert [(each.rule, each.expected, each.received) for each in verdicts if each.outcome != "passed"] == []
    assert len(verdicts) >= 130
