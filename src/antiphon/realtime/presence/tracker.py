"""Keeps the replicated set equal on all nodes. It never waits, has no timer and no socket: it is told the time and
what arrived, and says what to send; so a test can put it into any weather."""

import secrets
import time
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from antiphon.realtime.presence.config import PresenceConfig
from antiphon.realtime.presence.generations import Generations
from antiphon.realtime.presence.instruments import PresenceInstruments
from antiphon.realtime.presence.messages import (
    Ask,
    BadBodyError,
    Goodbye,
    Heartbeat,
    Transfer,
    decode,
    encode,
    pieces,
)
from antiphon.realtime.presence.state import Element, Entry, Knowledge, OwnEntries, Replica, State, merge
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

Changed = Callable[[Sequence[Entry], Sequence[Entry]], None]
"""Called with what is to be seen from now on, and what no longer."""

_SAMPLE_TICKS = 2
_MOST_PEERS = 1_000


class Neighbour(Struct):
    """Another node: when it was last heard of, and how far it knows each replica."""

    replica: Replica
    heard_at: float
    up: bool = False
    clocks: dict[Replica, int] = {}


def new_version() -> str:
    """Unique, and sorted by when it was made as far as clocks can be trusted."""
    return f"{time.time_ns():016x}{secrets.token_hex(4)}"


class Tracker:
    """One life of this node in the cluster. `publish` reaches every other node, `send` one; either may lose, delay,
    double and reorder."""

    def __init__(
        self,
        node: str,
        config: PresenceConfig,
        *,
        publish: Callable[[bytes], None],
        send: Callable[[str, bytes], None],
        changed: Changed,
        instruments: PresenceInstruments,
        version: str | None = None,
    ) -> None:
        self.replica = Replica(node, version or new_version())
        self.own = OwnEntries()
        self._config = config
        self._publish = publish
        self._send = send
        self._changed = changed
        self._instruments = instruments
        self._state: dict[Replica, Knowledge] = {self.replica: self.own.knowledge}
        self._peers: dict[str, Neighbour] = {}
        self._retired: dict[Replica, float] = {}
        self._generations = Generations()
        self._ticks = 0
        self._ticked_at = 0.0
        self._excused = False
        self._silent = config.silent_ticks
        self._answered: set[str] = set()

    # Time

    def tick(self, now: float) -> None:
        """To be called every `tick_seconds`."""
        self._answered.clear()
        self._speak()
        self._ticks += 1
        if self._ticks % _SAMPLE_TICKS == 0:
            self._catch_up()
        if not self._stood_still(now):
            self._detect_down(now)

    def announce(self) -> None:
        """Speaks at the next tick, whether there is news or not: after messages may have been lost."""
        self._silent = self._config.silent_ticks

    def say_goodbye(self) -> None:
        """Has the others forget this replica at once; it must not be used any more (TK-13)."""
        self._publish(encode(Goodbye(self.replica)))

    def sweep(self, now: float) -> None:
        """Forgets who said goodbye so long ago that no message of it can be under way any more."""
        horizon = now - self._config.permdown_seconds
        self._retired = {replica: at for replica, at in self._retired.items() if at > horizon}

    def _stood_still(self, now: float) -> bool:
        """Whether this node itself did nothing for a while: what the others said meanwhile waits to be read. Twice in
        a row does not count."""
        pause, self._ticked_at = now - self._ticked_at, now
        self._excused = pause > 2 * self._config.tick_seconds and not self._excused
        return self._excused

    def _speak(self) -> None:
        """Tells what changed since the last tick, or after enough silence that this node lives (TK-7)."""
        delta = self.own.take_delta()
        self._silent = self._silent + 1 if delta is None else 0
        if delta is not None:
            self._generations.push(self.replica, delta)
            for parts in pieces({self.replica: delta}):
                self._publish(encode(Heartbeat(self.replica, self._clocks(), parts)))
        elif self._silent >= self._config.silent_ticks:
            self._silent = 0
            self._publish(encode(Heartbeat(self.replica, self._clocks())))

    def _catch_up(self) -> None:
        """Asks those who know more, the best informed first, and nobody for what was already asked for (TK-9)."""
        mine = self._clocks()
        known = dict(mine[1:])
        for peer in sorted(self._peers.values(), key=lambda peer: -sum(peer.clocks.values())):
            more = {replica: clock for replica, clock in peer.clocks.items() if clock > known.get(replica, clock)}
            if peer.up and more:
                known.update(more)
                self._send(peer.replica.name, encode(Ask(self.replica, mine)))

    def _detect_down(self, now: float) -> None:
        for peer in list(self._peers.values()):
            silence = now - peer.heard_at
            if silence > self._config.permdown_seconds:
                self._part_with(peer)
            elif peer.up and silence > self._config.down_seconds:
                self._hide(peer)

    # Messages

    def receive(self, body: bytes, now: float) -> None:
        """Takes what another node published or sent; what makes no sense is counted and dropped."""
        try:
            message, state = decode(body)
        except BadBodyError:
            self._instruments.garbled.inc()
            return
        sender = message.sender
        if sender.name == self.replica.name:
            self._hear_namesake(sender)
        elif sender in self._retired:
            self._instruments.outdated.inc()
        elif isinstance(message, Heartbeat):
            self._hear(sender, message.clocks, state, now)
        elif isinstance(message, Ask):
            self._answer(sender, message.clocks)
        elif isinstance(message, Transfer):
            self._merge(state)
        else:
            self._retire(sender, now)

    def _hear_namesake(self, sender: Replica) -> None:
        # One's own words come back on some buses; those of an earlier life fade away. Both at once is a mistake.
        if sender.version != self.replica.version:
            self._instruments.namesake.inc()
            log.warning("presence.namesake", node=sender.name)

    def _hear(self, sender: Replica, clocks: Iterable[tuple[Replica, int]], state: State, now: float) -> None:
        """A heartbeat: its sender lives, and another version of it does not (TK-8)."""
        peer = self._peers.get(sender.name)
        if peer is not None and peer.replica != sender:
            if peer.up and sender.version < peer.replica.version:
                # Late words of an earlier life. Had only the clock gone back, the later one would fall silent.
                self._instruments.outdated.inc()
                return
            self._part_with(peer)
            peer = None
        if peer is None:
            if len(self._peers) >= _MOST_PEERS:
                self._instruments.overfull.inc()
                return
            peer = self._peers[sender.name] = Neighbour(sender, now)
            self._state[sender] = Knowledge()
        peer.heard_at = now
        peer.clocks = dict(clocks)
        self._merge(state)
        if not peer.up:
            self._show(peer)
            # It need not wait for our next heartbeat to learn of us.
            self._send(sender.name, encode(Heartbeat(self.replica, self._clocks())))

    def _answer(self, asker: Replica, clocks: Iterable[tuple[Replica, int]]) -> None:
        """Sends what the asker lacks of the replicas it knows, once per tick at most."""
        if asker.name in self._answered:
            return
        self._answered.add(asker.name)
        lacking = {}
        known = dict(self._clocks())
        for replica, clock in clocks:
            if replica != asker and known.get(replica, 0) > clock:
                lacking[replica] = self._lacking(replica, clock, known[replica])
        for parts in pieces(lacking):
            self._send(asker.name, encode(Transfer(self.replica, parts)))

    def _lacking(self, replica: Replica, clock: int, newest: int) -> Knowledge:
        recent = self._generations.covering(replica, clock, newest)
        if recent is not None:
            self._instruments.transferred_recent.inc()
            return recent
        self._instruments.transferred_all.inc()
        return self._state[replica].since(clock)

    def _merge(self, remote: State) -> None:
        if not remote:
            return
        for replica, knowledge in remote.items():
            if replica in self._state and replica != self.replica:
                self._generations.push(replica, knowledge)
        self._state, joins, leaves = merge(self._state, remote, self.replica)
        self._report(self._seen(joins), self._seen(leaves))

    # Other nodes

    def nodes(self) -> list[tuple[str, bool, int]]:
        """Name, whether it is up, and number of presences of each other node."""
        return [(peer.replica.name, peer.up, len(self._state[peer.replica].entries)) for peer in self._peers.values()]

    def _clocks(self) -> list[tuple[Replica, int]]:
        """How far the replicas that are up are known here: one that is down may be gone for others, and whoever has
        forgotten it must not be asked about it (TK-11)."""
        up = [peer.replica for peer in self._peers.values() if peer.up]
        return [(self.replica, self.own.told), *((each, self._state[each].known.context) for each in up)]

    def _seen(self, elements: Iterable[Element]) -> list[Entry]:
        """The entries among these that are to be seen: those of nodes that are up."""
        up = {peer.replica for peer in self._peers.values() if peer.up}
        return [element.entry for element in elements if element.replica in up]

    def _report(self, joins: Sequence[Entry], leaves: Sequence[Entry]) -> None:
        if joins or leaves:
            self._changed(joins, leaves)

    def _show(self, peer: Neighbour) -> None:
        peer.up = True
        self._say("presence.node_up", peer)
        self._report(list(self._state[peer.replica].entries.values()), ())

    def _hide(self, peer: Neighbour) -> None:
        """Its presences are kept, in case it comes back (TK-11)."""
        peer.up, peer.clocks = False, {}
        self._say("presence.node_down", peer)
        self._report((), list(self._state[peer.replica].entries.values()))

    def _retire(self, replica: Replica, now: float) -> None:
        """It never comes back: what of it is still under way must not make a ghost."""
        self._retired[replica] = now
        if len(self._retired) > _MOST_PEERS:
            del self._retired[next(iter(self._retired))]
        peer = self._peers.get(replica.name)
        if peer is not None and peer.replica == replica:
            self._part_with(peer)

    def _part_with(self, peer: Neighbour) -> None:
        if peer.up:
            self._hide(peer)
        self._forget(peer)

    def _forget(self, peer: Neighbour) -> None:
        del self._peers[peer.replica.name]
        del self._state[peer.replica]
        self._generations.forget(peer.replica)
        self._say("presence.node_forgotten", peer)

    def _say(self, event: str, peer: Neighbour) -> None:
        self._instruments.nodes.set(sum(other.up for other in self._peers.values()))
        log.info(event, node=peer.replica.name, version=peer.replica.version)
