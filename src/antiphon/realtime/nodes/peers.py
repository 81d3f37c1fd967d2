"""Which other nodes there are, as far as they have been heard of."""

from collections.abc import Callable

from msgspec import Struct

from antiphon.runtime.clock import Clock
from antiphon.telemetry.logs import get_logger

MOST = 10_000
"""Nodes to remember; on a broker that everybody writes to there may be any number."""

log = get_logger(__name__)


class Node(Struct, frozen=True, kw_only=True):
    """Another node. `silent` are the seconds since it was last heard of."""

    node: str
    name: str
    silent: float


class Peers:
    """Notes who is there. `left` is called with each node that is not there any more."""

    def __init__(self, clock: Clock, left: Callable[[str], None]) -> None:
        self._clock = clock
        self._left = left
        self._heard: dict[str, tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._heard)

    def all(self) -> list[Node]:
        """By name."""
        now = self._clock.monotonic()
        peers = [Node(node=node, name=name, silent=now - at) for node, (name, at) in self._heard.items()]
        return sorted(peers, key=lambda peer: (peer.name, peer.node))

    def hear(self, node: str, name: str) -> None:
        """It is there; another node that had its name is not, since it was started again."""
        if node not in self._heard:
            for old in [known for known, (its, _) in self._heard.items() if its == name]:
                self.leave(old, "started again")
            if len(self._heard) >= MOST:
                return
            log.info("cluster.node_joined", node=node)
        self._heard[node] = name, self._clock.monotonic()

    def leave(self, node: str, reason: str) -> None:
        """It is not there any more."""
        if self._heard.pop(node, None) is not None:
            log.info("cluster.node_left", node=node, reason=reason)
            self._left(node)

    def expire(self, seconds: float) -> None:
        """Who has been silent for longer is not there any more."""
        late = self._clock.monotonic() - seconds
        for node in [node for node, (_, at) in self._heard.items() if at < late]:
            self.leave(node, "silent")
