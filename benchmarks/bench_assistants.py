"""The loop and the client beside those of other frameworks, on the same event loop and the same model server: CPU of
the process that reads.

Fast: tokens come as quickly as they are read, many in one packet. Paced: 100 answers at once of 50 tokens a second, so
that each token is a packet and a wake-up of its own, as with most vendors. A turn: a model that takes no time calls a
tool and says a sentence. Made: an assistant with one tool, of which it has made others before.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.bench_token import DEMO, DEMO_READY
from benchmarks.measuring import Case, process
from benchmarks.peers.environments import BARE, OURS, PEERS, Peer, called, installed

UNIT = "µs of CPU a token, a turn, or an assistant"
REFERENCE = OURS
ROUNDS = 3

FAST, PACED, TURN, MADE = "token, fast", "token, paced", "turn with a tool", "assistant made"

LIMITS = {f"{FAST}: {OURS}": 10, f"{PACED}: {OURS}": 30, f"{TURN}: {OURS}": 150, f"{MADE}: {OURS}": 10}
LEAST = {f"{FAST}: {called(peer)}": 15.0 for peer in PEERS if peer != "openai"}
"""How many times ours a framework takes at least."""

CLIENTS = {BARE, "openai"}
"""Clients without a loop for tools."""

_PACE = "50"


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    streams, tokens = max(2, round(20 * scale)), max(20, round(200 * scale))
    many, turns = max(2, round(100 * scale)), max(3, round(100 * scale))
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        _, quick = opened.enter_context(process(*DEMO, ready=DEMO_READY, folder=folder))
        _, slow = opened.enter_context(process(*DEMO, "--rate", _PACE, ready=DEMO_READY, folder=folder))
        peers: dict[str, Peer] = {}
        # A look at whether the cases work installs nobody else's packages.
        for name in (OURS, BARE, *PEERS) if scale >= 1 else (OURS, BARE):
            if (python := installed(name)) is not None:
                peers[name] = Peer(name, python)
                opened.callback(peers[name].end)
        found: dict[str, Case] = {}
        for what, work in (
            (FAST, ("stream", quick, streams, tokens)),
            (PACED, ("stream", slow, many, max(10, tokens // 2))),
            (TURN, ("turn", turns)),
            (MADE, ("make", turns)),
        ):
            for name, peer in peers.items():
                if what in {FAST, PACED} or name not in CLIENTS:
                    found[f"{what}: {called(name)}"] = peer.case(*work)
        yield found
