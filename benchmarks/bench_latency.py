"""50,000 deliveries a second, whether they are taken or not: how late the slowest hundredth is."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.load import FLOOR, OURS, Ground, Serving, ground_with_servers
from benchmarks.measuring import Case

UNIT = "ms from the moment it was due to the delivery, 99th percentile"
REFERENCE = FLOOR
ROUNDS = 5

LIMITS = {OURS: 6.0}

OPTIONS = "--mode fanout --conns 1000 --rate 50 --payload-bytes 200"


def paced(place: Ground, server: Serving, seconds: float) -> Case:
    return lambda: float(place.load(server, f"{OPTIONS} --duration {seconds} --warmup 0.3")["p99_us"]) / 1e3


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    with ground_with_servers() as (place, running):
        yield {server: paced(place, where, max(0.2, 4 * scale)) for server, where in running.items()}
