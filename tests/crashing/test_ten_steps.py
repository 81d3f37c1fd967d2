"""`kill -9` at every step: every accepted message has exactly one outcome, and nothing is answered or sent twice."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.crashing.chronicle import Chronicle, Table
from tests.crashing.conftest import TABLE, NewRecords
from tests.crashing.courier import Platform
from tests.crashing.crowd import Crowd
from tests.crashing.lives import Life, Lives
from tests.crashing.points import Point, in_some_order
from tests.crashing.records import Records
from tests.serving import Visitors
from tests.soaking import SOAK_SECONDS, rounds


@pytest.mark.timeout(240 + SOAK_SECONDS)
@pytest.mark.parametrize("new_records", ["sqlite", "postgres"], indirect=True)
async def test_whatever_it_dies_of_every_message_has_one_outcome(
    tmp_path: Path, new_records: NewRecords, record_property: Any
) -> None:
    """Each round goes through all points in another order, on a database of its own."""
    table: Table = Counter()
    for seed in rounds(1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        with new_records(folder) as records:
            try:
                table += await die_everywhere(folder, records, Random(seed))
            except BaseException as error:
                error.add_note(f"in the round with seed {seed}")
                raise
    record_property(TABLE, [(*point_of(point), found, end, times) for (point, found, end), times in table.items()])


def point_of(point: Point | None) -> tuple[str, str]:
    return (f"{point.step or 'start':>5}", str(point)) if point else ("", "at any moment")


async def die_everywhere(folder: Path, records: Records, dice: Random) -> Table:
    chronicle = Chronicle(records)
    async with (
        Platform() as platform,
        Lives(folder, platform.url, records.url) as lives,
        somebody(platform, dice) as crowd,
    ):
        life = await lives.begin()
        await crowd.gather(lives.url)
        life.kill()
        await life.over.wait()
        for point in in_some_order(dice):
            try:
                life = await die(lives, crowd, point, dice)
                await chronicle.died(point, life.who)
            except BaseException as error:
                error.add_note(f"in the life that was to end {point_of(point)[1]}")
                raise
        life = await lives.begin()
        await crowd.last_words()
        assert await life.stop() == 0
        assert "Traceback" not in lives.log
        return await chronicle.judge(crowd, platform)


async def die(lives: Lives, crowd: Crowd, point: Point | None, dice: Random) -> Life:
    """A life to its end, while everybody talks."""
    occurrence = dice.randint(1, 4) if point and point.step else 1
    life = await lives.begin(point, occurrence, dice.randrange(2**32))
    if point is None:
        asyncio.get_running_loop().call_later(dice.random() / 5, life.kill)
    await crowd.talk(life)
    assert life.status == -signal.SIGKILL, lives.log[-4000:]
    return life


@asynccontextmanager
async def somebody(platform: Platform, dice: Random) -> AsyncIterator[Crowd]:
    visitors = Visitors()
    crowd = Crowd(visitors, platform, dice)
    try:
        yield crowd
    finally:
        await crowd.close()
        await visitors.close()
