"""Echo and fan-out over Phoenix V2 on loopback: server CPU for each echo or delivery, beside the kernel's own cost."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.load import FLOOR, OURS, Ground, Serving, ground_with_servers
from benchmarks.measuring import Case

UNIT = "µs of server CPU a message (echo) or delivery (fan-out)"
REFERENCE = FLOOR
ROUNDS = 5

SETS = {
    "echo, 64 × 1": (64, "--mode echo --inflight 1 --payload-bytes 128"),
    "echo, 200 × 4": (200, "--mode echo --inflight 4 --payload-bytes 128"),
    "1,000 members, 1 at a time": (1000, "--mode fanout --window 1 --payload-bytes 200"),
    "1,000 members, 4 at a time": (1000, "--mode fanout --window 4 --payload-bytes 200"),
    "100 rooms of 10, 2 at a time": (1000, "--mode fanout --topics 100 --window 2 --payload-bytes 200"),
    "500 members who offer deflate": (500, "--mode fanout --window 1 --payload-bytes 1000 --deflate"),
}
"""The floor compresses nothing: the last row says whether a smaller frame pays for being made."""

RATIOS = {
    f"echo, 64 × 1: {OURS}": 2.9,
    f"echo, 200 × 4: {OURS}": 5.0,
    f"1,000 members, 1 at a time: {OURS}": 1.15,
    f"1,000 members, 4 at a time: {OURS}": 0.44,
    f"100 rooms of 10, 2 at a time: {OURS}": 1.0,
    f"500 members who offer deflate: {OURS}": 1.15,
}


def loaded(place: Ground, server: Serving, options: str, seconds: float) -> Case:
    def case() -> float:
        # On a machine with other things to do, a part of a second may pass without a message.
        for longer in (1, 4, 16):
            taken = seconds * longer
            result = place.load(server, f"--duration {taken} --warmup {taken / 4} {options}")
            if result["msgs"]:
                return float(result["server_cpu_s"] / result["msgs"] * 1e6)
        raise RuntimeError(f"{options}: {result}")

    return case


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    seconds, share = max(0.3, 1.5 * scale), min(1.0, 5 * scale)
    with ground_with_servers() as (place, running):
        yield {
            f"{name}: {server}": loaded(place, where, f"{options} --conns {round(sockets * share)}", seconds)
            for name, (sockets, options) in SETS.items()
            for server, where in running.items()
        }
