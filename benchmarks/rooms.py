"""The reference shape of `load.py` in a process of its own: echo to one, a message to a room.

`rooms.py antiphon` on our Phoenix; `rooms.py websockets` on the library `websockets` with `json`, which speaks just
enough of the protocol to be measured.
"""

import asyncio
import json
import sys
from typing import Any

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from antiphon.realtime.channel import Channel
from antiphon.realtime.config import PhoenixConfig, SecurityConfig, TransportConfig
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.phoenix import Phoenix
from antiphon.telemetry.metrics import Metrics

LIMITS = {"max_connects_per_second": 1e9, "max_messages_per_second": 1e9, "max_joins_per_second": 1e9}
"""Every limit is looked at, none is reached."""


def house() -> Phoenix:
    """Our own, with all that a server of today has on: limits, and compression for those who offer it."""
    app = Phoenix(
        PhoenixConfig(security=SecurityConfig(**LIMITS), transport=TransportConfig(compression=True)), metrics=Metrics()
    )
    app.route("room:*", RoomChannel)
    return app


class RoomChannel(Channel):
    @Channel.on("echo")
    async def echo(self, payload: Any, socket: Socket) -> Any:
        return payload

    @Channel.on("broadcast")
    async def say(self, payload: Any, socket: Socket) -> None:
        await self.broadcast("message", payload)


async def antiphon() -> int:
    app = house()
    await app.listen(port=0)
    return app.port


async def websockets() -> int:
    dumps = json.JSONEncoder(separators=(",", ":")).encode
    rooms: dict[str, set[ServerConnection]] = {}

    async def handle(connection: ServerConnection) -> None:
        try:
            async for frame in connection:
                join_ref, ref, topic, event, payload = json.loads(frame)
                if event == "broadcast":
                    broadcast(rooms[topic], dumps([None, None, topic, "message", payload]))
                    continue
                if event == "phx_join":
                    rooms.setdefault(topic, set()).add(connection)
                await connection.send(dumps([join_ref, ref, topic, "phx_reply", {"status": "ok", "response": payload}]))
        except ConnectionClosed:
            return  # without a goodbye, as the generator goes
        finally:
            for members in rooms.values():
                members.discard(connection)

    server = await serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=2048)
    return int(next(iter(server.sockets)).getsockname()[1])


async def main(kind: str) -> None:
    port = await {"antiphon": antiphon, "websockets": websockets}[kind]()
    print(f"listening on {port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
