"""A client for Phoenix channels: joins topics, pushes with replies, and mends a broken connection by itself."""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Literal, Self

import aiohttp
import msgspec

from antiphon.errors import ProcessingError, ServiceError
from antiphon.realtime.wire.base import CLOSE, CONTROL_TOPIC, ERROR, HEARTBEAT, JOIN, LEAVE, REPLY
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

JoinPayload = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
Listener = Callable[[str, Any], None]
Status = Literal["connected", "reconnecting", "closed"]

_RECONNECT_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
_REJOIN_SECONDS = (1.0, 2.0, 5.0, 10.0)
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class _Reply(msgspec.Struct, frozen=True):
    """The payload of a reply."""

    status: str
    response: Any


_decoder = msgspec.json.Decoder(tuple[str | None, str | None, str, str, Any])


class PushError(ProcessingError):
    """The server answered a push or join with a status other than ok."""

    code = "push"

    def __init__(self, event: str, status: str, response: Any) -> None:
        reason = response.get("reason") if isinstance(response, Mapping) else None
        super().__init__(f"the server answered {event} with {status}" + (f": {reason}" if reason else ""))
        self.status = status
        self.response = response


class PhoenixClient:
    """One connection to `url` (the mount, such as http://127.0.0.1:4000/socket), kept up until `close`.

    `on_status` is told of every change. `delays` are the pauses before each attempt to reconnect, in seconds, taken
    with jitter; the last one repeats.
    """

    def __init__(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        heartbeat_seconds: float = 30.0,
        timeout_seconds: float = 10.0,
        delays: tuple[float, ...] = _RECONNECT_SECONDS,
        on_status: Callable[[Status], None] | None = None,
    ) -> None:
        self._url = url.rstrip("/") + "/websocket"
        self._params = {**(params or {}), "vsn": "2.0.0"}
        self._heartbeat_seconds = heartbeat_seconds
        self._delays = delays
        self._on_status = on_status
        self.timeout_seconds = timeout_seconds
        self.close_code: int | None = None
        """With what the last connection ended, None before the first end; up to date when `on_status` is told."""
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._runner: asyncio.Task[None] | None = None
        self._channels: dict[str, ClientChannel] = {}
        self._replies: dict[str, asyncio.Future[tuple[str, Any]]] = {}
        self._ref = 0

    async def connect(self) -> None:
        """Opens the connection; raises `ServiceError` when that fails. Later breaks are mended in the background."""
        async with AsyncExitStack() as undo:
            self._session = await undo.enter_async_context(aiohttp.ClientSession())
            self._socket = await self._open()
            undo.pop_all()
        self._runner = asyncio.create_task(self._run(self._socket))
        self._tell("connected")

    async def close(self) -> None:
        """Ends the connection for good. Closing twice is fine."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.cancel()
            await asyncio.wait([runner])
            self._tell("closed")
        for channel in self._channels.values():
            channel.cancel_rejoin()
        self._fail_replies()
        if self._socket is not None:
            await self._socket.close(code=1000)
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def channel(self, topic: str, payload: JoinPayload | None = None) -> "ClientChannel":
        """The channel of a topic, not joined yet, in place of an earlier one. A callable payload is asked again for
        every re-join."""
        if topic in self._channels:
            self.forget(self._channels[topic])
        self._channels[topic] = ClientChannel(self, topic, payload or {})
        return self._channels[topic]

    def forget(self, channel: "ClientChannel") -> None:
        """The channel is over: it is not joined again."""
        channel.cancel_rejoin()
        if self._channels.get(channel.topic) is channel:
            del self._channels[channel.topic]

    def next_ref(self) -> str:
        self._ref += 1
        return str(self._ref)

    async def call(
        self, join_ref: str | None, ref: str, topic: str, event: str, payload: Any, timeout: float | None = None
    ) -> tuple[str, Any]:
        """Sends one frame and returns (status, response) of its reply.

        Raises `TimeoutError` when none comes in time, `ServiceError` when the connection breaks first.
        """
        answer: asyncio.Future[tuple[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[ref] = answer
        try:
            async with asyncio.timeout(self.timeout_seconds if timeout is None else timeout):
                await self._send(join_ref, ref, topic, event, payload)
                return await answer
        finally:
            self._replies.pop(ref, None)

    async def _send(self, *frame: Any) -> None:
        if self._socket is None or self._socket.closed:
            raise ServiceError("there is no connection to the server: wait until it is back, or check that it runs")
        try:
            await self._socket.send_str(msgspec.json.encode(frame).decode())
        except (OSError, aiohttp.ClientError) as error:
            raise ServiceError("the connection to the server broke") from error

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        assert self._session is not None  # noqa: S101 - `connect` made it
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return await self._session.ws_connect(
                    self._url, params=self._params, protocols=("phoenix",), max_msg_size=_MAX_MESSAGE_BYTES
                )
        except aiohttp.WSServerHandshakeError as error:
            raise ServiceError(f"{self._url} refused the connection with HTTP {error.status}") from error
        except (OSError, aiohttp.ClientError) as error:
            raise ServiceError(f"cannot reach {self._url}: is the server running?") from error

    async def _run(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            beat = asyncio.create_task(self._keep_alive(socket))
            try:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        self._dispatch(message.data)
            finally:
                beat.cancel()
            self.close_code = socket.close_code
            log.info("realtime.client_disconnected", code=self.close_code)
            self._fail_replies()
            self._tell("reconnecting")
            socket = self._socket = await self._reopen()
            self._tell("connected")
            for channel in list(self._channels.values()):
                channel.reconnected()

    async def _reopen(self) -> aiohttp.ClientWebSocketResponse:
        attempt = 0
        while True:
            # Jitter: thousands of clients of a restarted server must not come back in one moment.
            await asyncio.sleep(self._delays[min(attempt, len(self._delays) - 1)] * random.uniform(0.5, 1.5))  # noqa: S311
            attempt += 1
            try:
                return await self._open()
            except ServiceError as error:
                log.info("realtime.client_reconnect_failed", attempt=attempt, problem=str(error))

    async def _keep_alive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            try:
                await self.call(None, self.next_ref(), CONTROL_TOPIC, HEARTBEAT, {})
            except (TimeoutError, ServiceError):
                # The reader wakes up from this and reconnects.
                await socket.close(code=4000)
                return

    def _dispatch(self, text: str) -> None:
        try:
            join_ref, ref, topic, event, payload = _decoder.decode(text)
            reply = msgspec.convert(payload, _Reply) if event == REPLY else None
        except msgspec.DecodeError as error:
            log.warning("realtime.client_bad_frame", problem=str(error))
            return
        channel = self._channels.get(topic)
        if reply is not None:
            if channel is not None:
                channel.answered(ref, reply.status, reply.response)
            answer = self._replies.get(ref or "")
            if answer is not None and not answer.done():
                answer.set_result((reply.status, reply.response))
        elif channel is not None:
            channel.receive(join_ref, event, payload)

    def _fail_replies(self) -> None:
        for answer in self._replies.values():
            if not answer.done():
                answer.set_exception(ServiceError("the connection to the server broke before the answer came"))

    def _tell(self, status: Status) -> None:
        if self._on_status is not None:
            self._on_status(status)


class ClientChannel:
    """One topic of a client.

    `on_joined` is told the response of every join, the first one included, and before the events that follow it.
    """

    def __init__(self, client: PhoenixClient, topic: str, payload: JoinPayload) -> None:
        self.topic = topic
        self.joined = False
        self.on_joined: Callable[[Any], None] | None = None
        self._client = client
        self._payload = payload
        self._join_ref: str | None = None
        self._listeners: list[tuple[str | None, Listener]] = []
        self._rejoin: asyncio.Task[None] | None = None

    def on(self, event: str | None, listener: Listener) -> None:
        """Calls `listener(event, payload)` for each such event in order, for every event when `event` is None."""
        self._listeners.append((event, listener))

    async def join(self) -> Any:
        """Joins and returns the response; raises `PushError` when refused. Breaks are followed by a new join."""
        payload = self._payload() if callable(self._payload) else self._payload
        self.joined = False
        ref = self._join_ref = self._client.next_ref()
        status, response = await self._client.call(ref, ref, self.topic, JOIN, payload)
        if status != "ok":
            raise PushError(JOIN, status, response)
        return response

    async def push(self, event: str, payload: Any, timeout: float | None = None) -> Any:
        """Sends an event and returns the response of its reply; raises `PushError` for any status but ok."""
        status, response = await self._client.call(
            self._join_ref, self._client.next_ref(), self.topic, event, payload, timeout
        )
        if status != "ok":
            raise PushError(event, status, response)
        return response

    async def leave(self) -> None:
        """Leaves for good."""
        self.joined = False
        self._client.forget(self)
        await self._client.call(self._join_ref, self._client.next_ref(), self.topic, LEAVE, {})

    def answered(self, ref: str | None, status: str, response: Any) -> None:
        """Takes a reply: that of a join is told at once, before any event that came right behind it."""
        if ref == self._join_ref and status == "ok" and not self.joined:
            self.joined = True
            if self.on_joined is not None:
                asyncio.get_running_loop().call_soon(self.on_joined, response)

    def receive(self, join_ref: str | None, event: str, payload: Any) -> None:
        """Takes a frame of this topic; those of an earlier join are dropped (JS-4)."""
        if join_ref is not None and join_ref != self._join_ref:
            return
        if event == ERROR:
            self.joined = False
            self._rejoin_after(_REJOIN_SECONDS)
        elif event == CLOSE:
            self.joined = False
            self._client.forget(self)
        for wanted, listener in self._listeners:
            if wanted is None or wanted == event:
                # By way of the loop, so that a listener that raises is reported and does not end the connection.
                asyncio.get_running_loop().call_soon(listener, event, payload)

    def reconnected(self) -> None:
        """The connection is new: a channel that was joined joins again."""
        if self._join_ref is not None:
            self.joined = False
            self._rejoin_after((0.0, *_REJOIN_SECONDS))

    def cancel_rejoin(self) -> None:
        if self._rejoin is not None:
            self._rejoin.cancel()
            self._rejoin = None

    def _rejoin_after(self, delays: tuple[float, ...]) -> None:
        self.cancel_rejoin()
        self._rejoin = asyncio.create_task(self._join_again(delays))

    async def _join_again(self, delays: tuple[float, ...]) -> None:
        attempt = 0
        while not self.joined:
            await asyncio.sleep(delays[min(attempt, len(delays) - 1)])
            attempt += 1
            try:
                await self.join()
            except (PushError, TimeoutError) as error:
                log.info("realtime.client_rejoin_failed", topic=self.topic, attempt=attempt, problem=str(error))
            except ServiceError:
                return  # the connection is gone again; the next one starts this anew
