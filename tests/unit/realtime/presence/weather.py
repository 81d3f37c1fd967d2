"""A simulated cluster: its own clock, and a bus that loses, delays, doubles, reorders and splits. The same seed gives
the same run."""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec

from antiphon.realtime.presence.config import PresenceConfig
from antiphon.realtime.presence.presence import Presence
from antiphon.telemetry.metrics import Metrics
from tests.unit.realtime.presence.client import PresenceView, View, by_ref

TOPICS = ("room:1", "room:2", "lobby")


class Weather:
    """Time, and what befalls each message."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = 0.0
        self.loss = 0.0
        self.doubling = 0.0
        self.delay = 0.05
        self.side: dict[str, int] = {}
        self._order = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.at(seconds, lambda: None if woken.done() else woken.set_result(None))
        await woken

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), event))

    def clear_up(self) -> None:
        """From now on nothing is lost."""
        self.loss = self.doubling = 0.0
        self.delay = 0.05
        self.side.clear()

    def carry(self, source: str, target: str, deliver: Callable[[], None]) -> None:
        if self.side.get(source, 0) != self.side.get(target, 0):
            return
        for _ in range(2 if self.chance.random() < self.doubling else 1):
            if self.chance.random() >= self.loss:
                self.at(self.chance.uniform(0.001, self.delay), deliver)

    async def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, event = heapq.heappop(self._events)
            event()
            # Sometimes several things happen within one tick of the loop.
            if not self._events or self._events[0][0] - self.now > 0.01 or self.chance.random() < 0.5:
                await settle(2)
        self.now = end
        await settle()


async def settle(ticks: int = 4) -> None:
    """A timer that fires wakes a task, whose changes are told at the end of the next tick."""
    for _ in range(ticks):
        await asyncio.sleep(0)


class Node:
    """One life of one node, with a client in every topic that sees what is broadcast there."""

    def __init__(self, world: "World", name: str) -> None:
        self.name = name
        self.clients = {topic: PresenceView() for topic in TOPICS}
        self.presence = Presence(
            name,
            config=world.config,
            publish=lambda body: world.publish(name, body),
            send=lambda target, body: world.send(name, target, body),
            broadcast=self._broadcast,
            clock=world.weather,
            metrics=world.metrics,
        )
        if world.fetch_delay:
            self.presence.fetch(world.fetch)

    def _broadcast(self, topic: str, event: str, payload: Any) -> None:
        assert event == "presence_diff"
        self.clients[topic].sync_diff(payload)

    def rejoin(self, topic: str) -> None:
        """A new client, which is sent the state (PR-2)."""
        client = self.clients[topic] = PresenceView()
        self.presence.push_state(topic, client.sync_state)

    def tracked(self) -> list[tuple[str, str, str]]:
        return [(pid, topic, key) for pid, mine in self.presence._mine.items() for topic, key in mine]

    def check(self) -> None:
        """What its clients see is what it knows."""
        for topic, client in self.clients.items():
            assert by_ref(client.state) == by_ref(self.presence.list_now(topic)), f"{self.name} {topic}"


class World:
    """Nodes, and people who come and go on them."""

    def __init__(self, seed: int, *, fetch_delay: float = 0.0, **config: Any) -> None:
        self.fetch_delay = fetch_delay
        self.chance = random.Random(seed)
        random.seed(seed)  # nodes choose when they first speak
        self.weather = Weather(self.chance)
        self.config = PresenceConfig(**config)
        self.metrics = Metrics()
        self.nodes: dict[str, Node] = {}
        self.said: Counter[str] = Counter()
        self._numbers = count()

    def publish(self, source: str, body: bytes) -> None:
        for target in list(self.nodes):
            if target != source:
                self.send(source, target, body)

    def send(self, source: str, target: str, body: bytes) -> None:
        self.said[msgspec.msgpack.decode(body)[0]] += 1

        def deliver() -> None:
            # To whoever has the name by then.
            if target in self.nodes:
                self.nodes[target].presence.receive(body)

        self.weather.carry(source, target, deliver)

    async def fetch(self, topic: str, presences: View) -> View:
        """A hook that takes its time."""
        await self.weather.sleep(self.chance.uniform(0, self.fetch_delay))
        return {key: {"name": key.upper()} for key in presences}

    async def start(self, name: str) -> Node:
        node = self.nodes[name] = Node(self, name)
        await node.presence.start()
        return node

    async def kill(self, name: str) -> None:
        """It stops in the middle of everything."""
        presence = self.nodes.pop(name).presence
        await presence._tasks.stop()
        await presence._stepper.stop()

    async def stop(self, name: str) -> None:
        await self.nodes[name].presence.stop()
        del self.nodes[name]

    async def end(self) -> None:
        for name in list(self.nodes):
            await self.kill(name)

    # People

    def live(self, seconds: float, pause: float) -> None:
        """Lets people do things for so long, one every `pause` seconds on average."""
        at = 0.0
        while at < seconds:
            at += self.chance.expovariate(1 / pause)
            self.weather.at(at, self._do_something)

    def _do_something(self) -> None:
        if not self.nodes:
            return
        node = self.chance.choice(list(self.nodes.values()))
        tracked = node.tracked()
        choice = self.chance.random()
        if choice < 0.15:
            node.rejoin(self.chance.choice(TOPICS))
        elif choice < 0.55 or not tracked:
            self._come(node)
        elif choice < 0.75:
            pid, topic, key = self.chance.choice(tracked)
            node.presence.update_now(pid, topic, lambda meta: {"n": meta["n"] + 1}, key)
        elif choice < 0.92:
            pid, topic, key = self.chance.choice(tracked)
            node.presence.untrack_now(pid, topic, key)
        else:
            node.presence.untrack_all_now(self.chance.choice(tracked)[0])

    def _come(self, node: Node) -> None:
        """Somebody with one of a few names, on a new connection or one that is there."""
        pid = f"{node.name}-{self.chance.choice((next(self._numbers), 1, 2, 3))}"
        topic, key = self.chance.choice(TOPICS), self.chance.choice("abcd")
        if (pid, topic, key) not in node.tracked():
            node.presence.track_now(pid, topic, {"n": 0}, key)

    # Truth

    def truth(self, topic: str) -> dict[str, Any]:
        """What everybody should see in the end: what the nodes that live track themselves."""
        return {
            entry.ref: (entry.key, entry.meta)
            for node in self.nodes.values()
            for entry in node.presence._tracker.own.knowledge.entries.values()
            if entry.topic == topic
        }

    def check(self) -> None:
        """Every node and every client sees everybody who is there, and nobody else."""
        for topic in TOPICS:
            expected = self.truth(topic)
            for node in self.nodes.values():
                seen = by_ref(node.presence.list_now(topic))
                assert seen.keys() - expected.keys() == set(), f"ghosts on {node.name}"
                assert expected.keys() - seen.keys() == set(), f"lost on {node.name}"
                assert seen == expected
        for node in self.nodes.values():
            node.check()
