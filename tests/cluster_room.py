"""One node of a cluster, as a process: the reference room, with presence and beats quick enough for a test.

python tests/cluster_room.py redis://127.0.0.1:6379 name

It writes its port and then, one a line, what it hears of the cluster: `up`, `down`, `gap`.
"""

import asyncio
import sys
from importlib import util
from pathlib import Path
from types import ModuleType

from pydantic import SecretStr

from antiphon.realtime.brokers.base import open_broker
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.realtime.config import PhoenixConfig, TransportConfig
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.realtime.presence.config import PresenceConfig

TICK_SECONDS = 0.1
SILENT_TICKS = 5
DOWN_SECONDS = 1.5
BEAT_SECONDS = 0.3


def example() -> ModuleType:
    path = Path(__file__).parents[1] / "examples" / "reference_room.py"
    spec = util.spec_from_file_location("reference_room", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(url: str, name: str) -> None:
    cluster = Cluster(
        open_broker(ClusterSettings(url=SecretStr(url), timeout=1.0)),
        name=name,
        beat_seconds=BEAT_SECONDS,
    )
    cluster.on_gap(lambda: say("gap"))
    cluster.on_status(lambda status: say("down" if status == "down" else "up"))
    config = PhoenixConfig(
        presence=PresenceConfig(tick_seconds=TICK_SECONDS, silent_ticks=SILENT_TICKS, down_seconds=DOWN_SECONDS),
        transport=TransportConfig(idle_seconds=20),
    )
    app = example().reference_room(config, cluster=cluster)
    await app.listen("127.0.0.1", 0)
    say(app.port)
    await app.serve()
    await app.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
