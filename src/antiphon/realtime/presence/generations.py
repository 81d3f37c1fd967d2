"""Recent changes of each replica, so that whoever missed a little is not sent everything (TK-9, TK-10)."""

from antiphon.realtime.presence.state import Knowledge, Replica, merge

BOUNDS = (100, 1_000, 10_000)
"""The most ranges and entries that each generation keeps of one replica."""


class Generations:
    """For each replica one merged delta per bound: the small ones reach back a little, the large ones farther."""

    def __init__(self) -> None:
        self._kept: dict[Replica, list[Knowledge]] = {}

    def push(self, replica: Replica, delta: Knowledge) -> None:
        """Takes note of what came; a generation that grows too large begins anew with what the smaller one has."""
        kept = self._kept.setdefault(replica, [Knowledge() for _ in BOUNDS])
        smaller = delta
        for place, bound in enumerate(BOUNDS):
            grown = _extend(replica, kept[place], delta)
            fitting = (each for each in (grown, smaller, delta) if each.size <= bound)
            kept[place] = smaller = next(fitting, Knowledge())

    def covering(self, replica: Replica, clock: int, newest: int) -> Knowledge | None:
        """The smallest generation from which somebody who knows all up to `clock` learns all up to `newest`."""
        kept = self._kept.get(replica, ())
        return next((each for each in kept if each.known.covers(clock + 1, newest)), None)

    def forget(self, replica: Replica) -> None:
        """The replica is gone for good."""
        self._kept.pop(replica, None)


def _extend(replica: Replica, kept: Knowledge, delta: Knowledge) -> Knowledge:
    """Deltas merge only if they touch (TK-6): what lies before a gap helps nobody across it."""
    if kept.known.newest[1] + 1 < delta.known.newest[0]:
        return delta
    return merge({replica: kept}, {replica: delta}).state[replica]
