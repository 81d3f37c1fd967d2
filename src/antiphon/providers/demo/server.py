"""The demo model as an OpenAI-protocol server: for tests, load tests, and any client that speaks the protocol.

Faults that a directive asks for really happen here: statuses with Retry-After, a connection that breaks, bytes that
are no JSON, silence.
"""

import asyncio
import hmac
import time
from collections import OrderedDict
from hashlib import blake2s

import msgspec
from aiohttp import web

from antiphon.domain import new_id
from antiphon.errors import ServiceError, ValidationError
from antiphon.providers.base import DEMO, Event, ModelRequest, ReasoningDelta, TextDelta, ToolCallDelta
from antiphon.providers.demo.directives import Fault
from antiphon.providers.demo.engine import Script, perform
from antiphon.providers.demo.faults import RETRY_AFTER, refusal
from antiphon.providers.demo.pace import Pace, period_of
from antiphon.providers.demo.wire import ChatBody, Chunks, completion, error_body, read_body
from antiphon.telemetry.logs import get_logger

GARBAGE = b'data: {"choices":[{"delta":{"content":"half\n\n\xff\xfe\x00<html>no protocol allows this\n\n'
_LARGEST_BODY = 64 * 1024 * 1024
_BATCH = 32_768
"""Bytes gathered before a write where nothing paces the stream."""

_REMEMBERED = 1_000
"""Requests whose refusals are counted for `!429 n`; the oldest is forgotten first."""

log = get_logger(__name__)


class DemoServer:
    """Serves `/v1/chat/completions` and `/v1/models` on `host`; port 0 takes a free one.

    `rate` is in tokens a second, None or 0 for as fast as the client reads. With `api_key` every request needs it.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, rate: float | None = None, api_key: str | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._rate = rate
        self._api_key = api_key
        self._runner: web.AppRunner | None = None
        self._refused: OrderedDict[bytes, int] = OrderedDict()
        self._active = 0

    @property
    def url(self) -> str:
        """The base URL to give to a client, with `/v1`. Raises `ServiceError` before `start`."""
        if self._runner is None or not self._runner.addresses:
            raise ServiceError("The demo server is not running. Start it first.")
        host, port = self._runner.addresses[0][:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"

    @property
    def active(self) -> int:
        """Answers under way."""
        return self._active

    async def start(self) -> None:
        """Listens. Raises `ServiceError` when the address cannot be had."""
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        # A client that goes away cancels its handler: a stream nobody reads must not go on.
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            raise ServiceError(
                f"The demo server cannot listen on {self._host}:{self._port}: {error.strerror}. Choose another port."
            ) from error
        self._runner = runner

    async def stop(self) -> None:
        """Closes the port and every connection. May be called again."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        if not self._admits(request):
            return _unauthorized()
        return _json(
            {"object": "list", "data": [{"id": DEMO, "object": "model", "created": 0, "owned_by": "antiphon"}]}
        )

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if not self._admits(request):
            return _unauthorized()
        raw = await request.read()
        try:
            body = read_body(raw)
            model_request = body.request()
        except ValidationError as error:
            return _refuse(400, str(error), "invalid_request_error", None)
        if body.model != DEMO:
            message = f"The model `{body.model[:100]}` does not exist. This server has `{DEMO}`."
            return _refuse(404, message, "invalid_request_error", "model_not_found")
        self._active += 1
        try:
            return await self._answer(request, raw, body, model_request)
        finally:
            self._active -= 1

    async def _answer(
        self, request: web.Request, raw: bytes, body: ChatBody, asked: ModelRequest
    ) -> web.StreamResponse:
        script = perform(asked)
        fault = script.fault
        if fault is not None and fault.kind == "hang":
            await asyncio.Event().wait()
        if fault is not None and fault.kind == "status":
            if self._refuses(request, raw, fault):
                found = refusal(fault.status)
                return _refuse(fault.status, found.public, found.type, found.code)
            script = perform(asked, forgiven=True)
        return await (self._stream(request, body, script) if body.stream else self._whole(request, body, script))

    def _refuses(self, request: web.Request, raw: bytes, fault: Fault) -> bool:
        """Counts `!429 n` by key and body: a retry of the same request is answered after n refusals."""
        if fault.times is None:
            return True
        key = blake2s(raw, key=blake2s(request.headers.get("Authorization", "").encode()).digest()).digest()
        count = self._refused.pop(key, 0)
        self._refused[key] = min(count + 1, fault.times)
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)
        return count < fault.times

    async def _whole(self, request: web.Request, body: ChatBody, script: Script) -> web.StreamResponse:
        pace = self._pace(script)
        for event in script.events:
            if _is_token(event) and (seconds := pace.wait()):
                await asyncio.sleep(seconds)
        match script.fault:
            case Fault(kind="cut"):
                _abort(request)
            case Fault(kind="garbage"):
                return web.Response(body=GARBAGE, content_type="application/json")
            case Fault(kind="error"):
                # Some gateways report a failure inside a 200.
                return _json({"error": error_body("The model failed.", "server_error", None)})
        return web.Response(
            body=completion(f"chatcmpl-{new_id()}", body.model, int(time.time()), script.events),
            content_type="application/json",
        )

    async def _stream(self, request: web.Request, body: ChatBody, script: Script) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        chunks = Chunks(f"chatcmpl-{new_id()}", body.model, int(time.time()), include_usage=body.include_usage)
        fault = script.fault
        # The last event of a fault is what the client will make of it, not something that is sent.
        events = script.events if fault is None or fault.kind == "error" else script.events[:-1]
        try:
            await self._write(response, chunks, events, self._pace(script))
            if fault is not None and fault.kind == "garbage":
                await response.write(GARBAGE)
            if fault is not None and fault.kind == "cut":
                _abort(request)
        except ConnectionError:
            log.info("demo_server.client_gone")
            return response
        await response.write_eof()
        return response

    async def _write(self, response: web.StreamResponse, chunks: Chunks, events: tuple[Event, ...], pace: Pace) -> None:
        """Sends the events, several in one write whenever they are due together."""
        waiting = [chunks.first()]
        size = len(waiting[0])
        for event in events:
            seconds = pace.wait() if _is_token(event) else 0.0
            if waiting and (seconds or size >= _BATCH):
                await response.write(b"".join(waiting))
                waiting.clear()
                size = 0
                await asyncio.sleep(seconds)
            data = chunks.encode(event)
            waiting.append(data)
            size += len(data)
        if waiting:
            await response.write(b"".join(waiting))

    def _pace(self, script: Script) -> Pace:
        return Pace(period_of(self._rate, script.delay), asyncio.get_running_loop().time)

    def _admits(self, request: web.Request) -> bool:
        if self._api_key is None:
            return True
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, f"Bearer {self._api_key}".encode())


def _is_token(event: Event) -> bool:
    return isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta)


def _abort(request: web.Request) -> None:
    """Breaks the connection without closing it properly, as a crash or a cut cable does."""
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("cut by directive")


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _refuse(status: int, message: str, kind: str, code: str | None) -> web.Response:
    response = _json({"error": error_body(message, kind, code)})
    response.set_status(status)
    if status in {429, 503}:
        response.headers["Retry-After"] = f"{RETRY_AFTER:.0f}"
    return response


def _unauthorized() -> web.Response:
    return _refuse(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
