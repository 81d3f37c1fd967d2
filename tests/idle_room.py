"""A bare application in a process of its own, that a test asks what it holds: one command a line, one JSON answer."""

import asyncio
import gc
import json
import sys
from collections.abc import Callable
from typing import Any

from antiphon.realtime.channel import Channel
from antiphon.realtime.config import PhoenixConfig, SecurityConfig, TransportConfig
from antiphon.realtime.phoenix import Phoenix


class Room(Channel):
    """Nobody says anything."""


def held(app: Phoenix) -> dict[str, Any]:
    gc.collect()
    return {"sockets": len(app.sockets), "topics": len(app.topics), "tasks": len(asyncio.all_tasks())}


def say(app: Phoenix) -> dict[str, Any]:
    app.broadcast("room:all", "news", {"text": "The kitchen is open."})
    return {"members": app.members("room:all")}


COMMANDS: dict[str, Callable[[Phoenix], dict[str, Any]]] = {"held": held, "say": say}


async def main() -> None:
    config = PhoenixConfig(
        security=SecurityConfig(max_connects_per_second=100_000),
        transport=TransportConfig(idle_seconds=600),
    )
    app = Phoenix(config)
    app.route("room:*", Room)
    await app.listen("127.0.0.1", 0)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    write({"port": app.port})
    while line := await reader.readline():
        write(COMMANDS[line.decode().strip()](app))
    await app.stop()


def write(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
