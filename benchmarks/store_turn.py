"""What one chat turn costs in the store: accept, begin, context, three appends, finish, delivery.

    python benchmarks/store_turn.py [turns]

Prints CPU milliseconds a turn (all threads), one turn after the other and 100 at a time, on a SQLite file.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from antiphon.domain import ChannelMessage, TextPart, TurnRecord, new_id
from antiphon.storage.base import Chunk, Store, TurnReply
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store

ANSWER = "An answer of some length, as models give it. " * 20


async def turn(store: Store, place: str) -> None:
    message = ChannelMessage(adapter="bench", place=place, account="someone", key=new_id(), text="How are you today?")
    accepted = await store.inbox.accept(message, assistant="guide")
    await store.inbox.begin(accepted.turn.id)
    await store.conversations.context(accepted.turn, limit=20)
    for seq in range(3):
        await store.inbox.append(accepted.turn.id, [Chunk(seq=seq, kind="text", text=ANSWER[:300])])
    reply = TurnReply(id=new_id(), role="assistant", text=ANSWER, parts=(TextPart(text=ANSWER),))
    finished = await store.inbox.finish(accepted.turn, TurnRecord(outcome="answered", model="demo:demo"), reply)
    await store.outbox.delivered(finished.delivery_id or "")


async def measure(store: Store, turns: int, at_once: int) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()

    async def chat(number: int) -> None:
        for _ in range(turns // at_once):
            await turn(store, f"{at_once}-{number}")

    await asyncio.gather(*(chat(number) for number in range(at_once)))
    done = turns // at_once * at_once
    return (time.process_time() - cpu) / done * 1_000, (time.perf_counter() - wall) / done * 1_000


async def main(turns: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(DatabaseSettings(url=f"sqlite:///{Path(folder) / 'bench.db'}"))
        await store.start()
        for at_once in (1, 100):
            await measure(store, at_once, at_once)
            cpu, wall = await measure(store, turns, at_once)
            print(f"{at_once:4} at once: {cpu:.3f} ms CPU, {wall:.3f} ms wall a turn")
        await store.stop()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000))
