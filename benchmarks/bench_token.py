"""A streamed token from a provider's SSE over loopback HTTP to a Phoenix client on a socket: CPU of the server alone.

Model server, house and client are processes of their own. Fast: tokens come as quickly as they are read, many in one
packet. Paced: so slowly that each token is a packet and a wake-up of its own, as with most vendors. What else a turn
costs is in it, spread over 500 tokens.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from antiphon.domain import new_id
from antiphon.realtime.client.channel import ClientChannel
from antiphon.realtime.client.phoenix import PhoenixClient
from benchmarks.bench_start import READY, SERVE
from benchmarks.measuring import ROOT, Case, cpu_seconds, fast_loop, process

UNIT = "µs of CPU a token"
REFERENCE = "aiohttp and msgspec alone, paced"
ROUNDS = 3

DEMO = ("-m", "antiphon", "demo-server", "--port", "0")
PACE = "200"
"""Tokens a second of one answer."""

DEMO_READY = r"at (http://\S+/v1)"


async def ask(pid: int, url: str, streams: int, tokens: int) -> float:
    """So many answers at once, each in its own conversation: what each delta cost the server, in microseconds."""
    async with PhoenixClient(f"{url}/socket") as client:
        channels = [await _conversation(client) for _ in range(streams)]
        began = cpu_seconds(pid)
        deltas = sum(await asyncio.gather(*(_answer(channel, tokens) for channel in channels)))
        return (cpu_seconds(pid) - began) / deltas * 1e6


async def _conversation(client: PhoenixClient) -> ClientChannel:
    new = client.channel("conversation:new", {"client_id": new_id()})
    conversation = (await new.join())["conversation"]["id"]
    await new.leave()
    channel = client.channel(f"conversation:{conversation}")
    await channel.join()
    return channel


async def _answer(channel: ClientChannel, tokens: int) -> int:
    ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    deltas: list[int] = []
    channel.on("delta", lambda _, payload: deltas.append(payload["seq"]))
    channel.on("turn_end", lambda _, payload: ended.set_result(payload))
    await channel.push("message", {"text": f"!long {tokens}"})
    outcome = await ended
    if outcome["status"] != "answered":
        raise RuntimeError(f"the turn ended as {outcome}")
    await channel.leave()
    return len(deltas)


class Reader:
    """`readers.py` in a process of its own."""

    def __init__(self, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.readers", kind],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def case(self, url: str, streams: int, tokens: int) -> Case:
        def read() -> float:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{url} {streams} {tokens}\n")
            self._process.stdin.flush()
            return float(self._process.stdout.readline())

        return read

    def end(self) -> None:
        self._process.communicate(timeout=30)


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    fast = max(2, round(20 * scale)), max(20, round(500 * scale))
    paced = max(2, round(25 * scale)), max(20, round(500 * scale))
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        runner = opened.enter_context(fast_loop())
        _, quick = opened.enter_context(process(*DEMO, ready=DEMO_READY, folder=folder))
        _, slow = opened.enter_context(process(*DEMO, "--rate", PACE, ready=DEMO_READY, folder=folder))
        loop, bare = Reader("loop"), Reader("bare")
        opened.callback(loop.end)
        opened.callback(bare.end)
        found: dict[str, Case] = {}
        for name, model, (streams, tokens) in (("fast", quick, fast), ("paced", slow, paced)):
            variables = {
                "ANTIPHON_DEFAULT_MODEL": "bench:demo",
                "ANTIPHON_DETECT_LOCAL_MODELS": "false",
                "ANTIPHON_PROVIDERS__BENCH__BASE_URL": model,
                "ANTIPHON_DATABASE__URL": f"sqlite:///{folder / name}.db",
            }
            pid, url = opened.enter_context(process(*SERVE, ready=READY, folder=folder, **variables))
            found |= {
                f"provider to Phoenix client, {name}": partial(
                    lambda *of: runner.run(ask(*of)), pid, url, streams, tokens
                ),
                f"loop and client alone, {name}": loop.case(model, streams, tokens),
                f"aiohttp and msgspec alone, {name}": bare.case(model, streams, tokens),
            }
        yield found
