"""`kill -9` at every step: every accepted message has exactly one outcome, and nothing is answered or sent twice."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.crashing.chronicle import Chronicle
from tests.crashing.conftest import TABLE
from tests.crashing.courier import Platform
from tests.crashing.crowd import Crowd
from tests.crashing.lives import Lives
from tests.crashing.points import Point, in_some_order
from tests.crashing.records import Records
from tests.serving import Visitors


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_it_dies_of_every_message_has_one_outcome(
    tmp_path: Path, records: Records, visitors: Visitors, seed: int, record_property: Any
) -> None:
    dice = Random(seed)
    chronicle = Chronicle(records)
    async with Platform() as platform, Lives(tmp_path, platform.url, records.url) as lives:
        crowd = Crowd(visitors, platform, dice)
        life = await lives.begin()
        await crowd.gather(lives.url)
        life.kill()
        await life.over.wait()
        for point in in_some_order(dice):
            occurrence = dice.randint(1, 4) if point.step else 1
            life = await lives.begin(point, occurrence, dice.randrange(2**32))
            await crowd.talk(life)
            assert life.status == -9, lives.log[-4000:]
            await chronicle.died(point, life.who)
        life = await lives.begin()
        await crowd.last_words()
        await crowd.close()
        assert await life.stop() == 0
        table = await chronicle.judge(crowd, platform)
    record_property(TABLE, rows(table))


def rows(table: Counter[tuple[Point | None, str, str]]) -> list[tuple[str, str, str, str, int]]:
    found = [
        (f"{point.step or 'start':>5}" if point else "", str(point or "at any moment"), before, end, times)
        for (point, before, end), times in table.items()
    ]
    return sorted(found)
