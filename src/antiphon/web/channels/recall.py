"""Clients that are asked to join again: what happened on another process may not have reached this one."""

import asyncio
from typing import TypeVar
from weakref import WeakSet

from antiphon.realtime.channel import Channel
from antiphon.realtime.nodes.cluster import Cluster

RECALLED_PER_SECOND = 1000.0
"""All that a process has would come back in the same moment, and each of them reads from the store."""


class RecalledChannel(Channel):
    """A channel whose join brings its client up to date, whatever it has missed."""

    _answered = False
    _recalled = False

    def recall(self) -> None:
        """Ends the channel so that its client joins again, at once or when this join is answered."""
        self._recalled = True
        if self._answered:
            self.stop("gap")

    def answered(self) -> None:
        """The join is answered, and all that belongs to it has been pushed."""
        self._answered = True
        if self._recalled:
            self.stop("gap")


RecalledT = TypeVar("RecalledT", bound=RecalledChannel)


class Recall:
    """Recalls all channels of this process, one after the other, when messages of other nodes may have been lost."""

    def __init__(self, cluster: Cluster) -> None:
        self._there: WeakSet[RecalledChannel] = WeakSet()
        cluster.on_gap(self._all)

    def watched(self, channel: RecalledT) -> RecalledT:
        """The channel, which is recalled from now on for as long as there is one."""
        self._there.add(channel)
        return channel

    def _all(self) -> None:
        loop = asyncio.get_running_loop()
        for number, channel in enumerate(list(self._there)):
            loop.call_later(number / RECALLED_PER_SECOND, channel.recall)
