"""`/v1/chat/completions` and `/v1/models`, served without a framework in between: a token costs one small write."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from antiphon.assistants.directory import Directory
from antiphon.errors import AntiphonError
from antiphon.files.inline import LARGE
from antiphon.providers.base import Event
from antiphon.providers.protocols.openai_chat.serving import Chunks, completion
from antiphon.runtime.threads import run_async
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics
from antiphon.web.auth import CurrentPerson
from antiphon.web.openai.answering import Answerer, Answering
from antiphon.web.openai.body import AskedCompletion, read_body
from antiphon.web.openai.config import OpenAISettings
from antiphon.web.openai.errors import ApiError, RefusedError

PREFIX = "/v1/"
_CRASHED = ApiError(500, "Something went wrong here. The log has the details.", "server_error")

log = get_logger(__name__)


class OpenAIRoutes:
    """An ASGI application for everything below `/v1/`."""

    def __init__(
        self,
        answerer: Answerer,
        assistants: Directory,
        current: CurrentPerson,
        settings: OpenAISettings,
        metrics: Metrics | None = None,
    ) -> None:
        self._answerer = answerer
        self._assistants = assistants
        self._current = current
        self._settings = settings
        self._since = int(time.time())
        self._answers = (metrics or get_metrics()).counter(
            "antiphon_openai_answers_total", "Answers to clients of the OpenAI API, by status.", ("status",)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = _Reply(send)
        try:
            await self._serve(scope, receive, reply)
        except RefusedError as refused:
            await reply.error(refused.error)
        except AntiphonError as error:
            log.warning("openai.failed", code=error.code, error=str(error))
            await reply.error(ApiError(503 if error.retryable else 500, error.public, "server_error", error.code))
        except Exception:  # whatever it is, a client of this API is told in its own form
            log.exception("openai.crashed", path=scope["path"])
            await reply.error(_CRASHED)

    async def _serve(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        method, path = scope["method"], scope["path"]
        if path == "/v1/chat/completions":
            _only(method, "POST")
            await self._complete(scope, receive, reply)
        elif path == "/v1/models":
            _only(method, "GET")
            data = [self._model(assistant.name) for assistant in self._assistants.all()]
            await reply.json(msgspec.json.encode({"object": "list", "data": data}))
        elif path.startswith("/v1/models/"):
            _only(method, "GET")
            await reply.json(msgspec.json.encode(self._model(path.removeprefix("/v1/models/"))))
        else:
            raise RefusedError(ApiError(404, "There is nothing here but /v1/chat/completions and /v1/models."))

    def _model(self, name: str) -> dict[str, Any]:
        if not any(assistant.name == name for assistant in self._assistants.all()):
            detail = f"There is no assistant called {name[:100]!r}. GET /v1/models lists those there are."
            raise RefusedError(ApiError(404, detail, param="model", code="model_not_found"))
        return {"id": name, "object": "model", "created": self._since, "owned_by": "antiphon"}

    async def _complete(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        raw = await _read(scope, receive, self._settings.max_body_bytes)
        asked = await self._read_body(raw)
        answering = await self._answerer.begin(asked, await self._current())
        # Nobody reads an answer whose client has gone: the model is let go of at once.
        watch = asyncio.create_task(_when_gone(receive, answering.run.cancel), name="openai:client")
        try:
            async with aclosing(answering.events()) as events:
                await self._answer(answering, events, reply)
        finally:
            watch.cancel()
        self._answers.labels(str(reply.status)).inc()

    async def _read_body(self, raw: bytes) -> AskedCompletion:
        reading = partial(read_body, raw, max_messages=self._settings.max_messages)
        return reading() if len(raw) < LARGE else await run_async(reading)

    async def _answer(
        self, answering: Answering, events: AsyncGenerator[Event | ApiError, None], reply: "_Reply"
    ) -> None:
        """What goes wrong before the first word has a status of its own; behind it only a stream can tell."""
        asked, created = answering.asked, int(time.time())
        if not asked.stream:
            said: list[Event] = []
            async for event in events:
                if isinstance(event, ApiError):
                    await reply.error(event)
                    return
                said.append(event)
            await reply.json(completion(answering.identity, asked.name, created, said))
            return
        chunks = Chunks(answering.identity, asked.name, created, include_usage=asked.usage)
        async for event in events:
            if isinstance(event, ApiError):
                await reply.error(event)
                return
            if not reply.status:
                await reply.stream(chunks.first())
            if data := chunks.encode(event):
                await reply.send(data)
        await reply.end()


class _Reply:
    """The answer to one request. `status` is 0 until it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def json(self, body: bytes, status: int = 200) -> None:
        await self._begin(status, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.body", "body": body})

    async def error(self, error: ApiError) -> None:
        """Also in the middle of a stream, which ends there."""
        if not self.status:
            await self.json(error.body(), error.status)
        else:
            await self.send(error.chunk())
            await self.end()

    async def stream(self, first: bytes) -> None:
        await self._begin(200, (b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no"))
        await self.send(first)

    async def send(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def _begin(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        self.status = status
        every = [*headers, (b"cache-control", b"no-store")]
        await self._send({"type": "http.response.start", "status": status, "headers": every})


def _only(method: str, allowed: str) -> None:
    if method != allowed and not (method == "HEAD" and allowed == "GET"):
        raise RefusedError(ApiError(405, f"Ask this by {allowed}."))


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes:
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    taken = bytearray()
    more = announced.isdigit() and int(announced) <= limit
    whole = more
    while more:
        message = await receive()
        taken += message.get("body", b"")
        more = message.get("more_body", False)
        if len(taken) > limit:
            whole = more = False
    if not whole:
        detail = f"The request body is larger than {limit} bytes. Send less at once."
        raise RefusedError(ApiError(413, detail, code="request_too_large"))
    return bytes(taken)


async def _when_gone(receive: Receive, act: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    act()
