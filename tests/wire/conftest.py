"""The server that foreign clients are driven against, and the runner of their scripts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon.realtime.channel import Channel, Rejected, Reply
from antiphon.realtime.config import PhoenixConfig
from antiphon.realtime.phoenix import Phoenix
from antiphon.telemetry.metrics import Metrics
from tests.programs import printed

NODE = Path(__file__).parent / "node"

Script = Callable[[str], Awaitable[list[Any]]]


class Room(Channel):
    """The part of the reference room that is spoken over JSON."""

    async def on_join(self, payload: Any, socket: Any) -> Any:
        if "deny" in payload:
            raise Rejected({"reason": payload["deny"]})
        if "whose" in payload:
            return {"token": socket.assigns["token"]}
        return {"echo": payload["echo"]} if "echo" in payload else None

    @Channel.on("echo")
    async def echo(self, payload: Any, socket: Any) -> Any:
        return payload

    @Channel.on("error")
    async def error(self, payload: Any, socket: Any) -> Any:
        return Reply("error", payload)

    @Channel.on("later")
    async def later(self, payload: Any, socket: Any) -> None:
        handle = self.defer()
        asyncio.get_running_loop().call_later(payload["ms"] / 1000, handle.reply, {"late": True})

    @Channel.on("broadcast")
    async def to_all(self, payload: Any, socket: Any) -> None:
        await self.broadcast("message", payload)

    @Channel.on("broadcast_from")
    async def to_others(self, payload: Any, socket: Any) -> None:
        await self.broadcast_from("message", payload)

    @Channel.on("push")
    async def push_back(self, payload: Any, socket: Any) -> None:
        await self.push("pushed", payload)

    @Channel.on("crash")
    async def crash(self, payload: Any, socket: Any) -> None:
        raise RuntimeError("as asked")

    @Channel.on("stop")
    async def end(self, payload: Any, socket: Any) -> None:
        self.stop()

    @Channel.on("disconnect")
    async def disconnect(self, payload: Any, socket: Any) -> None:
        self.app.disconnect(f"user:{payload['user_id']}")


@pytest.fixture
async def server() -> AsyncIterator[Phoenix]:
    app = Phoenix(PhoenixConfig(close_seconds=1.0, auth_token=True), metrics=Metrics())
    app.channel("room:*")(Room)

    @app.on_connect
    async def connect(info: Any) -> Any:
        return {"user_id": info.params.get("user_id"), "token": info.auth_token}

    def socket_id(socket: Any) -> str | None:
        user = socket.assigns["user_id"]
        return f"user:{user}" if user else None

    app.socket_id = socket_id
    await app.listen("127.0.0.1", 0)
    yield app
    await app.stop()


@pytest.fixture
def script(server: Phoenix, node: str, npm_ci: Callable[[Path], Path]) -> Script:
    """Runs a script of the node folder against the server; returns the JSON values it printed, one a line."""
    folder = npm_ci(NODE)

    async def run(name: str) -> list[Any]:
        return await printed(node, name, f"ws://127.0.0.1:{server.port}/socket", cwd=folder)

    return run
