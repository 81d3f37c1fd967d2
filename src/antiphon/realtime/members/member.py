"""One channel joined on one socket: its life from `phx_join` to its end, and the order of everything in between."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from antiphon.errors import ProcessingError
from antiphon.realtime.channel import NOBODY, UNHANDLED, Channel, Deferred, Rejected, Reply
from antiphon.realtime.members.grace import Grace
from antiphon.realtime.members.inbox import Item, given_up, is_current, is_join, showing
from antiphon.realtime.members.joining import Held, caught_up, join_answer
from antiphon.realtime.members.middleware import handle, join
from antiphon.realtime.members.reception import receiver_of
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.wire.base import LEAVE, UNSENDABLE, InboundFrame, TopicMessage
from antiphon.telemetry.logs import get_logger

if TYPE_CHECKING:
    from antiphon.realtime.members.socket import Route, Socket

log = get_logger(__name__)

JOINING, JOINED, ENDED = "joining", "joined", "ended"
ORDERLY = ("normal", "shutdown")


class Member:
    """Runs one channel. Frames of its topic are handled one after the other and queue while a handler waits.

    `cursor` and `receive` belong to the topic it is in: how far it has got, and where its batches go. While `state` is
    joining nothing may be sent; an ended one may still be saying goodbye.
    """

    __slots__ = (
        "_busy", "_farewell", "_grace", "_held", "_inbox", "_leaving", "_on_ended", "_ref", "_stop", "_task", "_undo",
        "channel", "cursor", "join_ref", "receive", "route", "socket", "state", "topic", "wire_ref",
    )  # fmt: skip

    def __init__(self, socket: "Socket", route: "Route", frame: InboundFrame) -> None:
        self.socket = socket
        self.topic = frame.topic
        self.join_ref = frame.join_ref
        # Inside the channel a join without a join_ref goes by its ref; the socket's table keeps the null (JN-9).
        self.wire_ref = frame.ref if frame.join_ref is None else frame.join_ref
        self.cursor = 0
        self.channel: Channel
        self.receive: Callable[[Batch], None] = socket.transport.send_batch
        self.route = route
        self.state = JOINING
        self._busy = True
        self._ref: Any = frame.ref
        self._stop: str | None = None
        self._leaving = "closed"
        self._farewell: bytes | None = None
        self._task: asyncio.Task[None] | None = None
        self._grace: Grace | None = None
        self._inbox: deque[Item] | None = None
        self._held: Held | None = None
        self._on_ended: Callable[[], None] | None = None
        self._undo: tuple[Callable[[], object], ...] = ()

    # Joining

    def join(self, frame: InboundFrame, predecessor: "Member | None" = None) -> None:
        """Runs the join callback and answers `frame`, once a predecessor on the same topic has ended (JN-6)."""
        start = partial(self._start_join, frame.payload)
        if predecessor is None:
            start()
        else:
            self._farewell = self.socket.serializer.close(predecessor.join_ref, self.topic)
            if predecessor.join_ref is None:
                # Behind the new reply, a close without a join_ref would be taken for that of the new channel (JN-7).
                self._send_farewell()
            predecessor.replace(start)

    def _start_join(self, payload: Any) -> None:
        if self.state is ENDED:
            self._now_ended()
            return
        self._run(self._open(payload), self._join_done)

    async def _open(self, payload: Any) -> Any:
        socket = self.socket
        channel = self.channel = self.route.factory()
        channel.attach(self, socket.app, {**socket.assigns, **self.route.assigns})
        await socket.app.expiry.before_join(socket, payload)
        return await caught_up(self, self.route.recovery, payload, await join(channel, payload))

    def _join_done(self, result: Any, error: BaseException | None) -> None:
        self._busy, self._task = False, None
        if self.state is ENDED:
            # The connection went away meanwhile; a join that succeeded all the same is torn down like any other.
            self._say_goodbye() if error is None else self._now_ended()
            return
        reply, answer = self._join_answer(result, error)
        if reply.status == "ok":
            self._enter(answer)
        else:
            self._refuse(answer)
        self._pump()

    def _join_answer(self, result: Any, error: BaseException | None) -> tuple[Reply, bytes]:
        encode = partial(self.socket.serializer.reply, self.join_ref, self._ref, self.topic)
        reply, answer, failure = join_answer(encode, self.socket.app.shown, result, error)
        if failure is not None:
            self._log_failure("realtime.join_crashed", failure)
            self.socket.app.instruments.crashes.inc()
        return reply, answer

    def _enter(self, answer: bytes) -> None:
        self.state = JOINED
        if self._held is None:
            self.receive = receiver_of(self)
            self.socket.app.topics.add(self.topic, self, self.channel.queue)
        self.socket.transport.send(answer)
        self._send_farewell()
        self._ref = None
        if self.channel.sends_presence_state:
            self.socket.app.presence.push_state(self.topic, partial(self.push, "presence_state"))
        # What was kept comes behind what `after_join` says before it first waits: a snapshot, then what changed.
        if type(self.channel).after_join is not Channel.after_join:
            self._run(self.channel.after_join(), self._handled)
        self._release_held()

    def _refuse(self, answer: bytes) -> None:
        self._detach()
        self.socket.transport.send(answer)
        self._send_farewell()
        self._now_ended()

    def _send_farewell(self) -> None:
        if self._farewell is not None:
            self.socket.transport.send(self._farewell)
            self._farewell = None

    def listen(self) -> Held | None:
        """Starts receiving now and keeps what comes until the join is answered; None when it is over already."""
        if self.state is JOINING and self._held is None:
            self._held = Held()
            self.receive = self._hold
            self.socket.app.topics.add(self.topic, self, self.channel.queue)
        return self._held

    def _hold(self, batch: Batch) -> None:
        if self._held is not None and self._held.keep(batch) > self.socket.app.limits.blocked_bytes:
            self.socket.give_up_slow_join(self.topic)

    def _release_held(self) -> None:
        if self._held is not None:
            self.socket.app.topics.catch_up(self.topic, self)
            held, self._held = self._held, None
            self.receive = held.release(receiver_of(self))

    def at_end(self, undo: Callable[[], object]) -> None:
        """Calls `undo` when the channel ends, whatever ends it."""
        self._undo = (*self._undo, undo)

    # Messages

    def accept(self, item: Item) -> None:
        """Handles a frame of this topic, or what the channel is to see, after what came before it."""
        if not self._busy:
            self._handle(item) if type(item) is InboundFrame else self._take(item)
            if self._inbox and not self._busy:
                self._pump()  # what its handler, which never waited, has made happen
            return
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(item)
        self.socket.count_queued(1)

    def _take(self, item: Item) -> None:
        if type(item) is InboundFrame:
            self._handle(item)
        elif (work := showing(item, self.channel)) is not None:
            self._run(work, self._seen)

    def _seen(self, _result: Any, error: BaseException | None) -> None:
        # A hook and a message from elsewhere have no reply; what they raise ends the channel as in any handler.
        self._handled(None, error)

    def _handle(self, frame: InboundFrame) -> None:
        join_ref = frame.join_ref
        if (type(join_ref) is not str or join_ref != self.join_ref) and not is_current(join_ref, self.join_ref):
            return  # left over from before a re-join: dropped without a word (MS-4, LV-3)
        event = frame.event
        if event == LEAVE:
            self.reply(frame.ref, "ok", {})
            self._end("left", self.socket.serializer.close(self.join_ref, self.topic))
            return
        channel, socket = self.channel, self.socket
        app = socket.app
        self._ref, channel.event = frame.ref, event
        handler = type(channel).handlers.get(event) or app.handlers.get(event)
        work: Any
        if channel.middleware or app.middleware:
            work = handle(channel, handler, frame.payload)
        elif handler is not None:
            work = handler(channel, frame.payload, socket)
        elif type(channel).on_message is not Channel.on_message:
            work = channel.on_message(frame.payload, socket)
        else:
            self.reply(frame.ref, "error", UNHANDLED)
            return
        # As `_run` does, which would be one call more for every message.
        self._busy, self._task = True, None
        task = app.stepper.run(work, self._handled)
        if task is not None:
            self._task = task

    def _run(self, work: Any, done: Callable[[Any, BaseException | None], None]) -> None:
        # Set first: when nothing waits, `done` has run before this returns.
        self._busy, self._task = True, None
        task = self.socket.app.stepper.run(work, done)
        if task is not None:
            self._task = task

    def _handled(self, result: Any, error: BaseException | None) -> None:
        resumed, self._busy, self._task = self._task is not None, False, None
        if self.state is ENDED:
            self._say_goodbye()
            return
        status, response, crash = "ok", result, error
        if error is None:
            if type(result) is not dict and isinstance(result, Reply):  # the type first: nearly every result is a dict
                status, response = result.status, result.response
        elif isinstance(error, Rejected):
            status, response, crash = "error", error.response, None
        if result is not None or crash is not error:
            socket = self.socket
            try:
                body = socket.serializer.reply(self.wire_ref, self._ref, self.topic, status, response)
                # As `_send` does, which would be one call more for every reply.
                if socket.app.topics.unsettled:
                    socket.app.topics.catch_up(self.topic, self)
                socket.transport.send(body)
            except UNSENDABLE as unsendable:
                crash = unsendable
        if crash is not None:
            self._crash(crash)
        elif self._stop is not None:
            self._stop_now(self._stop)
        self._ref = None
        if resumed:
            self._pump()

    def _pump(self) -> None:
        """Goes on with the frames that queued while the channel was busy."""
        while self._inbox and self.state is JOINED and not is_join(self._inbox[0]):
            if self._busy:
                return
            self.socket.count_queued(-1)
            self._take(self._inbox.popleft())
        # The rest belongs to whatever comes after this channel, and does not wait for its `on_leave`.
        for frame in self._drop_inbox():
            self.socket.receive(frame)

    def _drop_inbox(self) -> list[InboundFrame]:
        dropped, self._inbox = self._inbox or (), None
        self.socket.count_queued(-len(dropped))
        return given_up(dropped)

    # Sending

    def reply(self, ref: Any, status: str, response: Any) -> None:
        """Answers the message `ref`; dropped when the channel has ended."""
        if self.state is not ENDED:
            self._send(self.socket.serializer.reply(self.wire_ref, ref, self.topic, status, response))

    def push(self, event: str, payload: Any) -> None:
        """Sends to this member alone; dropped when the channel has ended."""
        if self.state is JOINING:
            raise ProcessingError("the join is not answered yet: push from after_join instead")
        if self.state is JOINED:
            self._send(self.socket.serializer.push(self.wire_ref, self.topic, event, payload))

    def broadcast(self, event: str, payload: Any, *, skip: bool) -> None:
        """Sends to every member of the topic, or every other one."""
        self.socket.app.publish(TopicMessage.of(self.topic, event, payload), self if skip else None)

    def defer(self) -> Deferred:
        """A handle for the message that is being handled."""
        if self._ref is None:
            raise ProcessingError("there is no message with a ref to answer: take the handle inside its handler")
        return Deferred(self, self._ref)

    def _send(self, body: bytes) -> None:
        socket, topics = self.socket, self.socket.app.topics
        if topics.unsettled:
            # What was broadcast before this was made leaves before it.
            topics.catch_up(self.topic, self)
        socket.transport.send(body)

    # Ending

    def stop(self, reason: str) -> None:
        """Ends the channel, after the handler that is running."""
        if self._busy:
            self._stop = reason
        elif self.state is JOINED:
            self._stop_now(reason)

    def replace(self, then: Callable[[], None]) -> None:
        """Ends the channel in favour of a new join and calls `then`; a running handler gets some grace first."""
        self._on_ended = then
        self._drop_inbox()
        self._give_grace()
        self._end("replaced", None)

    def connection_lost(self) -> None:
        """The connection is gone: a join is given up, a handler may finish, then the channel learns of it (DC-1)."""
        self._drop_inbox()
        joining = self.state is JOINING
        self._end("closed", None)
        if joining:
            self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _give_grace(self) -> None:
        if self._grace is not None:
            self._grace.over()
        self._grace = Grace(self.socket.app.limits.replace_seconds, self._cancel, self._abandon)

    def _abandon(self) -> None:
        """What runs does not even end when it is cancelled: nobody waits for it any longer."""
        log.error("realtime.channel_abandoned", topic=self.topic, reason=self._leaving)
        self._now_ended()

    def _crash(self, error: BaseException) -> None:
        self._log_failure("realtime.channel_crashed", error)
        self.socket.app.instruments.crashes.inc()
        self._end("crashed", self.socket.serializer.error(self.join_ref, self.topic, self.socket.app.shown(error)))

    def _log_failure(self, event: str, error: BaseException, **fields: str) -> None:
        fields["topic"] = self.topic
        self.socket.app.limit_log.failed(event, self.route.pattern, **fields, exc_info=error)

    def _stop_now(self, reason: str) -> None:
        last = self.socket.serializer.close if reason in ORDERLY else self.socket.serializer.error
        self._end(reason, last(self.join_ref, self.topic))

    def _end(self, reason: str, last_frame: bytes | None) -> None:
        if self.state is ENDED:
            return
        self._leaving = reason
        self._detach()
        if last_frame is not None:
            self.socket.transport.send(last_frame)
        if not self._busy:
            self._say_goodbye()

    def _detach(self) -> None:
        # First: what is delivered now may be too much for the connection, whose end comes back to this.
        joined, self.state = self.state is JOINED, ENDED
        if joined or self._held is not None:
            self.socket.app.topics.remove(self.topic, self)
        self._held = None
        undo, self._undo = self._undo, ()
        for step in undo:
            step()
        self.socket.forget(self)

    def _say_goodbye(self) -> None:
        if type(self.channel).on_leave is Channel.on_leave:
            self._now_ended()
        else:
            self._run(self.channel.on_leave(self._leaving, self.socket), self._left)
            if self._busy:
                self._give_grace()

    def _left(self, _result: Any, error: BaseException | None) -> None:
        if error is not None:
            self._log_failure("realtime.leave_failed", error, reason=self._leaving)
        self._task = None
        self._now_ended()

    def _now_ended(self) -> None:
        if self._task is None:
            self.channel = NOBODY
        self._busy, self._task = False, None
        if self._grace is not None:
            self._grace.over()
            self._grace = None
        then, self._on_ended = self._on_ended, None
        if then is not None:
            then()
