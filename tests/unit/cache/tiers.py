"""A process with a cache in Redis, a memory in front of it, and a cluster that tells of changes: does as it is told.

    python -m tests.unit.cache.tiers redis://127.0.0.1:6379/0 prefix

Commands and answers are lines: `get KEY`, `set KEY VALUE`, `delete KEY`, `clear`, `nodes`.
"""

import asyncio
import sys

from antiphon.cache.cache import Cache
from antiphon.cache.config import CacheSettings
from antiphon.realtime.brokers.base import open_broker
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.realtime.nodes.cluster import Cluster

TOPIC = "cache:changes"


async def main(url: str, prefix: str) -> None:
    cache = Cache("redis", url=url, settings=CacheSettings(prefix=prefix, timeout=5, near_seconds=3600))
    cluster = Cluster(open_broker(ClusterSettings(url=url, prefix=prefix, timeout=0.5)))
    tiered = cache.share(lambda changes: cluster.publish(TOPIC, changes))
    assert tiered is not None
    cluster.on_message(lambda topic, changes: tiered.forget(changes))
    cluster.on_gap(lambda: tiered.forget(None))
    cluster.on_status(lambda status: tiered.trust(status != "down"))
    await cluster.start()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        match line.split():
            case ["get", key]:
                answer = await cache.get(key)
            case ["set", key, value]:
                answer = await cache.set(key, value)
            case ["delete", key]:
                answer = await cache.delete(key)
            case ["clear"]:
                answer = await cache.clear()
            case _:
                answer = len(cluster.peers())
        print(answer, flush=True)  # noqa: T201 - how it answers
    await cluster.stop()
    await cache.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
