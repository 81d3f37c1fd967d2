"""Two platforms for messages, one that knows a message by its number and one that does not, and a bell.

`Platform` is their side, a real server in the process of the test, which outlives ours and keeps what reached it.
`Numbered` and `Unnumbered` are our adapters. A message that came in is handed out again until it is confirmed.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from itertools import count
from typing import Any, NamedTuple, Self

import aiohttp
from aiohttp import web

from antiphon.adapters.base import Capabilities, Deliver
from antiphon.domain import ChannelMessage, Message, Target
from antiphon.errors import AdapterError, ServiceError
from antiphon.tools.base import Tool, ToolContext, tool

PAUSE = 0.05
"""Seconds until a courier asks again where it was turned away."""


class Sent(NamedTuple):
    """A reply as it reached the platform."""

    id: str
    place: str
    reply_to: str
    text: str


class Platform:
    """Both platforms and the bell on one port, between `async with`."""

    def __init__(self) -> None:
        self.asked: dict[str, list[dict[str, Any]]] = {"numbered": [], "unnumbered": []}
        self.reached: dict[str, list[Sent]] = {"numbered": [], "unnumbered": []}
        self.rung: list[str] = []
        self.url = ""
        self._confirmed = dict.fromkeys(self.asked, 0)
        self._changed = asyncio.Event()
        app = web.Application()
        app.router.add_get("/{name}/events", self._events)
        app.router.add_post("/{name}/messages", self._messages)
        app.router.add_post("/bell", self._bell)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def say(self, name: str, place: str, key: str, text: str) -> None:
        """Somebody writes on a platform."""
        self.asked[name].append({"number": len(self.asked[name]) + 1, "place": place, "key": key, "text": text})
        self._tell()

    async def answered(self, name: str, key: str) -> None:
        """Returns when the reply to `key` has reached the platform."""
        while all(sent.reply_to != key for sent in self.reached[name]):
            await self._change()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _change(self) -> None:
        await self._changed.wait()

    async def _events(self, request: web.Request) -> web.Response:
        """Waits for messages behind the last confirmed one, for a second."""
        name = request.match_info["name"]
        self._confirmed[name] = max(self._confirmed[name], int(request.query.get("confirmed", "0")))
        try:
            async with asyncio.timeout(1):
                while len(self.asked[name]) == self._confirmed[name]:
                    await self._change()
        except TimeoutError:
            pass
        return web.json_response(self.asked[name][self._confirmed[name] :])

    async def _messages(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except OSError:
            raise web.HTTPBadRequest from None  # only half of it came
        sent = Sent(**json.loads(body))
        reached = self.reached[request.match_info["name"]]
        reached.append(sent)
        self._tell()
        return web.json_response({"id": f"{request.match_info['name']}-{len(reached)}"})

    async def _bell(self, request: web.Request) -> web.Response:
        self.rung.append(await request.text())
        return web.Response()


class _Courier:
    """An adapter for one of them. What is there only for the moment at which it happens does nothing."""

    name: str
    capabilities: Capabilities

    def __init__(self, url: str) -> None:
        self._url = f"{url}/{self.name}"
        self._session: aiohttp.ClientSession | None = None
        self._fetching: asyncio.Task[None] | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Opened by whoever comes first: replies that the last life left are sent before this one receives."""
        assert self._session is not None, "not started"
        return self._session

    async def start(self, deliver: Deliver) -> None:
        self._session = aiohttp.ClientSession()
        self._fetching = asyncio.create_task(self._fetch(deliver))

    async def stop(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})
        if self._session is not None:
            await self._session.close()

    def parse_message(self, raw: Mapping[str, Any]) -> ChannelMessage:
        key = str(raw["key"])
        return ChannelMessage(
            adapter=self.name,
            place=raw["place"],
            account="ada",
            sender="Ada",
            key=key,
            text=raw["text"],
            reply_to=key,
        )

    async def received(self, raw: Mapping[str, Any], deliver: Deliver) -> None:
        await deliver(self.parse_message(raw))

    async def confirmed(self, raw: Mapping[str, Any]) -> None:
        """The platform will be told with the next question that it need not repeat this."""

    async def send_message(self, target: Target, message: Message) -> str | None:
        try:
            async with self.session.post(f"{self._url}/messages", data=self._halves(target, message)) as response:
                await self.arrived(message)
                return str((await response.json())["id"])
        except aiohttp.ClientError as error:
            raise AdapterError(f"The platform is away ({error!r}).", retryable=True) from error

    async def halfway(self, message: Message) -> None:
        """Half of it is on its way."""

    async def arrived(self, message: Message) -> None:
        """The platform has it and has said so, and we have read no word of that."""

    async def _halves(self, target: Target, message: Message) -> AsyncIterator[bytes]:
        sent = Sent(id=message.id, place=target.place, reply_to=target.reply_to or "", text=message.text)
        body = json.dumps(sent._asdict()).encode()
        yield body[: len(body) // 2]
        await self.halfway(message)
        yield body[len(body) // 2 :]

    async def _fetch(self, deliver: Deliver) -> None:
        confirmed = 0
        while True:
            try:
                async with self.session.get(f"{self._url}/events", params={"confirmed": confirmed}) as response:
                    events = await response.json()
                for raw in events:
                    await self.received(raw, deliver)
                    await self.confirmed(raw)
                    confirmed = raw["number"]
            except (aiohttp.ClientError, ServiceError):
                await asyncio.sleep(PAUSE)


class Numbered(_Courier):
    """Shows a message once however often it is sent."""

    name = "numbered"
    capabilities = Capabilities(idempotent=True)


class Unnumbered(_Courier):
    """Shows what is sent twice twice."""

    name = "unnumbered"
    capabilities = Capabilities()


class Bell:
    """What a tool does in the world, where it can be counted."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/bell"
        self._rings = count(1)

    async def ring(self, turn_id: str) -> str:
        async with aiohttp.ClientSession() as session, session.post(self._url, data=turn_id):
            return f"ring {next(self._rings)}"

    def as_tool(self) -> Tool[[ToolContext], Coroutine[Any, Any, str]]:
        """`ring`, as an assistant calls it."""

        @tool
        async def ring(context: ToolContext) -> str:
            """Rings the bell once."""
            return await self.ring(context.turn_id)

        return ring
