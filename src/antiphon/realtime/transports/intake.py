"""What comes in over transports that speak no bytes of their own: clients, and what they say."""

from typing import TYPE_CHECKING

from antiphon.realtime.admission.admission import Admission, Admitted
from antiphon.realtime.admission.connect import ConnectRequest
from antiphon.realtime.admission.gate import stopping
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.transports.frames import SERVER_ERROR, TOO_BIG
from antiphon.realtime.wire.base import BadFrameError, InboundFrame
from antiphon.telemetry.logs import get_logger

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix

log = get_logger(__name__)


class Applicant:
    """The `Carrier` of a client that is not let in yet. It counts as a connection, and nothing is asked of it."""

    __slots__ = ()

    def carried(self) -> None:
        """See `Carrier`."""

    def check(self, now: float) -> None:
        """See `Carrier`."""

    def shutdown(self) -> None:
        """See `Carrier`: `let_in` says no by itself."""


async def let_in(app: "Phoenix", admission: Admission, request: ConnectRequest) -> Admitted:
    """What `admission` says, and raises, for a client that counts as a connection meanwhile; `Refused` also when the
    server has stopped by then."""
    applicant = Applicant()
    app.sockets.connected(applicant)
    try:
        admitted = await admission.admit(request)
    finally:
        app.sockets.disconnected(applicant)
    if app.entrance.closed:
        raise stopping()
    return admitted


def hand_over(socket: Socket, data: str | bytes) -> InboundFrame | None:
    """The frame in a text (str) or binary (bytes) message, once the socket has it; None when it was none, or failed:
    the socket is closed then (ER-6)."""
    app = socket.app
    app.frames_received += 1
    if len(data) > app.limits.max_message_bytes:
        app.limit_log.say("realtime.bad_frame", problem="too large", size=len(data))
        socket.transport.close(TOO_BIG)
        return None
    try:
        frame = socket.serializer.decode(data, app.limits.max_json_depth)
        socket.receive(frame)
    except BadFrameError as error:
        app.limit_log.say("realtime.bad_frame", problem=str(error), size=len(data))
    except Exception:
        log.exception("realtime.socket_failed")  # one broken socket must not take the server down (DC-7)
    else:
        return frame
    socket.transport.close(SERVER_ERROR)
    return None
