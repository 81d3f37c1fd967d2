"""Long input is taken piece by piece, in order, and others have their turn between the pieces."""

import asyncio

from antiphon.realtime.transports.turns import Turns


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
