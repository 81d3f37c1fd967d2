"""The replication of presences, tick by tick. `Bus` carries nothing by itself: a test says what arrives, and when."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from antiphon.realtime.presence import tracker as module
from antiphon.realtime.presence.config import PresenceConfig
from antiphon.realtime.presence.instruments import PresenceInstruments
from antiphon.realtime.presence.messages import Ask, Goodbye, Heartbeat, Transfer, decode, encode
from antiphon.realtime.presence.state import Entry, Replica
from antiphon.realtime.presence.tracker import Tracker, new_version
from antiphon.telemetry.metrics import Metrics
from tests.rules import rule
from tests.unit.realtime.presence.counted import counted

TICK = 1.5


class Node:
    """A tracker, what it says, and what it has seen come and go."""

    def __init__(self, bus: "Bus", name: str, version: str | None = None, **config: Any) -> None:
        self.name = name
        self.metrics = Metrics()
        self.seen: dict[str, Entry] = {}
        self.diffs: list[tuple[list[str], list[str]]] = []
        self.said: list[tuple[str | None, bytes]] = []
        self._bus = bus
        self._numbers = 0
        self.tracker = Tracker(
            name,
            PresenceConfig(**config),
            publish=lambda body: self.said.append((None, body)),
            send=lambda target, body: self.said.append((target, body)),
            changed=self._changed,
            instruments=PresenceInstruments(self.metrics),
            version=version,
        )

    def _changed(self, joins: Sequence[Entry], leaves: Sequence[Entry]) -> None:
        self.diffs.append((sorted(each.ref for each in joins), sorted(each.ref for each in leaves)))
        for entry in leaves:
            del self.seen[entry.ref]
        for entry in joins:
            assert entry.ref not in self.seen
            self.seen[entry.ref] = entry

    def add(self, size: int = 10) -> int:
        self._numbers += 1
        ref = f"{self.name}{self._numbers}"
        return self.tracker.own.add(Entry("t", f"{self._numbers}", "k", {"phx_ref": ref}, size))

    def tick(self) -> None:
        self.tracker.tick(self._bus.now)

    def receive(self, body: bytes) -> None:
        self.tracker.receive(body, self._bus.now)

    def take(self) -> list[tuple[str | None, Any]]:
        """What it said since this was last asked, decoded."""
        said, self.said = self.said, []
        return [(target, decode(body)[0]) for target, body in said]

    def ignored(self, reason: str) -> float:
        return counted(self.metrics, "antiphon_presence_ignored_total", reason=reason)


class Bus:
    def __init__(self) -> None:
        self.now = 1000.0
        self.nodes: dict[str, Node] = {}

    def node(self, name: str, version: str | None = None, **config: Any) -> Node:
        node = self.nodes[name] = Node(self, name, version, **config)
        return node

    def deliver(self, arrives: Callable[[str, str], bool] = lambda source, target: True) -> None:
        """Everything said so far, and what is said to that, to those it is meant for."""
        while any(node.said for node in self.nodes.values()):
            for source in list(self.nodes.values()):
                said, source.said = source.said, []
                for target, body in said:
                    for node in list(self.nodes.values()):
                        if node is not source and target in (None, node.name) and arrives(source.name, node.name):
                            node.receive(body)

    def pass_by(self, seconds: float, **kinds: Any) -> None:
        """Ticks of all nodes, each with its messages."""
        end = self.now + seconds
        while self.now < end:
            self.now += TICK
            for node in self.nodes.values():
                node.tick()
            self.deliver(**kinds)


@pytest.fixture
def bus() -> Bus:
    return Bus()


def split(source: str, target: str) -> bool:
    return False


@rule("TK-1")
def test_every_start_is_another_replica_that_sorts_behind_the_one_before() -> None:
    versions = [new_version() for _ in range(100)]
    assert len(set(versions)) == 100
    assert versions[0] < versions[-1]


@rule("TK-7")
def test_the_first_tick_speaks_then_changes_then_only_after_ten_silent_ones(bus: Bus) -> None:
    a = bus.node("a")
    a.tick()
    assert [type(message) for _, message in a.take()] == [Heartbeat]
    a.add()
    assert a.take() == [], "a change waits for the tick"
    a.tick()
    [(target, heartbeat)] = a.take()
    assert target is None
    assert [part.known for part in heartbeat.parts] == [[1, 1]]
    assert heartbeat.clocks == [(a.tracker.replica, 1)]
    for _ in range(9):
        a.tick()
    assert a.take() == []
    a.tick()
    [(_, heartbeat)] = a.take()
    assert heartbeat.parts == []


@rule("TK-7")
def test_what_came_and_went_between_two_ticks_is_told_without_its_content(bus: Bus) -> None:
    a = bus.node("a")
    a.tick()
    a.take()
    a.tracker.own.remove(a.add())
    a.tick()
    [(_, heartbeat)] = a.take()
    assert [(part.known, part.entries) for part in heartbeat.parts] == [([1, 2], {})]


@rule("TK-7")
def test_a_large_delta_is_told_in_several_heartbeats(bus: Bus) -> None:
    a, b = bus.node("a"), bus.node("b")
    bus.pass_by(3)
    for _ in range(600):
        a.add(size=1000)
    a.tick()
    assert len(a.said) > 1
    bus.deliver()
    assert len(b.seen) == 600
    assert b.tracker._state[a.tracker.replica].known.flat() == [1, 600]


@rule("TK-8")
def test_a_node_that_is_new_here_is_greeted_and_need_not_wait(bus: Bus) -> None:
    a = bus.node("a")
    a.add()
    bus.pass_by(30)
    b = bus.node("b")
    b.tick()
    bus.deliver()
    assert b.tracker.nodes() == [("a", True, 0)]
    bus.pass_by(2 * TICK)
    assert list(b.seen) == ["a1"]


@rule("TK-8")
def test_another_version_of_the_same_name_replaces_it(bus: Bus) -> None:
    a, b = bus.node("a"), bus.node("b")
    a.add()
    bus.pass_by(6)
    assert list(b.seen) == ["a1"]
    old = b.tracker._state[a.tracker.replica]
    again = bus.node("a")
    again._numbers = 10
    again.add()
    again.tick()
    bus.deliver()
    assert list(b.seen) == ["a11"]
    assert b.diffs[-2:] == [([], ["a1"]), (["a11"], [])]
    assert a.tracker.replica not in b.tracker._state
    assert len(old.entries) == 1


@rule("TK-8")
def test_late_words_of_an_earlier_life_change_nothing(bus: Bus) -> None:
    first, b = bus.node("a"), bus.node("b")
    first.add()
    first.tick()
    late = [body for _, body in first.said]
    bus.node("a").add()
    bus.pass_by(3)
    before = dict(b.seen)
    for body in late:
        b.receive(body)
    assert b.seen == before
    assert b.ignored("outdated") == len(late)


@rule("TK-8")
def test_a_node_whose_clock_went_back_is_taken_when_its_former_life_is_silent(bus: Bus) -> None:
    bus.node("a", version="2").add()
    b = bus.node("b")
    bus.pass_by(6)
    again = bus.node("a", version="1")
    again._numbers = 10
    again.add()
    bus.pass_by(60)
    assert list(b.seen) == ["a11"]
    assert b.tracker.nodes() == [("a", True, 1)]


@rule("TK-9")
def test_what_was_lost_is_asked_for_every_second_tick_and_sent_from_recent_changes(bus: Bus) -> None:
    a, b = bus.node("a"), bus.node("b")
    for _ in range(20):
        a.add()
    bus.pass_by(6)
    a.add()
    a.tick()
    a.said.clear()  # lost
    a.add()
    a.tick()
    bus.deliver()
    assert list(b.seen)[-1] == "a22"
    assert "a21" not in b.seen
    b.tick()
    b.tick()
    [(target, ask)] = b.take()
    assert (target, type(ask)) == ("a", Ask)
    assert dict(ask.clocks)[a.tracker.replica] == 20
    a.receive(encode(ask))
    [(target, transfer)] = a.take()
    assert (target, type(transfer)) == ("b", Transfer)
    assert counted(a.metrics, "antiphon_presence_transfers_total", source="recent") == 1
    b.receive(encode(transfer))
    assert len(b.seen) == 22
    b.tick()
    b.tick()
    assert [type(message) for _, message in b.take() if isinstance(message, Ask)] == []


@rule("TK-9")
def test_who_lacks_more_than_the_recent_changes_is_sent_what_it_lacks_and_no_more(bus: Bus) -> None:
    a, b = bus.node("a"), bus.node("b")
    clocks = [a.add() for _ in range(5)]
    bus.pass_by(6)
    a.tracker.own.remove(clocks[0])
    for _ in range(12_000):
        a.add()
    a.tick()
    a.said.clear()
    a.tick()
    a.tracker._generations.forget(a.tracker.replica)
    a.tracker.announce()
    a.tick()
    bus.deliver()
    b.tick()
    b.tick()
    [(_, ask)] = b.take()
    a.receive(encode(ask))
    sent = [clock for _, message in a.take() for part in message.parts for clock in part.entries]
    assert len(sent) == 12_000
    assert min(sent) > 5
    assert counted(a.metrics, "antiphon_presence_transfers_total", source="all") == 1


@rule("TK-9")
def test_only_the_best_informed_is_asked(bus: Bus) -> None:
    a, b, c, d = (bus.node(name) for name in "abcd")
    bus.pass_by(6)
    for node in (a, b, c):
        node.add()
    bus.pass_by(3, arrives=lambda source, target: target != "d")
    for node in (a, b, c):
        node.tracker.announce()
        node.tick()
    bus.deliver(lambda source, target: target == "d")
    d.tick()
    d.tick()
    asked = [target for target, message in d.take() if isinstance(message, Ask)]
    assert len(asked) == 1
    d.tick()
    d.tick()
    bus.deliver()
    assert sorted(d.seen) == ["a1", "b1", "c1"]


@rule("TK-9")
def test_nobody_is_sent_what_it_said_itself_nor_what_it_has_not_heard_of(bus: Bus) -> None:
    a, b, c = (bus.node(name) for name in "abc")
    for node in (a, b, c):
        node.add()
    bus.pass_by(6)
    a.take()
    stranger = Replica("d", "1")
    a.receive(encode(Ask(b.tracker.replica, [(b.tracker.replica, 0), (stranger, 0), (a.tracker.replica, 0)])))
    [(_, transfer)] = a.take()
    assert [part.replica for part in transfer.parts] == [a.tracker.replica]


def test_one_answer_per_asker_and_tick(bus: Bus) -> None:
    a = bus.node("a")
    a.add()
    a.tick()
    a.take()
    ask = encode(Ask(Replica("b", "1"), [(a.tracker.replica, 0)]))
    a.receive(ask)
    a.receive(ask)
    assert len(a.take()) == 1
    a.tick()
    a.receive(ask)
    assert len(a.take()) == 1


@rule("TK-11", "TK-16", "TK-17")
def test_silence_hides_and_the_first_word_shows_again_with_the_same_refs(bus: Bus) -> None:
    a, b = bus.node("a"), bus.node("b")
    a.add()
    b.add()
    bus.pass_by(6)
    bus.pass_by(20, arrives=split)
    assert list(b.seen) == ["a1"]
    bus.pass_by(20, arrives=split)
    assert (b.seen, a.seen) == ({}, {})
    assert b.diffs[-1] == ([], ["a1"])
    assert b.tracker._clocks() == [(b.tracker.replica, 1)], "who is down is left out"
    b.take()
    bus.pass_by(18)
    assert list(b.seen) == ["a1"]
    assert list(a.seen) == ["b1"]
    assert b.diffs[-1] == (["a1"], [])


@rule("TK-11")
def test_what_changed_while_hidden_is_seen_only_in_the_end(bus: Bus) -> None:
    a, b = bus.node("a"), bus.node("b")
    clock = a.add()
    bus.pass_by(6)
    bus.pass_by(45, arrives=split)
    b.diffs.clear()
    a.tracker.own.remove(clock)
    a.add()
    bus.pass_by(18)
    assert b.diffs == [(["a2"], [])]


@rule("TK-9", "TK-11")
def test_nobody_is_asked_about_a_node_that_is_down_here(bus: Bus) -> None:
    """It would be asked for ever: what is down is not in one's clocks, so it is never sent."""
    a, b, c = (bus.node(name) for name in "abc")
    b.add()
    bus.pass_by(6)
    asked: list[str] = []

    def b_and_c_do_not_hear_each_other(source: str, target: str) -> bool:
        return {source, target} != {"b", "c"}

    bus.pass_by(45, arrives=b_and_c_do_not_hear_each_other)
    assert (list(c.seen), list(a.seen)) == ([], ["b1"])
    b.add()
    for _ in range(20):
        bus.now += TICK
        for node in (a, b, c):
            node.tick()
            asked += [node.name for _, body in node.said if isinstance(decode(body)[0], Ask)]
        bus.deliver(b_and_c_do_not_hear_each_other)
    assert list(a.seen) == ["b1", "b2"]
    assert asked == []


@rule("TK-12")
def test_after_long_silence_everything_is_forgotten_and_comes_back_whole(bus: Bus) -> None:
    a, b = bus.node("a"), bus.node("b")
    a.add()
    bus.pass_by(6)
    bus.pass_by(1190, arrives=split)
    assert a.tracker.replica in b.tracker._state
    bus.pass_by(15, arrives=split)
    assert list(b.tracker._state) == [b.tracker.replica]
    assert b.tracker._generations._kept == {}
    assert b.tracker.nodes() == []
    a.add()
    bus.pass_by(20)
    assert sorted(b.seen) == ["a1", "a2"]


@rule("TK-12")
def test_nobody_brings_back_what_was_forgotten(bus: Bus) -> None:
    """The ghosts of phoenix_pubsub pull request 80: a third node that still has them sends them over."""
    a, b, c = (bus.node(name) for name in "abc")
    a.add()
    bus.pass_by(6)
    del bus.nodes["a"]
    b.receive(encode(Goodbye(a.tracker.replica)))
    c.tracker.announce()
    bus.pass_by(20)
    assert b.seen == {}
    assert list(c.seen) == ["a1"], "the goodbye was lost on the way here"
    bus.pass_by(20)
    assert c.seen == {}


@rule("TK-13")
def test_a_goodbye_is_believed_at_once_and_for_good(bus: Bus) -> None:
    a, b = bus.node("a"), bus.node("b")
    a.add()
    bus.pass_by(6)
    a.tracker.announce()
    a.tick()
    late = [body for _, body in a.said]
    a.said.clear()
    a.tracker.say_goodbye()
    bus.deliver()
    assert b.seen == {}
    for body in late:
        b.receive(body)
    assert b.tracker.nodes() == []
    assert b.ignored("outdated") == 1
    b.tracker.sweep(bus.now + 1201)
    for body in late:
        b.receive(body)
    assert b.tracker.nodes() == [("a", True, 0)]


@rule("TK-13")
def test_goodbyes_are_remembered_within_bounds(bus: Bus) -> None:
    a = bus.node("a")
    for number in range(3000):
        a.receive(encode(Goodbye(Replica(f"{number}", "1"))))
    assert len(a.tracker._retired) == 1000


@rule("TK-17")
def test_a_split_of_three_heals_without_doubles(bus: Bus) -> None:
    a, b, c = nodes = [bus.node(name) for name in "abc"]
    for node in nodes:
        node.add()
    bus.pass_by(6)

    def two_and_one(source: str, target: str) -> bool:
        return "c" not in (source, target)

    bus.pass_by(60, arrives=two_and_one)
    assert (sorted(a.seen), sorted(b.seen), sorted(c.seen)) == (["b1"], ["a1"], [])
    c.add()
    bus.pass_by(20)
    assert (sorted(a.seen), sorted(b.seen), sorted(c.seen)) == (["b1", "c1", "c2"], ["a1", "c1", "c2"], ["a1", "b1"])


def test_a_node_that_stood_still_holds_the_silence_against_nobody(bus: Bus) -> None:
    a, b = bus.node("a"), bus.node("b")
    a.add()
    bus.pass_by(6)
    bus.now += 600  # a suspended machine; what a said waits to be read
    a.tracker.announce()
    a.tick()
    b.tick()
    assert list(b.seen) == ["a1"]
    bus.deliver()
    b.tick()
    assert b.diffs == [(["a1"], [])]


def test_a_node_that_always_stands_still_notices_all_the_same(bus: Bus) -> None:
    a, b = bus.node("a"), bus.node("b")
    a.add()
    bus.pass_by(6)
    for _ in range(8):
        bus.now += 5
        b.tick()
    assert b.seen == {}


def test_after_a_gap_a_node_says_how_far_it_is(bus: Bus) -> None:
    a = bus.node("a")
    a.tick()
    a.take()
    a.tracker.announce()
    a.tick()
    assert len(a.take()) == 1


def test_garbage_is_counted_and_does_nothing(bus: Bus) -> None:
    a = bus.node("a")
    for body in (b"", b"\xc1", b"hello", encode(["heartbeat"]), b"\x91" * 2000):
        a.receive(body)
    assert a.ignored("garbled") == 5
    assert a.take() == []


def test_ones_own_words_mean_nothing_and_those_of_a_namesake_are_reported(bus: Bus) -> None:
    a, twin = bus.node("a"), bus.node("a")
    a.add()
    a.tick()
    for _, body in a.said:
        a.receive(body)
    assert a.ignored("namesake") == 0
    for _, body in a.said:
        twin.receive(body)
    assert twin.ignored("namesake") == 1
    assert (a.tracker.nodes(), twin.tracker.nodes()) == ([], [])


def test_there_is_a_limit_to_the_nodes_one_believes_in(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_PEERS", 3)
    a = bus.node("a")
    for number in range(5):
        a.receive(encode(Heartbeat(Replica(f"{number}", "1"), [])))
    assert len(a.tracker.nodes()) == 3
    assert a.ignored("overfull") == 2
    assert counted(a.metrics, "antiphon_presence_nodes") == 3


@rule("TK-19")
def test_a_remote_node_keeps_nothing_of_what_was_updated_and_removed(bus: Bus) -> None:
    """phoenix_pubsub #175, over the wire and with losses."""
    a, b = bus.node("a"), bus.node("b")
    for number in range(60):
        clock = a.add()
        bus.pass_by(TICK)
        a.tracker.own.remove(clock)
        clock = a.add()
        bus.pass_by(TICK, arrives=lambda source, target, lost=number % 3 == 0: not lost)
        a.tracker.own.remove(clock)
        bus.pass_by(TICK)
    bus.pass_by(30)
    assert b.seen == {}
    assert b.tracker.nodes() == [("a", True, 0)]
