"""Nodes that publish to each other, ask each other, come and go, and are told what they may have missed."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.domain import new_id
from antiphon.errors import ServiceError, ValidationError
from antiphon.realtime.brokers.base import Broker, Changed, Deliver, open_broker
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.realtime.brokers.memory import MemoryBroker, MemoryHub
from antiphon.realtime.nodes import gaps, requests
from antiphon.realtime.nodes.cluster import Cluster, open_cluster
from antiphon.realtime.nodes.peers import MOST, Peers
from antiphon.runtime.clock import ManualClock
from antiphon.telemetry.metrics import Metrics
from tests.nats_server import NatsServer
from tests.nodes import until
from tests.redis_server import RedisServer
from tests.rules import rule

Logged = list[MutableMapping[str, Any]]


class Puppet:
    """A broker in the hands of a test."""

    name = "puppet"

    def __init__(self) -> None:
        self.published: list[bytes] = []
        self.sent: list[tuple[str, bytes]] = []
        self.deliver: Deliver = lambda _: None
        self.changed: Changed = lambda _: None

    async def start(self, node: str, deliver: Deliver, changed: Changed) -> None:
        self.deliver, self.changed = deliver, changed

    def publish(self, body: bytes) -> None:
        self.published.append(body)

    def send(self, node: str, body: bytes) -> None:
        self.sent.append((node, body))

    async def stop(self) -> None:
        self.published.append(b"stopped")


class Heard:
    """A cluster that writes down what it hears."""

    def __init__(self, broker: Broker | None, **more: Any) -> None:
        self.metrics = Metrics()
        self.cluster = Cluster(broker, metrics=self.metrics, **more)
        self.all: list[Any] = []
        self.gaps = 0
        self.told: list[str] = []
        self.cluster.on_broadcast(lambda *args: self.all.append(args))
        self.cluster.on_message(lambda topic, message: self.all.append((topic, message)))
        self.cluster.on_disconnect(lambda socket_id: self.all.append(f"disconnect {socket_id}"))
        self.cluster.on_presence(self.all.append)
        self.cluster.on_gap(self._gap)
        self.cluster.on_status(self.told.append)

    def _gap(self) -> None:
        self.gaps += 1

    def number(self, line: str) -> float:
        """What a line of the metrics ends with, 0 where there is none."""
        lines = self.metrics.render().decode().splitlines()
        return sum(float(each.rsplit(" ", 1)[1]) for each in lines if each.startswith(f"{line} "))


Make = Callable[..., Any]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Starts nodes that hear each other, and stops them at the end."""
    hub, started = MemoryHub(), []

    async def start(name: str = "", broker: Broker | None = None, **more: Any) -> Heard:
        heard = Heard(broker or MemoryBroker(hub, metrics=Metrics()), name=name, **more)
        started.append(heard.cluster)
        await heard.cluster.start()
        return heard

    yield start
    for cluster in started:
        await cluster.stop()


# --- publishing ---------------------------------------------------------------------------------------------------


async def test_everything_published_reaches_the_others_as_it_was(make: Make) -> None:
    one, two = await make("one"), await make("two")
    one.cluster.broadcast("room:ключ", "event", b'{"a":[1]}')
    one.cluster.broadcast("", "", b"\0\xff\r\n", binary=True)
    one.cluster.publish("topic", {"n": 1, "text": "ü"})
    one.cluster.disconnect("user:1")
    one.cluster.tell_presence(b"\0state")
    one.cluster.tell_presence(b"for you", two.cluster.node)
    await until(lambda: len(two.all) == 6)
    assert two.all == [
        ("room:ключ", "event", b'{"a":[1]}', False),
        ("", "", b"\0\xff\r\n", True),
        ("topic", {"n": 1, "text": "ü"}),
        "disconnect user:1",
        b"\0state",
        b"for you",
    ]
    assert one.all == []


@given(topic=st.text(max_size=20), event=st.text(max_size=20), raw=st.binary(max_size=200), binary=st.booleans())
async def test_any_broadcast_arrives_as_it_was(topic: str, event: str, raw: bytes, binary: bool) -> None:
    puppet = Puppet()
    heard = Heard(puppet)
    try:
        topic.encode() + event.encode()
    except UnicodeEncodeError:
        return
    heard.cluster.broadcast(topic, event, raw, binary)
    heard.cluster._receive(puppet.published[0])
    assert heard.all == [(topic, event, raw, binary)]


@rule("BC-9")
async def test_a_broadcast_to_one_node_reaches_it_alone(make: Make) -> None:
    one, two, three = [await make(name) for name in ("one", "two", "three")]
    one.cluster.broadcast("t", "direct", b"{}", node=two.cluster.node)
    one.cluster.broadcast("t", "myself", b"{}", node=one.cluster.node)
    one.cluster.broadcast("t", "nobody", b"{}", node="unknown")
    one.cluster.broadcast("t", "all", b"{}")
    await until(lambda: three.all)
    assert [event for _, event, _, _ in two.all] == ["direct", "all"]
    assert [event for _, event, _, _ in three.all] == ["all"]
    assert [event for _, event, _, _ in one.all] == ["myself"]


async def test_a_node_without_a_broker_is_alone_and_publishes_for_nothing() -> None:
    alone = Heard(None)
    await alone.cluster.start()
    alone.cluster.broadcast("t", "e", b"{}")
    alone.cluster.broadcast("t", "mine", b"{}", node=alone.cluster.node)
    alone.cluster.publish("t", object())
    alone.cluster.disconnect("id")
    alone.cluster.tell_presence(b"")
    assert alone.all == [("t", "mine", b"{}", False)]
    assert await alone.cluster.check() == "this is the only node"
    assert (alone.cluster.status, alone.cluster.peers()) == ("alone", [])
    with pytest.raises(ServiceError, match="no broker"):
        await alone.cluster.request("other", "echo", b"")
    await alone.cluster.stop()


async def test_a_message_from_another_thread_arrives(make: Make) -> None:
    one, two = await make("one"), await make("two")
    thread = threading.Thread(target=one.cluster.publish, args=("t", 1))
    thread.start()
    await until(lambda: two.all == [("t", 1)])
    thread.join()


async def test_what_is_no_json_is_the_publishers_error(make: Make) -> None:
    one = await make("one")
    with pytest.raises(ValidationError, match="must be JSON"):
        one.cluster.publish("t", {"x": object()})


@rule("BC-10")
async def test_publishing_never_fails_whatever_the_broker_does(make: Make, redis: RedisServer) -> None:
    """Our decision: what a node delivers to its own members does not depend on the broker. Others learn of the gap."""
    broker = open_broker(ClusterSettings(url=redis.url, timeout=0.5), metrics=Metrics())
    one = await make("one", broker)
    redis.kill()
    await until(lambda: one.told == ["up", "down"])
    one.cluster.broadcast("t", "e", b"{}")
    one.cluster.publish("t", 1)
    with pytest.raises(ServiceError, match="other nodes hear nothing"):
        await one.cluster.check()
    assert one.number("antiphon_cluster_up") == 0
    redis.start()
    await until(lambda: one.told == ["up", "down", "gap"])
    assert one.number("antiphon_cluster_up") == 1
    assert one.gaps == 1


async def test_settings_make_a_cluster_or_a_node_that_is_alone(redis_url: str) -> None:
    assert open_cluster(ClusterSettings(), metrics=Metrics()).status == "alone"
    async with open_cluster(ClusterSettings(url=redis_url, prefix=new_id(), node="me"), metrics=Metrics()) as cluster:
        assert (cluster.name, cluster.status) == ("me", "up")


# --- requests -----------------------------------------------------------------------------------------------------


async def test_a_node_answers_another_and_itself(make: Make) -> None:
    one, two = await make("one"), await make("two")

    async def echo(body: bytes) -> bytes:
        await asyncio.sleep(0)
        return body + b"\0\xff"

    two.cluster.on_request("echo", echo)
    assert await one.cluster.request(two.cluster.node, "echo", b"hi") == b"hi\0\xff"
    assert await two.cluster.request(two.cluster.node, "echo", b"me") == b"me\0\xff"
    answers = await asyncio.gather(*(one.cluster.request(two.cluster.node, "echo", b"%d" % n) for n in range(100)))
    assert answers == [b"%d\0\xff" % n for n in range(100)]


async def test_what_goes_wrong_with_an_answer_is_told_in_a_sentence(make: Make, logged: Logged) -> None:
    one, two = await make("one"), await make("two")

    async def refuse(_: bytes) -> bytes:
        raise ValidationError("There is no such session.")

    async def crash(_: bytes) -> bytes:
        raise RuntimeError("the secret of the handler")

    async def never(_: bytes) -> bytes:
        await asyncio.sleep(3600)
        return b""

    for node in (one, two):
        for kind, answerer in {"refuse": refuse, "crash": crash, "never": never}.items():
            node.cluster.on_request(kind, answerer)
    for node in (one.cluster.node, two.cluster.node):
        with pytest.raises(ServiceError, match=r"^There is no such session\.$"):
            await one.cluster.request(node, "refuse", b"")
        with pytest.raises(ServiceError, match=f"^The node {node} failed to answer"):
            await one.cluster.request(node, "crash", b"")
        with pytest.raises(ServiceError, match=f"^The node {node} answers no nonsense"):
            await one.cluster.request(node, "nonsense", b"")
        with pytest.raises(ServiceError, match=f"^The node {node} did not answer within 0.01 s"):
            await one.cluster.request(node, "never", b"", timeout=0.01)
    with pytest.raises(ServiceError, match="did not answer"):
        await one.cluster.request("unknown", "refuse", b"", timeout=0.01)
    assert [line["kind"] for line in logged if line["event"] == "cluster.request_failed"] == ["crash", "crash"]
    assert one.cluster._requests._asked == {}


async def test_who_leaves_or_is_left_answers_nobody_any_more(make: Make) -> None:
    one, two, three = [await make(name) for name in ("one", "two", "three")]

    async def never(_: bytes) -> bytes:
        await asyncio.sleep(3600)
        return b""

    for node in (one, two):
        node.cluster.on_request("never", never)
    await until(lambda: len(one.cluster.peers()) == len(three.cluster.peers()) == 2)
    gone = asyncio.ensure_future(one.cluster.request(two.cluster.node, "never", b"", timeout=60))
    left = asyncio.ensure_future(three.cluster.request(one.cluster.node, "never", b"", timeout=60))
    await asyncio.sleep(0.01)
    await two.cluster.stop()
    with pytest.raises(ServiceError, match="is gone"):
        await gone
    await three.cluster.stop()
    with pytest.raises(ServiceError, match="is gone"):
        await left


async def test_who_is_asked_while_it_leaves_leaves_no_task_behind() -> None:
    class Late(Puppet):
        async def stop(self) -> None:
            self.deliver(self.sent[-1][1])

    late = Late()
    heard = Heard(late)
    heard.cluster.on_request("kind", lambda _: asyncio.Future[bytes]())
    before = asyncio.all_tasks()
    await heard.cluster.start()
    late.changed("up")
    with pytest.raises(ServiceError, match="did not answer"):
        await heard.cluster.request("somebody", "kind", b"", timeout=0.01)  # which comes back at the end
    await heard.cluster.stop()
    assert asyncio.all_tasks() == before


async def test_too_many_requests_at_once_are_refused(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BUSY", 3)
    one, two = await make("one"), await make("two")
    go_on = asyncio.Event()

    async def wait(_: bytes) -> bytes:
        await go_on.wait()
        return b"done"

    two.cluster.on_request("wait", wait)
    asked = [asyncio.ensure_future(one.cluster.request(two.cluster.node, "wait", b"")) for _ in range(6)]
    _done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    go_on.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert {str(result) for result in results if isinstance(result, ServiceError)} == {
        f"The node {two.cluster.node} is asked too much at once."
    }
    assert results.count(b"done") == 3


# --- who is there -------------------------------------------------------------------------------------------------


async def test_nodes_know_of_each_other_at_once_and_until_they_leave(make: Make) -> None:
    one, two = await make("one"), await make("two")
    await until(lambda: one.cluster.peers() and two.cluster.peers())
    (peer,) = one.cluster.peers()
    assert (peer.node, peer.name) == (two.cluster.node, "two")
    assert peer.silent < 5
    assert await one.cluster.check() == "memory, other nodes: 1"
    await two.cluster.stop()
    await until(lambda: not one.cluster.peers())


async def test_a_node_is_new_with_each_start_of_the_same_name() -> None:
    assert len({Cluster(name="one", metrics=Metrics()).node for _ in range(100)}) == 100
    assert Cluster(metrics=Metrics()).name


async def test_a_node_that_was_started_again_takes_the_place_of_the_old_one(make: Make, logged: Logged) -> None:
    one = await make("one")
    old = await make("two")
    await until(one.cluster.peers)
    old.cluster._broker = None  # killed: it says nothing any more
    new = await make("two")
    await until(lambda: [peer.node for peer in one.cluster.peers()] == [new.cluster.node])
    assert {"cluster.node_joined", "cluster.node_left"} <= {line["event"] for line in logged}


async def test_two_nodes_of_one_name_are_told(make: Make, logged: Logged) -> None:
    one, two = await make("same"), await make("same")
    await until(lambda: one.cluster.peers() and two.cluster.peers())
    assert "cluster.name_taken" in {line["event"] for line in logged}


async def test_a_name_that_stays_taken_is_told_once_a_minute(logged: Logged) -> None:
    clock, broker, other = ManualClock(), Puppet(), Puppet()
    one, two = Cluster(broker, name="same", clock=clock, metrics=Metrics()), Cluster(other, name="same", clock=clock)
    await one.start()
    await two.start()
    other.changed("up")
    for _ in range(30):
        broker.deliver(other.published[0])
        await clock.advance(5.0)
    told = [line.get("times") for line in logged if line["event"] == "cluster.name_taken"]
    assert told == [None, 12, 12]
    await one.stop()
    await two.stop()


async def test_a_silent_node_is_gone_after_some_beats() -> None:
    clock, left = ManualClock(), list[str]()
    peers = Peers(clock, left.append)
    peers.hear("a~1", "a")
    await clock.advance(10)
    peers.hear("b~1", "b")
    peers.expire(10)
    assert [(peer.name, peer.silent) for peer in peers.all()] == [("a", 10.0), ("b", 0.0)]
    await clock.advance(1)
    peers.expire(10)
    assert ([peer.name for peer in peers.all()], left) == (["b"], ["a~1"])
    peers.leave("a~1", "stopped")
    assert left == ["a~1"]


def test_nodes_to_remember_are_bounded() -> None:
    peers = Peers(ManualClock(), lambda _: None)
    for number in range(MOST + 10):
        peers._heard.setdefault(f"x{number}", (f"x{number}", 0.0)) if number < MOST else peers.hear("one", "more")
    assert len(peers) == MOST


async def test_beats_keep_a_quiet_node_known() -> None:
    clock, hub = ManualClock(), MemoryHub()
    nodes = [Heard(MemoryBroker(hub, metrics=Metrics()), name=name, clock=clock) for name in ("one", "two")]
    for node in nodes:
        await node.cluster.start()
    for _ in range(30):
        await clock.advance(1)
    assert all(len(node.cluster.peers()) == 1 for node in nodes)
    assert nodes[0].number("antiphon_cluster_nodes") == 1
    nodes[1].cluster._broker = None
    for _ in range(30):
        await clock.advance(1)
    assert nodes[0].cluster.peers() == []
    nodes[1].cluster._broker = MemoryBroker(hub, metrics=Metrics())
    for node in nodes:
        await node.cluster.stop()


# --- gaps ---------------------------------------------------------------------------------------------------------


async def test_a_gap_of_one_is_told_to_all(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has published meanwhile, the others have missed."""
    monkeypatch.setattr(gaps, "GAP_SECONDS", 0.05)
    one, two = await make("one"), await make("two")
    await until(lambda: one.cluster.peers() and two.cluster.peers())
    assert (one.gaps, two.gaps) == (0, 0)
    one.cluster._changed("gap")
    assert one.gaps == 1
    await until(lambda: two.gaps == 1)
    for _ in range(20):
        one.cluster._changed("gap")
    await until(lambda: (one.gaps, two.gaps) == (2, 2))
    await asyncio.sleep(0.15)
    assert (one.gaps, two.gaps) == (2, 2)
    assert one.number("antiphon_cluster_gaps_total") == 21


async def test_who_asks_to_be_told_twice_is_told_once() -> None:
    told: list[str] = []

    class Asker:
        def ask(self) -> None:
            told.append("gap")

    asker, cluster = Asker(), Cluster(Puppet(), metrics=Metrics())
    for _ in range(2):
        cluster.on_gap(asker.ask)
    cluster._changed("gap")
    await cluster.stop()
    assert told == ["gap"]


async def test_of_several_who_want_to_know_one_that_fails_keeps_nothing_from_the_others(
    make: Make, logged: Logged
) -> None:
    one, told = await make("one"), list[str]()

    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    for listen in (one.cluster.on_gap, one.cluster.on_status):
        listen(fail)
        listen(lambda *_: told.append("told"))
    one.cluster._changed("gap")
    assert told == ["told", "told"]
    assert len([line for line in logged if line["event"] == "cluster.handler_failed"]) == 2


# --- what should not happen ---------------------------------------------------------------------------------------


@given(st.binary(max_size=60))
async def test_any_bytes_from_the_broker_harm_nobody(body: bytes) -> None:
    heard = Heard(Puppet())
    heard.cluster._receive(body)
    await heard.cluster._tasks.stop()


async def test_what_is_not_understood_is_counted_and_named_once(make: Make, logged: Logged) -> None:
    one = await make("one", Puppet())
    for body in (b"\xff", b"\x01", b"\x01\0\0\0\xff\0\0\0\xff", b"\x03\0\0\0\0\0\0\0\0{", b"\x08[]", b"\x06\xc1"):
        one.cluster._receive(body)
    assert len([line for line in logged if line["event"] == "cluster.not_understood"]) == 1
    assert one.number("antiphon_cluster_failed_total") >= 5


async def test_a_handler_that_fails_is_logged_and_the_next_message_arrives(make: Make, logged: Logged) -> None:
    one, two = await make("one"), await make("two")
    seen: list[str] = []

    def fail(topic: str, *_: Any) -> None:
        seen.append(topic)
        raise RuntimeError("broken")

    two.cluster.on_broadcast(fail)
    one.cluster.broadcast("a", "e", b"")
    one.cluster.broadcast("b", "e", b"")
    await until(lambda: seen == ["a", "b"])
    assert [line["kind"] for line in logged if line["event"] == "cluster.handler_failed"] == ["broadcast"] * 2


async def test_what_passes_is_counted(make: Make) -> None:
    one, two = await make("one"), await make("two")
    one.cluster.broadcast("t", "e", b"12345")
    await until(lambda: two.all)
    await one.cluster.stop()
    await two.cluster.stop()
    assert one.number('antiphon_cluster_messages_total{direction="out",kind="broadcast"}') == 1
    assert two.number('antiphon_cluster_messages_total{direction="in",kind="broadcast"}') == 1
    assert two.number('antiphon_cluster_bytes_total{direction="in"}') > 14


@pytest.mark.parametrize("server", ["redis", "nats"])
async def test_a_cluster_on_a_real_server_heals(make: Make, server: str, request: pytest.FixtureRequest) -> None:
    running: RedisServer | NatsServer = request.getfixturevalue(server)

    def broker() -> Broker:
        return open_broker(ClusterSettings(url=running.url, timeout=0.5), metrics=Metrics())

    one, two = await make("one", broker()), await make("two", broker())
    await until(lambda: one.cluster.peers() and two.cluster.peers())
    running.restart()
    await until(lambda: one.gaps and two.gaps and one.cluster.status == two.cluster.status == "up")
    one.cluster.broadcast("t", "e", b"{}")
    await until(lambda: two.all == [("t", "e", b"{}", False)])


@pytest.mark.parametrize("server", ["redis", "nats"])
async def test_who_misses_some_of_a_flood_is_told_although_only_the_publisher_lost_it(
    make: Make, server: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"{server}_url")

    def broker() -> Broker:
        return open_broker(ClusterSettings(url=url, prefix=prefix, unsent_bytes=1024 * 1024), metrics=Metrics())

    prefix = f"test-{new_id()}"
    one, two = await make("one", broker()), await make("two", broker())
    for number in range(1000):
        one.cluster.broadcast("t", str(number), bytes(10_000))
    await until(lambda: two.gaps)
    heard = [int(event) for _, event, _, _ in two.all]
    assert heard == list(range(len(heard)))
    assert 0 < len(heard) < 1000
