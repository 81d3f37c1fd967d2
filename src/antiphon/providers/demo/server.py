"""The demo model as a server of every protocol: for tests, load tests, and any client that speaks one of them.

Faults that a directive asks for really happen here: refusals as each vendor words them, a connection that breaks,
bytes that are no JSON, silence.
"""

import asyncio
import hmac
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from hashlib import blake2s
from typing import Any

import msgspec
from aiohttp import web
from msgspec.structs import replace

from antiphon.errors import ServiceError, ValidationError
from antiphon.providers.base import DEMO, Event, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from antiphon.providers.demo.batches import DemoBatches
from antiphon.providers.demo.directives import Fault
from antiphon.providers.demo.engine import Script, perform
from antiphon.providers.demo.faults import UNAUTHORIZED, Refusal, invalid, refusal
from antiphon.providers.demo.jobs import DemoJobs, JobError
from antiphon.providers.demo.limiting import DemoLimit, Limiter
from antiphon.providers.demo.pace import Pace, period_of
from antiphon.providers.demo.wire.anthropic import AnthropicWire
from antiphon.providers.demo.wire.base import Asked, Encoder, Wire
from antiphon.providers.demo.wire.google import GoogleWire
from antiphon.providers.demo.wire.images import ImageWire
from antiphon.providers.demo.wire.ollama import OllamaWire
from antiphon.providers.demo.wire.openai_chat import OpenAIChatWire
from antiphon.providers.demo.wire.openai_responses import OpenAIResponsesWire
from antiphon.providers.demo.wire.transcriptions import TranscriptionWire
from antiphon.telemetry.logs import get_logger

WIRES: tuple[Wire, ...] = (OpenAIChatWire(), OpenAIResponsesWire(), AnthropicWire(), GoogleWire(), OllamaWire())
"""The protocols of conversations that are served."""

_SERVED: tuple[Wire, ...] = (*WIRES, TranscriptionWire(), ImageWire())

GARBAGE = b'data: {"choices":[{"delta":{"content":"half\n\n\xff\xfe\x00<html>no protocol allows this\n\n'
_LARGEST_BODY = 64 * 1024 * 1024
_BATCH = 32_768
"""Bytes gathered before a write where nothing paces the stream."""

_LIMITS = web.RequestKey("limits", dict[str, str])
"""Where a request keeps the headers of its answer that tell what is left."""

_REMEMBERED = 1_000
"""Requests whose refusals are counted for `!429 n`; the oldest is forgotten first."""

log = get_logger(__name__)


class DemoServer:
    """Serves every protocol of `WIRES` on `host`; port 0 takes a free one.

    `rate` is in tokens a second, None or 0 for as fast as the client reads. With `api_key` every request needs it.
    Beyond `limit` a key is refused.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        rate: float | None = None,
        api_key: str | None = None,
        limit: DemoLimit | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._rate = rate
        self._api_key = api_key
        self._limiter = None if limit is None else Limiter(limit)
        self._runner: web.AppRunner | None = None
        self._refused: OrderedDict[bytes, int] = OrderedDict()
        self._active = 0
        self._jobs = DemoJobs()

    @property
    def url(self) -> str:
        """The base URL to give to a client of OpenAI's protocol, with `/v1`. Raises `ServiceError` before `start`."""
        return f"{self.root}/v1"

    @property
    def root(self) -> str:
        """The address without any path. Raises `ServiceError` before `start`."""
        if self._runner is None or not self._runner.addresses:
            raise ServiceError("The demo server is not running. Start it first.")
        host, port = self._runner.addresses[0][:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def active(self) -> int:
        """Answers under way."""
        return self._active

    async def start(self) -> None:
        """Listens. Raises `ServiceError` when the address cannot be had."""
        app = web.Application(client_max_size=_LARGEST_BODY)
        for path in dict.fromkeys(path for wire in _SERVED for path in wire.manner.asks):
            app.router.add_post(path, self._by_protocol(self._chat, [w for w in _SERVED if path in w.manner.asks]))
        for path in dict.fromkeys(path for wire in WIRES for path in wire.manner.lists):
            app.router.add_get(path, self._by_protocol(self._models, [w for w in WIRES if path in w.manner.lists]))
        app.on_response_prepare.append(_tell_limits)
        for (method, path), handler in (self._jobs.routes() | DemoBatches(self._jobs).routes()).items():
            app.router.add_route(method, path, self._job(handler, path))
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

    def _by_protocol(
        self, answer: Callable[[web.Request, Wire], Awaitable[web.StreamResponse]], wires: list[Wire]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            wire = next((wire for wire in wires if wire.manner.key_header in request.headers), wires[0])
            return await answer(request, wire) if self._admits(request, wire) else _refuse(wire, UNAUTHORIZED)

        return handle

    def _job(
        self, answer: Callable[[web.Request], Any], path: str
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        wire = next((wire for wire in WIRES if path.startswith(wire.manner.asks)), WIRES[0])

        async def handle(request: web.Request) -> web.StreamResponse:
            if not self._admits(request, wire):
                return _refuse(wire, UNAUTHORIZED)
            try:
                found = await answer(request)
            except JobError as error:
                return _refuse(wire, error.refusal)
            if isinstance(found, web.Response):
                return found
            return web.Response(body=msgspec.json.encode(found), content_type="application/json")

        return handle

    async def _models(self, _: web.Request, wire: Wire) -> web.StreamResponse:
        return web.Response(body=wire.models(), content_type="application/json")

    async def _chat(self, request: web.Request, wire: Wire) -> web.StreamResponse:
        raw = await request.read()
        try:
            asked = wire.read(raw, request.match_info)
        except ValidationError as error:
            return _refuse(wire, invalid(str(error)))
        if asked.request.model != DEMO and not self._jobs.serves(asked.request.model):
            message = f"The model `{asked.request.model[:100]}` does not exist. This server has `{DEMO}`."
            return _refuse(wire, invalid(message, 404, "model_not_found"))
        if not self._within_limit(request, wire):
            return _refuse(wire, refusal("429"))
        self._active += 1
        try:
            return await self._answer(request, raw, wire, asked)
        finally:
            self._active -= 1

    async def _answer(self, request: web.Request, raw: bytes, wire: Wire, asked: Asked) -> web.StreamResponse:
        script = perform(asked.request)
        fault = script.fault
        if script.refused is not None:
            return _refuse(wire, script.refused)
        if fault is not None and fault.kind == "hang":
            await asyncio.Event().wait()
        if fault is not None and fault.kind == "refusal":
            if self._refuses(_key(request.headers, wire), raw, fault):
                return _refuse(wire, refusal(fault.refusal))
            script = perform(asked.request, forgiven=True)
        if script.without_ids:
            script = replace(script, events=tuple(_without_ids(script.events)))
        return await (self._stream if asked.stream else self._whole)(request, wire, asked, script)

    def _within_limit(self, request: web.Request, wire: Wire) -> bool:
        if self._limiter is None:
            return True
        admitted, left, reset = self._limiter.take(_key(request.headers, wire))
        headers = dict(self._limiter.headers(left, reset, anthropic=wire.manner.anthropic_limits))
        if not admitted:
            wait = self._limiter.retry_after(left, reset)
            headers |= {"retry-after": f"{math.ceil(wait)}", "retry-after-ms": f"{math.ceil(wait * 1000)}"}
        request[_LIMITS] = headers
        return admitted

    def _refuses(self, key: str, raw: bytes, fault: Fault) -> bool:
        """Counts `!429 n` by key and body: a retry of the same request is answered after n refusals."""
        if fault.times is None:
            return True
        digest = blake2s(raw, key=blake2s(key.encode("utf-8", "surrogateescape")).digest()).digest()
        count = self._refused.pop(digest, 0)
        self._refused[digest] = min(count + 1, fault.times)
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)
        return count < fault.times

    async def _whole(self, request: web.Request, wire: Wire, asked: Asked, script: Script) -> web.StreamResponse:
        pace = self._pace(script)
        for event in script.events:
            if _is_token(event) and (seconds := pace.wait()):
                await asyncio.sleep(seconds)
        if script.sever is not None or (script.fault is not None and script.fault.kind == "cut"):
            _abort(request)
        if script.fault is not None and script.fault.kind == "garbage":
            return web.Response(body=GARBAGE, content_type="application/json")
        return web.Response(body=wire.whole(asked, script.events), content_type="application/json")

    async def _stream(self, request: web.Request, wire: Wire, asked: Asked, script: Script) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": wire.manner.content_type, "Cache-Control": "no-cache"})
        await response.prepare(request)
        fault = script.fault
        # The last event of a fault is what the client will make of it, not something that is sent.
        events: Iterable[Event] = script.events if fault is None or fault.kind == "error" else script.events[:-1]
        if script.split and wire.manner.names_in_pieces:
            events = _names_in_pieces(events)
        try:
            await self._write(_Out(request, response, script), wire.encoder(asked), events, self._pace(script))
            if fault is not None and fault.kind == "garbage":
                await response.write(GARBAGE)
            if fault is not None and fault.kind == "cut":
                _abort(request)
        except ConnectionError:
            log.info("demo_server.client_gone")
            return response
        await response.write_eof()
        return response

    async def _write(self, out: "_Out", encoder: Encoder, events: Iterable[Event], pace: Pace) -> None:
        """Sends the events, several in one write whenever they are due together."""
        waiting = [encoder.first()]
        size = len(waiting[0])
        for event in events:
            seconds = pace.wait() if _is_token(event) else 0.0
            if waiting and (seconds or size >= _BATCH):
                await out.write(b"".join(waiting))
                waiting.clear()
                size = 0
                await asyncio.sleep(seconds)
            data = encoder.encode(event)
            waiting.append(data)
            size += len(data)
        if waiting:
            await out.write(b"".join(waiting))

    def _pace(self, script: Script) -> Pace:
        return Pace(period_of(self._rate, script.delay), asyncio.get_running_loop().time)

    def _admits(self, request: web.Request, wire: Wire) -> bool:
        if self._api_key is None:
            return True
        given = _key(request.headers, wire).encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, f"{wire.manner.key_prefix}{self._api_key}".encode())


class _Out:
    """The body of an answer: in writes of `split` bytes, each a packet of its own, and no more than `sever` bytes,
    where the script says so."""

    def __init__(self, request: web.Request, response: web.StreamResponse, script: Script) -> None:
        self._request = request
        self._response = response
        self._split = script.split
        self._left = script.sever

    async def write(self, data: bytes) -> None:
        if self._left is None or len(data) < self._left:
            self._left = None if self._left is None else self._left - len(data)
            await self._send(data)
        else:
            await self._send(data[: self._left])
            _abort(self._request)

    async def _send(self, data: bytes) -> None:
        step = self._split or max(1, len(data))
        for at in range(0, len(data), step):
            await self._response.write(data[at : at + step])
            if self._split:
                await asyncio.sleep(0)


async def _tell_limits(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(request.get(_LIMITS, {}))


def _key(headers: Mapping[str, str], wire: Wire) -> str:
    return headers.get(wire.manner.key_header, "")


def _is_token(event: Event) -> bool:
    return isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta)


def _without_ids(events: Iterable[Event]) -> Iterator[Event]:
    for event in events:
        match event:
            case ToolCallStart(index, _, name):
                yield ToolCallStart(index, "", name)
            case ToolCallEnd(index, call):
                yield ToolCallEnd(index, replace(call, id=""))
            case _:
                yield event


def _names_in_pieces(events: Iterable[Event]) -> Iterator[Event]:
    for event in events:
        if isinstance(event, ToolCallStart):
            half = len(event.name) // 2 or 1
            yield ToolCallStart(event.index, event.id, event.name[:half])
            yield ToolCallStart(event.index, "", event.name[half:])
        else:
            yield event


def _abort(request: web.Request) -> None:
    """Breaks the connection without closing it properly, as a crash or a cut cable does."""
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("cut by directive")


def _refuse(wire: Wire, refusal: Refusal) -> web.Response:
    reply = wire.refuse(refusal)
    return web.Response(
        status=reply.status, body=reply.body, headers=dict(reply.headers), content_type="application/json"
    )
