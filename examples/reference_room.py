"""The reference room: one channel in which every part of the protocol can be seen from outside.

    python examples/reference_room.py --port 4100 [--redis redis://127.0.0.1:6379 [--workers 2]]

Test suites, benchmarks and clients of others are pointed at it, and so is

    python -m antiphon.testing.conformance http://127.0.0.1:4100/socket
"""

import argparse
import asyncio
import sys
from typing import Any

from pydantic import SecretStr

from antiphon.errors import AntiphonError
from antiphon.realtime.admission.connect import ConnectInfo, Refused
from antiphon.realtime.brokers.base import open_broker
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.realtime.channel import Channel, Rejected, Reply
from antiphon.realtime.config import PhoenixConfig, SecurityConfig, TransportConfig
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.workers import is_worker, reserve, run_workers


class ReferenceRoom(Channel):
    """What each event does is fixed: other servers have a room that does the same."""

    async def on_join(self, payload: Any, socket: Socket) -> Any:
        self.asked = payload if isinstance(payload, dict) else {}
        if "deny" in self.asked:
            raise Rejected({"reason": self.asked["deny"]})
        if "crash" in self.asked:
            raise RuntimeError("the join crashes, as asked")
        if "slow" in self.asked:
            await asyncio.sleep(self.asked["slow"] / 1000)
        return {"echo": self.asked["echo"]} if "echo" in self.asked else {}

    async def after_join(self) -> None:
        if "presence" in self.asked:
            await self.track(self.asked["presence"], self.asked.get("meta", {}))
            await self.push_presence_state()

    # Replies

    @Channel.on("echo")
    async def echo(self, payload: Any, socket: Socket) -> Any:
        return Reply("ok", payload)

    @Channel.on("error")
    async def error(self, payload: Any, socket: Socket) -> Any:
        return Reply("error", payload)

    @Channel.on("silent")
    async def silent(self, payload: Any, socket: Socket) -> None:
        """Says nothing."""

    @Channel.on("later")
    async def later(self, payload: Any, socket: Socket) -> None:
        handle = self.defer()
        asyncio.get_running_loop().call_later(payload["ms"] / 1000, handle.reply, {"late": True})

    # Messages

    @Channel.on("broadcast")
    async def to_everybody(self, payload: Any, socket: Socket) -> None:
        await self.broadcast("message", payload)

    @Channel.on("broadcast_reply")
    async def to_everybody_with_reply(self, payload: Any, socket: Socket) -> Any:
        await self.broadcast("message", payload)
        return {}

    @Channel.on("broadcast_from")
    async def to_the_others(self, payload: Any, socket: Socket) -> None:
        await self.broadcast_from("message", payload)

    @Channel.on("push")
    async def back_to_the_sender(self, payload: Any, socket: Socket) -> None:
        await self.push("pushed", payload)

    @Channel.on("private")
    async def to_the_vips(self, payload: Any, socket: Socket) -> None:
        await self.broadcast("private", payload)

    @Channel.out("private")
    async def only_if_vip(self, event: str, payload: Any) -> None:
        if self.asked.get("vip"):
            await self.push(event, payload)

    @Channel.on("bytes")
    async def push_bytes(self, payload: Any, socket: Socket) -> None:
        await self.push("bytes", counted(payload["n"]))

    @Channel.on("broadcast_bytes")
    async def broadcast_bytes(self, payload: Any, socket: Socket) -> None:
        await self.broadcast("bytes", counted(payload["n"]))

    # Presence

    @Channel.on("track")
    async def come(self, payload: Any, socket: Socket) -> Any:
        await self.track(payload["key"], payload.get("meta", {}))
        return {}

    @Channel.on("update")
    async def change(self, payload: Any, socket: Socket) -> Any:
        await self.update(payload["meta"])
        return {}

    @Channel.on("untrack")
    async def go(self, payload: Any, socket: Socket) -> Any:
        await self.untrack()
        return {}

    @Channel.on("who")
    async def who(self, payload: Any, socket: Socket) -> Any:
        return Reply("ok", await self.app.presence.list(self.topic))

    # Ends

    @Channel.on("crash")
    async def crash(self, payload: Any, socket: Socket) -> None:
        raise RuntimeError("the handler crashes, as asked")

    @Channel.on("stop")
    async def end(self, payload: Any, socket: Socket) -> None:
        self.stop()

    @Channel.on("disconnect")
    async def disconnect(self, payload: Any, socket: Socket) -> None:
        self.app.disconnect(f"user:{payload['user_id']}")


def counted(n: int) -> bytes:
    """The bytes 0, 1, … n-1, beginning anew after 255; a mebibyte at most, for everybody may ask."""
    return bytes(range(256)) * (min(n, 2**20) // 256) + bytes(range(min(n, 2**20) % 256))


async def connect(info: ConnectInfo) -> dict[str, Any]:
    """Lets everybody in who does not ask to be refused."""
    if "refuse" in info.params:
        raise Refused(int(info.params["refuse"]))
    return {"user_id": info.params.get("user_id")}


def socket_id(socket: Socket) -> str | None:
    """By what `disconnect` finds a socket."""
    user = socket.assigns["user_id"]
    return f"user:{user}" if user else None


def reference_room(config: PhoenixConfig | None = None, **parts: Any) -> Phoenix:
    """The application, not yet started; `parts` are for `Phoenix`."""
    app = Phoenix(config, **parts)
    app.route("room:*", ReferenceRoom)
    app.on_connect(connect)
    app.socket_id = socket_id
    return app


def supervise(options: argparse.Namespace) -> int:
    """Runs this program once for each worker, on a port that they share."""
    with reserve(options.host, options.port) as held:
        where = ["--host", options.host, "--port", str(held.getsockname()[1]), "--redis", options.redis]
        command = [sys.executable, __file__, *where, "--workers", str(options.workers)]
        return run_workers(command, options.workers, on_ready=print)


def main() -> None:
    parser = argparse.ArgumentParser(description="The reference room of the Phoenix protocol.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4100)
    parser.add_argument("--redis", metavar="URL", help="joins the rooms of several processes into one")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that share the port")
    options = parser.parse_args()
    if options.workers > 1 and not options.redis:
        parser.error("several workers are one room only with --redis")
    if options.workers > 1 and not is_worker():
        sys.exit(supervise(options))
    # Everybody may know this secret, for nothing in the room is one; and all its nodes have to.
    config = PhoenixConfig(
        security=SecurityConfig(secret=SecretStr("the reference room hides nothing")),
        transport=TransportConfig(longpoll=True),
    )
    try:
        cluster = Cluster(open_broker(ClusterSettings(url=options.redis))) if options.redis else None
        app = reference_room(config, cluster=cluster)
        asyncio.run(app.start(options.host, options.port))
    except AntiphonError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
