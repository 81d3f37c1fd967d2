"""realtime, the client of Supabase: version 1 with join_ref, heartbeats without ref."""

import asyncio
import json
import sys
from typing import Any

from realtime import AsyncRealtimeClient  # type: ignore[import-not-found]


def say(*values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def main(url: str) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    states: list[Any] = []
    ann, bob = (AsyncRealtimeClient(f"ws://{url}", token) for token in ("a", "b"))
    speaker, listener = ann.channel("room:1"), bob.channel("room:1")
    listener.on_broadcast("shout", heard.put_nowait)
    await speaker.subscribe(lambda state, error: states.append((state.value, str(error))))
    await listener.subscribe()
    say("joined", states, listener.is_joined)
    await speaker.send_broadcast("shout", {"text": "é🎵"})
    async with asyncio.timeout(10):
        say("broadcast", (await heard.get())["payload"])
    await ann.remove_channel(speaker)
    say("left", speaker.topic in ann.channels)
    again = ann.channel("room:1")
    await again.subscribe()
    say("joined again", again.is_joined)
    await ann.close()
    await bob.close()


asyncio.run(main(*sys.argv[1:]))
