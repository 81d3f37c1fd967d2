"""Channels that are recalled after a gap: all of them, not all at once, and none in the middle of its join."""

import asyncio
import gc
from collections.abc import Callable
from typing import cast

import pytest

from antiphon.realtime.nodes.cluster import Cluster
from antiphon.web.channels import recall as module
from antiphon.web.channels.recall import Recall, RecalledChannel

LONGEST = 10


class Lossy:
    """As much of a cluster as a recall needs."""

    def __init__(self) -> None:
        self.gap: Callable[[], object] = lambda: None

    def on_gap(self, handler: Callable[[], object]) -> None:
        self.gap = handler


class Noted(RecalledChannel):
    """Notes when it was stopped."""

    def __init__(self) -> None:
        self.stopped: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def stop(self, reason: str = "normal") -> None:
        assert reason == "gap"
        self.stopped.set_result(asyncio.get_running_loop().time())


@pytest.fixture
async def cluster() -> Lossy:
    return Lossy()


@pytest.fixture
async def recall(cluster: Lossy) -> Recall:
    return Recall(cast("Cluster", cluster))


async def test_all_are_recalled_but_not_in_the_same_moment(
    cluster: Lossy, recall: Recall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECALLED_PER_SECOND", 50.0)
    channels = [recall.watched(Noted()) for _ in range(5)]
    for channel in channels:
        channel.answered()
    cluster.gap()
    async with asyncio.timeout(LONGEST):
        moments = sorted([await channel.stopped for channel in channels])
    assert moments[-1] - moments[0] >= 0.06


async def test_one_that_joins_is_recalled_when_that_is_over(cluster: Lossy, recall: Recall) -> None:
    joined, joining, later = recall.watched(Noted()), recall.watched(Noted()), Noted()
    joined.answered()
    cluster.gap()
    recall.watched(later).answered()
    async with asyncio.timeout(LONGEST):
        await joined.stopped
        while not joining._recalled:
            await asyncio.sleep(0)
    assert not joining.stopped.done(), "its client would not know what it is recalled from"
    joining.answered()
    assert joining.stopped.done()
    assert not later.stopped.done(), "it has read the store behind the gap"


async def test_what_has_gone_is_not_kept(cluster: Lossy, recall: Recall) -> None:
    recall.watched(Noted())
    gc.collect()
    assert len(recall._there) == 0
    cluster.gap()
