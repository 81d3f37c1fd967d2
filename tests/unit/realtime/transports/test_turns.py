"""Long input is taken piece by piece, in order, and others have their turn between the pieces."""

import asyncio
import time

from antiphon.realtime.transports.turns import Rests, Turns


async def test_pieces_in_order_one_in_each_turn() -> None:
    taken: list[bytes] = []
    over = asyncio.Event()
    turns = Turns(taken.append, over.set)
    turns.add(b"short")
    assert (taken, bool(turns), over.is_set()) == ([b"short"], False, False)
    data = bytes(range(256)) * 40
    turns.add(data)
    turns.add(b"behind it")
    assert (len(taken), bool(turns)) == (1, True)
    await asyncio.sleep(0)
    assert (taken[1:], over.is_set()) == ([data[:4096]], False)
    await asyncio.wait_for(over.wait(), 5)
    assert (b"".join(taken[1:]), bool(turns)) == (data + b"behind it", False)
    turns.add(b"short again")
    assert taken[-1] == b"short again"


async def test_what_took_long_is_followed_by_a_rest() -> None:
    over = asyncio.Event()
    rests = Rests(lambda data: time.sleep(len(data) / 1000), over.set)
    rests.add(b"")
    assert (bool(rests), over.is_set()) == (False, False)
    for size, least in ((10, 0.0), (150, 0.1)):
        over.clear()
        rests.add(bytes(size))
        began = time.monotonic()
        assert bool(rests)
        await asyncio.wait_for(over.wait(), 5)
        assert (bool(rests), time.monotonic() - began >= least - 0.005) == (False, True)
