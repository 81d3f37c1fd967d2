"""The asyncio protocol that uvicorn hands an upgraded connection to: nothing stands between it and the channels.

One chunk of input is parsed whole, its replies leave in one write. Broadcast bytes are shared by all members. A client
that does not take its output is neither waited for nor read from, and is let go when it holds too much or for too long.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from antiphon.realtime.admission.admission import Admitted
from antiphon.realtime.admission.connect import Refused
from antiphon.realtime.admission.gate import stopping
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.members.sockets import Carried
from antiphon.realtime.transports import deflate, frames, handshake
from antiphon.realtime.transports.backlog import DISCONNECT, Backlog
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.transports.frames import BINARY, TEXT
from antiphon.realtime.transports.framing import Framing, framing_of
from antiphon.realtime.transports.turns import MUCH, Rests, Turns
from antiphon.realtime.wire.base import BadFrameError

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix

_GLUE_BYTES = 64 * 1024


class WebSocketProtocol(asyncio.Protocol):
    """One connection. `Phoenix.protocol_class()` makes the subclass that knows its application."""

    __slots__ = (
        "_backlog", "_close_timer", "_closing", "_connecting", "_corked", "_deaf", "_early", "_encode",
        "_framing", "_heard", "_held", "_loop", "_out", "_out_size", "_parser", "_request", "_scheduled",
        "_server_state", "_socket", "_transport", "_turns",
    )  # fmt: skip

    app: ClassVar["Phoenix"]

    def __init__(self, *, server_state: Any, **_unused: Any) -> None:
        """Called by uvicorn, which gives more than is needed here (its configuration, the lifespan state)."""
        self._loop = asyncio.get_running_loop()
        self._server_state = server_state
        self._parser = frames.FrameParser(self.app.limits.max_message_bytes)
        self._socket: Socket | None = None
        self._framing: Framing
        self._encode = frames.message_frame
        self._request: handshake.UpgradeRequest | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._early: list[bytes] | None = None
        self._heard = self._loop.time()
        self._out: list[bytes] = []
        self._out_size = 0
        self._corked = False
        self._scheduled = False
        self._backlog: Backlog | None = None
        self._held = self._closing = self._deaf = False
        self._turns: Turns | Rests | None = None
        self._close_timer: asyncio.TimerHandle | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server_state.connections.add(self)
        self.app.sockets.connected(self)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._socket is not None:
            if self._turns is None and len(data) >= MUCH:
                self._turns = Rests(self._take_turn, self._read_on)
            if self._turns is not None:
                self._take_in_turns(self._turns, data)
            elif not self._deaf:
                self._take(self._socket, data)
        elif self._request is None:
            self.upgrade(handshake.parse_request(data))
        elif self._early is not None:
            # The client did not wait for the answer; what it says is kept, and no more of it is read.
            self._early.append(data)
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's call
        self._closing = True
        self._out.clear()
        self._server_state.connections.discard(self)
        self.app.sockets.disconnected(self)
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._socket is not None:
            self.app.sockets.closed(self._socket)
            self._socket.connection_lost()
            self._socket = self._turns = None  # what holds each other would wait for the collector

    def pause_writing(self) -> None:
        self._backlog = Backlog(self._loop.time())
        if not self._held and not self._closing:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._backlog is not None:
            self._out += self._backlog.frames()
            self._out_size += self._backlog.size
            self._backlog = None
        self._flush()
        self._read_on()

    def shutdown(self) -> None:
        """uvicorn is stopping: the client is asked to come back elsewhere."""
        if self._socket is None:
            if not self._closing:
                self._refuse(503, headers=stopping().headers)
        else:
            self.close(frames.RESTART)

    # Opening

    def upgrade(self, request: handshake.UpgradeRequest) -> None:
        """What the client asks for, from whoever has read it."""
        self._request, self._early = request, []
        self._connecting = self.app.stepper.run(
            self._ask(request), lambda admitted, error: self._decided(request, admitted, error)
        )

    async def _ask(self, request: handshake.UpgradeRequest) -> Admitted:
        admission, variables = self.app.mounts.find(request.path)
        if request.method != "GET":
            raise Refused(400)
        return await admission.admit(handshake.connect_request(request, variables, self._transport))

    def _decided(self, request: handshake.UpgradeRequest, admitted: Admitted, error: BaseException | None) -> None:
        self._connecting = None
        early, self._early = self._early, None
        if self._closing:
            return
        if error is None:
            try:
                self._open(request, admitted)
            except Exception as failure:  # noqa: BLE001 - nobody else would tell the client, who is not connected yet
                error = failure
        if isinstance(error, Refused):
            self._refuse(error.status, error.body, error.headers)
        elif isinstance(error, asyncio.CancelledError):
            self._refuse(503, headers=stopping().headers)
        elif error is not None:
            self.app.limit_log.failed("realtime.handshake_failed", exc_info=error)
            self._refuse(500)
        else:
            for data in early or ():
                self._transport.resume_reading()
                self.data_received(data)

    def _open(self, request: handshake.UpgradeRequest, admitted: Admitted) -> None:
        if problem := handshake.problem(request.headers):
            raise Refused(400, problem)
        socket = Socket(self.app, self, admitted.serializer, admitted.access)
        self.app.sockets.opened(socket)
        # With no buffer to hide in, `pause_writing` tells at once that the client is not taking its output. Not 0: TLS
        # takes an empty buffer for a full one then, and stops for good.
        self._transport.set_write_buffer_limits(high=1)
        offers = request.headers.get("sec-websocket-extensions")
        extension = deflate.negotiate(offers) if offers and self.app.limits.compression else None
        self._transport.write(handshake.accept(request, extension, admitted.subprotocol))
        self._socket = socket
        self._request = None  # its headers are a fifth of what an idle connection would keep
        self._framing = framing_of(socket.serializer, compressed=extension is not None)
        if extension is not None:
            self._parser = frames.FrameParser(self.app.limits.max_message_bytes, deflate.inflate)
            self._encode = deflate.deflated_frame
            self._turns = Turns(self._take_turn, self._read_on)

    def _refuse(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.app.instruments.refused.labels(str(status)).inc()
        self._closing = True
        self._transport.write(handshake.refuse(status, body, headers))
        self._transport.close()

    # Input

    def _take_in_turns(self, turns: Turns | Rests, data: bytes) -> None:
        if self._closing and turns and isinstance(turns, Turns):
            self._deaf = True  # it reads on all the same: what waited here would have no bound
            return
        turns.add(data)
        if turns and not self._closing:
            self._transport.pause_reading()

    def _take_turn(self, data: bytes) -> None:
        if self._socket is not None and not self._deaf and not self._transport.is_closing():
            self._take(self._socket, data)

    def _take(self, socket: Socket, data: bytes) -> None:
        self._corked = True
        app, receive, decode = self.app, socket.receive, socket.serializer.decode
        max_depth, taken = app.limits.max_json_depth, 0
        try:
            for opcode, payload in self._parser.feed(data):
                if opcode != TEXT and opcode != BINARY:  # noqa: PLR1714 - twice as fast as a tuple
                    self._control(opcode, payload)
                elif not self._closing:
                    taken += 1
                    try:
                        receive(decode(payload.decode() if opcode == TEXT else payload, max_depth))
                    except Exception as error:  # noqa: BLE001 - one broken socket must not take the server down (DC-7)
                        self._failed(error, payload)
        except frames.FrameError as error:
            self.app.limit_log.say("realtime.broken_frame", code=error.code, problem=str(error))
            # Where the next frame begins is unknown. What still comes is thrown away, but it is taken: a connection
            # that is reset with input unread may lose the close frame on its way.
            self._deaf = True
            self.close(error.code)
        finally:
            app.frames_received += taken  # at once: each message would pay for it
            self._corked = False
            self._flush()

    def _failed(self, error: Exception, payload: bytes) -> None:
        if isinstance(error, UnicodeDecodeError):
            error = frames.FrameError(frames.BAD_TEXT, "text is not UTF-8")
        if isinstance(error, BadFrameError | frames.FrameError):
            self.app.limit_log.say("realtime.bad_frame", problem=str(error), size=len(payload))
        else:
            self.app.limit_log.failed("realtime.socket_failed", exc_info=error)
        self.close(error.code if isinstance(error, frames.FrameError) else frames.SERVER_ERROR)

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == frames.CLOSE:
            if not self._closing:
                self._queue(frames.frame(frames.CLOSE, frames.close_answer(payload).to_bytes(2, "big")))
                self._flush()
            self._hang_up()
        elif self._closing:
            return
        elif opcode == frames.PING:
            self._queue(frames.frame(frames.PONG, payload))

    def hold_reading(self) -> None:
        """See `Transport`."""
        if not self._held and not self._closing:
            self._held = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See `Transport`."""
        if self._held:
            self._held = False
            self._read_on()

    def _read_on(self) -> None:
        if self._backlog is None and not self._held and not self._turns and not self._closing:
            # It could not be heard until now, so its silence begins now.
            self._heard = self._loop.time()
            self._transport.resume_reading()

    # Output

    def send(self, body: bytes) -> None:
        """See `Transport`."""
        self.app.frames_sent += 1
        data = self._encode(body)
        if self._corked and self._backlog is None and not self._closing:
            # As `_queue` does, which would be one call more for every reply.
            self._out.append(data)
            self._out_size += len(data)
        else:
            self._queue(data)

    @property
    def send_batch(self) -> Callable[[Batch], None]:
        """See `Transport`."""
        return self._send_batch

    def _send_batch(self, batch: Batch) -> None:
        data = batch.framed.get(self._framing)
        if data is None:
            data = batch.framed[self._framing] = self._framing.batch(batch, self.app.instruments.unsayable)
        # The size and not the list: every object that is looked at here costs a visit to memory for each member.
        if not self._out_size and self._backlog is None and not self._closing:
            self._transport.write(data)
        elif self._backlog is not None and batch.policy is not DISCONNECT:
            self._keep_some(self._backlog, batch)
        else:
            self._queue(data)

    def _queue(self, data: bytes) -> None:
        if self._closing:
            return
        if self._backlog is not None:
            self._backlog.add(data)
            self._bound(self._backlog)
            return
        self._out.append(data)
        self._out_size += len(data)
        if not self._corked and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _keep_some(self, backlog: Backlog, batch: Batch) -> None:
        """Broadcasts of a topic that would rather lose some of them than a slow member."""
        if not self._closing:
            backlog.tell(self._framing.keep(batch, backlog), self.app.instruments.dropped)
            self._bound(backlog)

    def _bound(self, backlog: Backlog) -> None:
        size, count = self.app.limits.blocked_bytes - self._out_size, self.app.limits.blocked_messages
        if limit := backlog.bound(size, count, self.app.instruments.dropped):
            self._give_up(limit)

    def _flush(self) -> None:
        self._scheduled = False
        if self._backlog is not None or not self._out:
            return
        out, size = self._out, self._out_size
        self._out, self._out_size = [], 0
        if size > _GLUE_BYTES:
            # A backlog of shared broadcasts is handed on by reference.
            self._transport.writelines(out)
        else:
            self._transport.write(b"".join(out))

    @property
    def _queued(self) -> int:
        return self._out_size + (self._backlog.size if self._backlog is not None else 0)

    def carried(self) -> Carried | None:
        """See `Carrier`."""
        return Carried(its, "websocket", self._queued, self._backlog is not None) if (its := self._socket) else None

    # Closing

    def check(self, now: float) -> None:
        """Called every now and then: lets go of clients that are silent or take no output for too long."""
        if self._closing:
            return
        config = self.app.config
        if self._backlog is not None:
            if now - self._backlog.since > config.transport.blocked_seconds:
                self._give_up("seconds")
        elif not self._held and now - self._heard > config.transport.idle_seconds:
            self.app.limit_log.met("idle_seconds", "realtime.silent")
            if self._socket is None:
                self._refuse(408)
            else:
                self.close(frames.PROTOCOL_ERROR)

    def close(self, code: int) -> None:
        """Sends what is queued and a close frame, waits a while for the answer, then hangs up. Never 1000 (JS-7)."""
        if self._closing:
            return
        if self._backlog is None:
            self._flush()
        self._closing = True
        self._out.clear()
        self.app.instruments.closed.labels(str(code)).inc()
        self._transport.write(frames.close_frame(code))
        self._close_timer = self._loop.call_later(self.app.limits.close_seconds, self._transport.abort)
        if self._held or self._turns or self._backlog is not None:
            self._transport.resume_reading()
        if self._socket is not None:
            self._socket.connection_lost()

    def _give_up(self, limit: str) -> None:
        self.app.limit_log.met(f"blocked_{limit}", "realtime.slow_consumer", limit=limit, queued=self._queued)
        self.close(frames.TRY_LATER)

    def _hang_up(self) -> None:
        self._closing = True
        if self._close_timer is None:
            # The other side may never take what is still unsent.
            self._close_timer = self._loop.call_later(self.app.limits.close_seconds, self._transport.abort)
        self._transport.close()
