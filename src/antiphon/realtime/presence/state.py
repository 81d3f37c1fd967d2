"""The replicated set of presences: what one node knows of what each node tracks, and how two such views become one.

Only the node that tracks an entry ever removes it. Each of its changes takes one number of its clock: adding an entry,
whose tag is (replica, clock), and removing one. So what anybody knows of a replica is a set of clocks and those entries
among them that still stand: `Knowledge`. A clock that is known and has no entry is a removal, or an entry that was
removed; nothing else is kept of either. It always holds that whoever knows the clock of a removal knows the clock of
what was removed, and has no entry for it.

A whole replica is knowledge from clock 1 on, the delta of a tick is knowledge of the clocks of that tick and of those
removed in it, and both are merged in the same way, in any order, as often as they come.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct

from antiphon.realtime.presence.spans import Spans


class Replica(NamedTuple):
    """One life of a node: its version is another after every start (TK-1)."""

    name: str
    version: str


class Entry(Struct, frozen=True, array_like=True):
    """One presence. `pid` names the connection on its node; `size` is what all of it takes, in bytes of JSON."""

    topic: str
    pid: str
    key: str
    meta: dict[str, Any]
    size: Annotated[int, Meta(ge=0)]

    @property
    def ref(self) -> str:
        return str(self.meta["phx_ref"])


class Element(NamedTuple):
    """An entry and its tag."""

    replica: Replica
    clock: int
    entry: Entry


class Knowledge:
    """What is known of one replica: `known` is its context and cloud in one (TK-3), compact at any time."""

    __slots__ = ("entries", "known")

    def __init__(self, known: Spans | None = None, entries: dict[int, Entry] | None = None) -> None:
        self.known = known if known is not None else Spans()
        self.entries = entries if entries is not None else {}

    @property
    def size(self) -> int:
        """What it costs to keep: ranges and entries."""
        return len(self.known) + len(self.entries)

    def excerpt(self, clocks: Collection[int]) -> "Knowledge":
        """All removals, but only these of the entries: true by itself, whatever else the reader has or misses."""
        hidden = [clock for clock in self.entries if clock not in clocks]
        return Knowledge(self.known.without(hidden), {clock: self.entries[clock] for clock in clocks})

    def since(self, clock: int) -> "Knowledge":
        """What somebody lacks who knows all up to `clock`."""
        return self.excerpt({each for each in self.entries if each > clock})

    def split(self, most: int) -> Iterator["Knowledge"]:
        """The same in pieces whose entries are about `most` bytes each; every piece is true by itself."""
        chunk: set[int] = set()
        held = 0
        for clock, entry in self.entries.items():
            if chunk and held + entry.size > most:
                yield self.excerpt(chunk)
                chunk, held = set(), 0
            chunk.add(clock)
            held += entry.size
        yield self if len(chunk) == len(self.entries) else self.excerpt(chunk)


State = Mapping[Replica, Knowledge]


class Merged(NamedTuple):
    """A new state, and which elements it has more and fewer than the one before."""

    state: dict[Replica, Knowledge]
    joins: list[Element]
    leaves: list[Element]


def merge(local: State, remote: State, own: Replica | None = None) -> Merged:
    """The state that knows what both know (TK-4); neither changes.

    Takes nothing about replicas that `local` does not know, nor about `own`, of which nobody knows more than itself.
    """
    merged = Merged(dict(local), [], [])
    for replica, theirs in remote.items():
        ours = local.get(replica)
        if ours is None or replica == own:
            continue
        joined = [clock for clock in theirs.entries if clock not in ours.known]
        left = [clock for clock in _overlap(ours.entries, theirs.known) if clock not in theirs.entries]
        merged.joins.extend(Element(replica, clock, theirs.entries[clock]) for clock in joined)
        merged.leaves.extend(Element(replica, clock, ours.entries[clock]) for clock in left)
        entries = ours.entries
        if joined or left:
            entries = entries.copy()
            for clock in left:
                del entries[clock]
            for clock in joined:
                entries[clock] = theirs.entries[clock]
        merged.state[replica] = Knowledge(ours.known.union(theirs.known), entries)
    return merged


def _overlap(entries: Mapping[int, Entry], known: Spans) -> Iterable[int]:
    """The clocks of the entries that are known, at the cost of the smaller of the two."""
    if known.width < len(entries):
        return [clock for low, high in known for clock in range(low, high + 1) if clock in entries]
    return [clock for clock in entries if clock in known]


class OwnEntries:
    """What this replica tracks, and the delta of it since the last broadcast (TK-6). Changes in place: a `track`
    must not copy the world."""

    def __init__(self) -> None:
        self.knowledge = Knowledge()
        self.told = 0
        """The clock of the last change that was broadcast."""
        self._clock = 0
        self._delta = Knowledge()

    def add(self, entry: Entry) -> int:
        """The clock by which to remove it (TK-2)."""
        clock = self._count()
        self.knowledge.entries[clock] = self._delta.entries[clock] = entry
        return clock

    def remove(self, clock: int) -> Entry:
        """Returns what `add` was given; raises `KeyError` when it was removed before."""
        entry = self.knowledge.entries.pop(clock)
        self._delta.entries.pop(clock, None)
        self._delta.known.add(clock, clock)
        self._count()
        return entry

    def take_delta(self) -> Knowledge | None:
        """What changed since this was last called; None for nothing."""
        if self.told == self._clock:
            return None
        delta, self._delta = self._delta, Knowledge()
        self.told = self._clock
        return delta

    def _count(self) -> int:
        self._clock += 1
        self.knowledge.known.add(self._clock, self._clock)
        self._delta.known.add(self._clock, self._clock)
        return self._clock
