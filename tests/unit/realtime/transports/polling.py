"""A long-poll client that shows every answer."""

import asyncio
import json
from io import BytesIO
from typing import Any, Self

import aiohttp

NDJSON = {"content-type": "application/x-ndjson"}
LONGEST = 10.0
"""Seconds until an answer counts as missing."""


class Poller:
    """One session: its token goes into the header, as newer clients send it."""

    def __init__(self, http: aiohttp.ClientSession, url: str, query: str = "vsn=2.0.0") -> None:
        self.http = http
        self.url = url
        self.query = query
        self.token: str | None = None

    async def ask(
        self, method: str, query: str | None = None, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer to a request."""
        url = f"{self.url}?{self.query if query is None else query}"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        # Without this aiohttp names a content type of its own.
        skip = () if "content-type" in sent else ("Content-Type",)
        async with (
            asyncio.timeout(LONGEST),
            self.http.request(method, url, data=body and BytesIO(body), headers=sent, skip_auto_headers=skip) as answer,
        ):
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read()

    async def said(self, method: str, query: str | None = None, body: bytes | None = None, **headers: str) -> Any:
        """The body of an answer that is HTTP 200."""
        status, _, content = await self.ask(method, query, body, **headers)
        assert status == 200, (status, content)
        return json.loads(content)

    async def open(self) -> Self:
        answer = await self.said("GET")
        assert (answer["status"], answer["messages"]) == (410, [])
        self.token = answer["token"]
        return self

    async def get(self) -> Any:
        return await self.said("GET", x_phoenix_longpoll_token=self.token or "")

    async def post(self, *frames: list[Any]) -> int:
        """The status in the body."""
        return await self.post_body("\n".join(json.dumps(frame) for frame in frames).encode())

    async def post_body(self, body: bytes, **headers: str) -> int:
        token = self.token or ""
        answer = await self.said("POST", None, body, x_phoenix_longpoll_token=token, **(headers or NDJSON))
        assert set(answer) == {"status"}
        status = answer["status"]
        assert isinstance(status, int)
        return status

    async def frames(self, count: int) -> list[Any]:
        """So many frames, in as many polls as it takes."""
        found: list[Any] = []
        while len(found) < count:
            answer = await self.get()
            assert answer["status"] in {200, 204}, answer
            assert answer["token"] == self.token
            found += map(json.loads, answer["messages"])
        return found

    async def join(self, topic: str, payload: Any = None) -> list[Any]:
        assert await self.post(["1", "1", topic, "phx_join", payload or {}]) == 200
        frame, *_ = await self.frames(1)  # a conversation tells right behind it who is there
        assert frame[3] == "phx_reply", frame
        return list(frame)
