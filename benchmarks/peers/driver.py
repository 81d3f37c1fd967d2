"""What all peers answer to, each in an environment of its own: lines of work in, microseconds of CPU out.

`stream URL STREAMS TOKENS` reads so many answers of a model server at once: µs a token. `turn COUNT` has a model that
takes no time call a tool and say a sentence: µs a turn. `make COUNT` makes an assistant with one tool: µs each.
"""

import asyncio
import functools
import sys
import time
from collections.abc import Awaitable, Callable

Stream = Callable[[str, int], Awaitable[int]]
Turn = Callable[[], Awaitable[object]]

SENTENCE = ("It is ", "half past ", "nine ", "in the ", "morning.")
QUESTION = "What time is it?"


async def clock() -> str:
    """The current time."""
    return "09:30"


def main(
    stream: Callable[[str], Stream], turn: Callable[[], Turn] | None = None, make: Callable[[], object] | None = None
) -> None:
    """`stream` makes what reads one answer of so many tokens from a server and says how many pieces it got; `turn`
    makes what does one turn; `make` makes one assistant."""
    # One client for each server, as in a program: some that are left behind open hold up the next.
    stream = functools.cache(stream)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            what, *arguments = line.split()
            if what == "stream":
                url, streams, tokens = arguments[0], int(arguments[1]), int(arguments[2])
                took = runner.run(_streamed(stream(url), streams, tokens))
            elif what == "turn" and turn is not None:
                took = runner.run(_turned(turn(), int(arguments[0])))
            elif what == "make" and make is not None:
                took = _made(make, int(arguments[0]))
            else:
                took = float("nan")
            sys.stdout.write(f"{took}\n")
            sys.stdout.flush()


async def _streamed(read: Stream, streams: int, tokens: int) -> float:
    await read("warm", 5)
    began = time.process_time()
    counts = await asyncio.gather(*(read(f"s{number}", tokens) for number in range(streams)))
    took = time.process_time() - began
    if sum(counts) < streams * tokens * 0.9:
        raise RuntimeError(f"{sum(counts)} pieces of {streams * tokens}")
    return took / (streams * tokens) * 1e6


async def _turned(turn: Turn, count: int) -> float:
    said = await turn()
    if "half past" not in str(said):
        raise RuntimeError(f"the turn said {said!r}")
    began = time.process_time()
    for _ in range(count):
        await turn()
    return (time.process_time() - began) / count * 1e6


def _made(make: Callable[[], object], count: int) -> float:
    make()
    began = time.process_time()
    for _ in range(count):
        make()
    return (time.process_time() - began) / count * 1e6
