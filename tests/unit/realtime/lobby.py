"""A room in which people are present."""

from typing import Any

from antiphon.realtime.channel import Channel


class Lobby(Channel):
    """Everybody is present under the name they come with."""

    sends_presence_state = True

    async def on_join(self, payload: Any, socket: Any) -> None:
        self.name = payload.get("name")

    async def after_join(self) -> None:
        if self.name:
            await self.track(self.name, {"n": 1})

    @Channel.on("do")
    async def do(self, payload: Any, socket: Any) -> Any:
        what, arguments = payload["what"], payload.get("with", {})
        return {"ref": await getattr(self, what)(**arguments)}

    @Channel.on("crash")
    async def crash(self, payload: Any, socket: Any) -> None:
        raise RuntimeError("as asked")

    @Channel.on("end")
    async def end(self, payload: Any, socket: Any) -> None:
        self.stop()
