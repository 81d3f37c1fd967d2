"""What carries the frames of a client, and how a server is called on."""

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

import msgspec

from antiphon.errors import ServiceError
from antiphon.realtime.wire.v2 import V2

TransportName = Literal["websocket", "longpoll"]

ABNORMAL = 1006
"""Close code of a connection that broke without a word."""
UNANSWERED = 4000
"""Close code for a server that leaves a heartbeat unanswered."""


class ServerCall(msgspec.Struct, frozen=True):
    """With what one attempt comes to the mount at `url`. A token that is no text raises what Python does."""

    url: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    token: str | None

    def __post_init__(self) -> None:
        if self.token is not None:
            self.token.encode()  # what has no UTF-8 would fail in one transport and go out maimed in the other

    @property
    def query(self) -> dict[str, str]:
        """The parameters and the version of the protocol."""
        return {**self.params, "vsn": V2.version}


class ClientTransport(Protocol):
    """An open way to a server, for one `Connection`. Whatever ends it, a failed `send` included, ends `receive` too.

    Once it is over, `close_code` says with what (None: it stands), and `retry_after` for how many seconds the server
    wants to be left alone.
    """

    name: TransportName

    @property
    def close_code(self) -> int | None:
        """See above."""

    @property
    def retry_after(self) -> float | None:
        """See above."""

    async def receive(self) -> list[str | bytes]:
        """The next messages, one at least; none when it is over."""

    async def send(self, frames: Iterable[bytes]) -> int:
        """Sends as many of the first frames as go at once, and returns how many those were.

        Raises `ConnectionLostError` when nobody knows what became of them: they must not be sent again.
        """

    async def close(self, code: int) -> None:
        """Ends it. Closing twice is fine: the first code counts."""


def refused(url: str, status: int, retry_after: float | None = None) -> ServiceError:
    """Why there is no connection. Quotes nothing of the request: a token may be among its parameters."""
    return ServiceError(f"{url} refused the connection with HTTP {status}", retry_after=retry_after)


def unreachable(url: str) -> ServiceError:
    """Why there is no connection."""
    return ServiceError(f"cannot reach {url}: is the server running?")


def wanted_pause(headers: Mapping[str, str] | None) -> float | None:
    """The seconds of a `Retry-After`; None without one, and for a date."""
    value = (headers or {}).get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None
