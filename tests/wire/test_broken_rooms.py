"""The runner can fail: of rooms that are sound but for one flaw it names the rule that is broken, and only that one."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from examples.reference_room import reference_room

from antiphon.telemetry.metrics import Metrics
from antiphon.testing.conformance.raw import RoomAddress
from antiphon.testing.conformance.registry import Check, all_checks
from antiphon.testing.conformance.runner import Runner
from tests.phoenix import configured
from tests.wire import broken_rooms
from tests.wire.go_between import Flaw, go_between

FLAWS = [kind for kind in vars(broken_rooms).values() if isinstance(kind, type) and issubclass(kind, Flaw)]
BROKEN = [kind for kind in FLAWS if kind.rule]
AT_ONCE, POLLED_AT_ONCE = 4, 12
"""Rooms. With long-poll nearly all of the time is waiting for polls to end."""

pytestmark = pytest.mark.timeout(480)


@pytest.fixture
async def room() -> AsyncIterator[RoomAddress]:
    # A short window: a poll that waits for nothing is as right after four seconds as after ten. A post of many frames
    # needs more than one where all rooms and their guests share a process.
    app = reference_room(configured(close_seconds=1.0, longpoll=True, longpoll_window=4.0), metrics=Metrics())
    await app.listen("127.0.0.1", 0)
    yield RoomAddress("127.0.0.1", app.port, tls=False, mount="/socket")
    await app.stop()


def checks_for(flaw: type[Flaw]) -> list[Check]:
    """All that could see it: what long-poll does nobody sees by WebSocket."""
    polled = issubclass(flaw, broken_rooms.Polled)
    checks = [each for each in all_checks() if not each.slow and (each.part == "long-poll") is polled]
    # Ten megabytes each time are for those that could lose them.
    return [each for each in checks if each.rule not in {"LM-1", "LM-2"} or each.rule == flaw.rule]


async def broken(room: RoomAddress, flaw: type[Flaw]) -> dict[str, str]:
    """The rules that a room with this flaw is found to break, and how."""
    async with go_between(room, flaw) as address:
        verdicts = await Runner(address).run(checks_for(flaw))
    return {each.rule: f"{each.expected}, {each.received}" for each in verdicts if each.outcome == "failed"}


def test_there_are_many_flaws_each_of_another_rule() -> None:
    rules = [kind.rule for kind in BROKEN]
    assert len(rules) == len(set(rules)) >= 90


async def test_a_go_between_that_changes_nothing_is_no_flaw(room: RoomAddress) -> None:
    assert await broken(room, Flaw) == {}


@pytest.mark.parametrize("polled", [False, True], ids=["socket", "long-poll"])
async def test_each_flaw_is_found_and_nothing_else(polled: bool, room: RoomAddress) -> None:
    places = asyncio.Semaphore(POLLED_AT_ONCE if polled else AT_ONCE)

    async def look(flaw: type[Flaw]) -> dict[str, str]:
        async with places:
            return await broken(room, flaw)

    flaws = [kind for kind in BROKEN if issubclass(kind, broken_rooms.Polled) is polled]
    found = await asyncio.gather(*map(look, flaws))
    wrong = {flaw.__name__: rules for flaw, rules in zip(flaws, found, strict=True) if set(rules) != {flaw.rule}}
    assert wrong == {}
