"""Many small clusters in bad weather: in the end all see the same, whatever happened on the way (TK-20)."""

import os

import pytest

from antiphon.realtime.presence import generations, messages
from antiphon.realtime.presence.generations import BOUNDS
from antiphon.realtime.presence.messages import PIECE
from tests.rules import rule
from tests.soaking import rounds
from tests.unit.realtime.presence.weather import World, settle

SEEDS = int(os.environ.get("ANTIPHON_PRESENCE_SEEDS", "100"))
FIRST = int(os.environ.get("ANTIPHON_PRESENCE_FIRST_SEED", "1"))


async def misfortune(world: World) -> None:
    """One thing that goes wrong, or gets better."""
    chance, weather = world.chance, world.weather
    name = chance.choice(list(world.nodes))
    match chance.choice(("split", "heal", "loss", "slow", "restart", "kill", "stop", "new")):
        case "split":
            weather.side = {each: chance.randrange(2) for each in world.nodes}
        case "heal":
            weather.side = {}
        case "loss":
            weather.loss, weather.doubling = chance.choice((0.0, 0.1, 0.5)), chance.choice((0.0, 0.3))
        case "slow":
            weather.delay = chance.choice((0.01, 1.0, 8.0))
        case "restart":
            await world.kill(name)
            await world.start(name)
        case "kill" if len(world.nodes) > 2:
            await world.kill(name)
        case "stop" if len(world.nodes) > 2:
            await world.stop(name)
        case "new" if len(world.nodes) < 5:
            await world.start(chance.choice([each for each in "abcdefgh" if each not in world.nodes]))


async def live_through(seed: int) -> None:
    config = {"silent_ticks": 2 + 8 * (seed % 2), "permdown_seconds": (45.0, 90.0, 1200.0)[seed % 3]}
    slow = seed % 4 == 3
    world = World(seed, **config, permdown_on_shutdown=seed % 5 < 2, fetch_delay=3.0 * slow)
    for name in "abc"[: 2 + seed % 2]:
        await world.start(name)
    try:
        for _ in range(6):
            world.live(seconds=20, pause=1.0)
            await world.weather.pass_by(world.chance.choice((5, 20, 40, 70)))
            for node in () if slow else world.nodes.values():
                node.check()
            await misfortune(world)
        world.weather.clear_up()
        await world.weather.pass_by(75)
        world.check()
        world.said.clear()
        await world.weather.pass_by(30)
        assert set(world.said) <= {"heartbeat"}, "somebody still asks for what nobody has"
    finally:
        await world.end()


@rule("TK-2", "TK-4", "TK-17", "TK-20")
@pytest.mark.timeout(0)
async def test_clusters_in_bad_weather_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in rounds(SEEDS):
        seed = FIRST + number - 1
        # Small ones, so that small clusters know what large ones do: gaps beyond all recent changes, and pieces.
        monkeypatch.setattr(generations, "BOUNDS", BOUNDS if seed % 3 else (2, 4, 8))
        monkeypatch.setattr(messages, "PIECE", PIECE if seed % 7 < 4 else 300)
        try:
            await live_through(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
    await settle()
