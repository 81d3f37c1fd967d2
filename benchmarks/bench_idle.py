"""10,000 sockets that are joined and say nothing: what each keeps in the server's memory, the kernel's part apart."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.bench_connections import OPTIONS
from benchmarks.load import FLOOR, OURS, Ground, ground, servers
from benchmarks.measuring import Case

UNIT = "KiB resident a joined connection"
REFERENCE = FLOOR
ROUNDS = 3

LIMITS = {OURS: 6.0}

CONNECTIONS = 10_000


def resting(place: Ground, server: str, count: int) -> Case:
    def case() -> float:
        with place.serving(server) as where:
            return float(place.load(where, f"{OPTIONS} --conns {count} --hold 1")["kib_per_conn"])

    return case


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    count = max(200, round(CONNECTIONS * scale))
    with ground() as place:
        yield {server: resting(place, server, count) for server in servers()}
