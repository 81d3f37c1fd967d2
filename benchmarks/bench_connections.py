"""A socket that connects and joins a topic of its own: what that costs the server, which is a new one every time."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.load import FLOOR, OURS, Ground, ground, servers
from benchmarks.measuring import Case

UNIT = "µs of server CPU a connect and join"
REFERENCE = FLOOR
ROUNDS = 5

RATIOS = {OURS: 10.8}

CONNECTIONS = 5_000
OPTIONS = "--mode connect --topics 0 --topic room:%d --sources 8"


def connected(place: Ground, server: str, count: int) -> Case:
    def case() -> float:
        with place.serving(server) as where:
            return float(place.load(where, f"{OPTIONS} --conns {count}")["cpu_ms_per_connect"]) * 1e3

    return case


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    count = max(100, round(CONNECTIONS * scale))
    with ground() as place:
        yield {server: connected(place, server, count) for server in servers()}
