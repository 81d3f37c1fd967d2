"""`ClientChannel`: one topic of a client."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from antiphon.errors import AntiphonError, ServiceError
from antiphon.realtime.client.frames import ClientReply
from antiphon.realtime.client.options import Pauses, Source, fresh
from antiphon.realtime.client.push import ConnectionLostError, Push, PushError
from antiphon.realtime.wire.base import CLOSE, ERROR, JOIN, LEAVE
from antiphon.telemetry.logs import get_logger

if TYPE_CHECKING:
    from antiphon.realtime.client.phoenix import PhoenixClient

log = get_logger(__name__)

Listener = Callable[[str, Any], None]
State = Literal["new", "joining", "joined", "broken", "over"]


class ClientChannel:
    """One topic of a client. Once joined it comes back after every break and crash, until it is left or closed.

    `on_joined` is told the response of every join, the first one included, and before the events that follow it.

    A push made while the channel is not joined waits, in order, and goes out behind the join: no longer than its own
    time limit, and no more of them than `ClientOptions.max_waiting`. One that was sent when the connection broke fails
    with `ConnectionLostError`; it is not sent twice, since the server may have taken it.

    With `resume`, the last `cursor` seen in a join's response or in an event goes as `since` into the payload of a
    re-join, and `on_recovered` is told whether the server says that nothing was missed.
    """

    def __init__(
        self, client: "PhoenixClient", topic: str, payload: Source[Mapping[str, Any]], *, resume: bool
    ) -> None:
        self.topic = topic
        self.on_joined: Callable[[Any], None] | None = None
        self.on_recovered: Callable[[bool], None] | None = None
        self.join_ref: str | None = None
        """The reference of the latest join, None before the first one."""
        self._client = client
        self._payload = payload
        self._resume = resume
        self._cursor: Any = None
        self._state: State = "new"
        self._entering = False
        self._joined_once = False
        self._listeners: list[tuple[str | None, Listener]] = []
        self._waiting: deque[Push] = deque()
        self._pauses = Pauses(client.options.rejoin_seconds)
        self._rejoin: asyncio.Task[None] | None = None

    @property
    def joined(self) -> bool:
        """Whether the server has answered the latest join with ok."""
        return self._state == "joined"

    def on(self, event: str | None, listener: Listener) -> None:
        """Calls `listener(event, payload)` for each such event in order, for every event when `event` is None.

        `phx_error` says that the channel crashed and comes back, `phx_close` that the server ended it.
        """
        self._listeners.append((event, listener))

    def off(self, event: str | None, listener: Listener) -> None:
        """The counterpart of `on`."""
        self._listeners.remove((event, listener))

    # Joining and leaving

    async def join(self, timeout: float | None = None) -> Any:
        """Joins and returns the response; waits for the connection if it has to. A channel that is joined is joined
        anew, which shows the response of this moment.

        Raises `PushError` when refused and `TimeoutError` when nothing is answered in time; try again as you like.
        """
        if self._entering or self._state == "over":
            raise ServiceError(f"{self.topic} is being joined, or over: make a new channel to join it once more")
        self._cancel_rejoin()
        self._client.give_up(self.topic, ServiceError(f"{self.topic} was joined anew before the answer came"))
        self._state, self._entering = "joining", True
        try:
            async with asyncio.timeout(self._client.options.timeout_seconds if timeout is None else timeout):
                while True:
                    await self._client.until_connected()
                    try:
                        return await self._join()
                    except ConnectionLostError:
                        continue  # a join does no harm when it is done twice
        finally:
            self._entering = False
            if self._state == "joining":
                self._not_joined()

    def _not_joined(self) -> None:
        if self._joined_once:
            self._start_rejoin(self._pauses.next())
        else:
            self._state = "new"
            self._fail_waiting(ServiceError(f"{self.topic} could not be joined"))

    async def leave(self) -> None:
        """Leaves for good, also when there is no connection to say it on (JS-6)."""
        join_ref, state = self.join_ref, self._state
        self.end(ServiceError(f"{self.topic} was left"))
        if join_ref is None or state not in {"joining", "joined"} or not self._client.connected:
            return
        push = Push(self.topic, LEAVE, {}, self._client.next_ref())
        try:
            async with asyncio.timeout(self._client.options.timeout_seconds):
                self._client.send(join_ref, push)
                await push.answer
        except (ServiceError, TimeoutError) as error:
            log.info("realtime.client_leave_unanswered", topic=self.topic, problem=str(error))
        finally:
            self._client.withdraw(push)

    async def _join(self) -> Any:
        payload = await fresh(self._payload, f"payload of the join of {self.topic}")
        if self._state == "over":
            raise ServiceError(f"{self.topic} was left before it was joined")
        if self._resume and self._cursor is not None:
            payload = {**payload, "since": self._cursor}
        ref = self._client.next_ref()
        push = Push(self.topic, JOIN, payload, ref)
        self.join_ref, self._state = ref, "joining"
        self._client.send(ref, push)
        try:
            reply = await push.answer
        except asyncio.CancelledError:
            self._undo_join(ref)
            raise
        finally:
            self._client.withdraw(push)
        if reply.status != "ok":
            raise PushError(JOIN, reply.status, reply.response)
        return reply.response

    def _undo_join(self, ref: str) -> None:
        """The server may still answer a join that nobody waits for: there it is left again (JN-11)."""
        if self._client.connected:
            self._client.send(ref, Push(self.topic, LEAVE, {}, self._client.next_ref()))

    async def _join_again(self, pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            try:
                async with asyncio.timeout(self._client.options.timeout_seconds):
                    await self._join()
            except ConnectionLostError:
                return  # the next connection begins anew
            except (AntiphonError, TimeoutError) as error:
                self._state = "broken"
                log.info("realtime.client_rejoin_failed", topic=self.topic, problem=str(error))
            else:
                return
            pause = self._pauses.next()

    def _start_rejoin(self, pause: float) -> None:
        self._cancel_rejoin()
        self._state = "broken"
        self._rejoin = asyncio.create_task(self._join_again(pause))

    def _cancel_rejoin(self) -> None:
        if self._rejoin is not None:
            self._rejoin.cancel()
            self._rejoin = None

    # Sending

    async def push(self, event: str, payload: Any = msgspec.UNSET, timeout: float | None = None) -> Any:
        """Sends an event and returns the response of its reply; raises `PushError` for any status but ok.

        The payload is any JSON value, or bytes, which go as they are. Raises `TimeoutError` when no reply comes in
        time, `ConnectionLostError` when the connection breaks first, `ServiceError` when the channel ends first, and
        `ValidationError` for a payload that cannot be sent.
        """
        reply = await self.request(event, payload, timeout)
        if reply.status != "ok":
            raise PushError(event, reply.status, reply.response)
        return reply.response

    async def request(self, event: str, payload: Any = msgspec.UNSET, timeout: float | None = None) -> ClientReply:
        """As `push`, and returns the reply whatever its status is."""
        return await self._deliver(event, payload, self._client.next_ref(), timeout)

    async def send(self, event: str, payload: Any = msgspec.UNSET, timeout: float | None = None) -> None:
        """Sends an event that asks for no reply; returns when it has been handed to the connection."""
        await self._deliver(event, payload, None, timeout)

    async def _deliver(self, event: str, payload: Any, ref: str | None, timeout: float | None) -> ClientReply:
        push = Push(self.topic, event, {} if payload is msgspec.UNSET else payload, ref)
        try:
            async with asyncio.timeout(self._client.options.timeout_seconds if timeout is None else timeout):
                self._submit(push)
                return await push.answer
        finally:
            self._client.withdraw(push)
            if push in self._waiting:
                self._waiting.remove(push)

    def _submit(self, push: Push) -> None:
        if self._state == "joined":
            self._client.send(self.join_ref, push)
        elif self._state in {"new", "over"}:
            raise ServiceError(f"{self.topic} is not joined: join it first")
        elif len(self._waiting) >= self._client.options.max_waiting:
            raise ServiceError(f"{len(self._waiting)} messages wait for {self.topic} to be joined again: try later")
        else:
            self._waiting.append(push)

    def _fail_waiting(self, error: ServiceError) -> None:
        while self._waiting:
            self._waiting.popleft().fail(error)

    # What comes

    def answered(self, push: Push, reply: ClientReply) -> None:
        """Takes a reply: that of a join is told at once, before any event that came right behind it."""
        if push.event != JOIN or push.ref != self.join_ref or reply.status != "ok":
            return
        self._state, self._joined_once = "joined", True
        self._pauses.reset()
        if self._resume:
            self._resumed(reply.response)
        if self.on_joined is not None:
            self._call(self.on_joined, reply.response)
        while self._waiting:
            self._client.send(self.join_ref, self._waiting.popleft())

    def _resumed(self, response: Any) -> None:
        again = self._cursor is not None
        self._remember(response)
        if again and self.on_recovered is not None:
            self._call(self.on_recovered, isinstance(response, Mapping) and response.get("recovered") is True)

    def receive(self, join_ref: str | None, event: str, payload: Any) -> None:
        """Takes a frame of this topic; those of an earlier join are dropped (JS-4)."""
        if join_ref and join_ref != self.join_ref:
            return
        if self._resume:
            self._remember(payload)
        if event == ERROR:
            self._crashed()
        elif event == CLOSE:
            self.end(ServiceError(f"the server closed {self.topic}"))
        for wanted, listener in self._listeners:
            if wanted is None or wanted == event:
                self._call(listener, event, payload)

    def _remember(self, payload: Any) -> None:
        if isinstance(payload, Mapping) and payload.get("cursor") is not None:
            self._cursor = payload["cursor"]

    def _call(self, listener: Callable[..., None], *args: Any) -> None:
        # By way of the loop, so that a listener that raises is reported and does not end the connection.
        asyncio.get_running_loop().call_soon(listener, *args)

    # Breaks

    def _crashed(self) -> None:
        self._client.give_up(self.topic, ServiceError(f"{self.topic} crashed before the answer came"))
        if not self._entering:
            self._start_rejoin(self._pauses.next())

    def connected(self) -> None:
        """The connection is new: a channel that was joined joins again."""
        if self._state == "broken":
            self._pauses.reset()
            self._start_rejoin(0.0)

    def disconnected(self) -> None:
        """The connection is gone."""
        self._cancel_rejoin()
        if self._joined_once and not self._entering:
            self._state = "broken"

    def end(self, error: ServiceError) -> None:
        """The channel is over: what waits or was sent fails with `error`, and it does not come back."""
        self._state = "over"
        self._cancel_rejoin()
        self._client.give_up(self.topic, error)
        self._fail_waiting(error)
        self._client.forget(self)
