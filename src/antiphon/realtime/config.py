"""The settings of the real-time part: where it is mounted, whom it lets in, and every limit."""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from antiphon.realtime.environment import read_env
from antiphon.realtime.presence.config import PresenceConfig
from antiphon.runtime.current import Current

ConnectInfoKey = Literal["peer", "uri", "user_agent", "x_headers", "sec_websocket_headers", "trace_headers"]


def _mount(path: str) -> str:
    if not re.fullmatch(r"/[^?#]*[^/?#]", path):
        raise ValueError("must be a path such as /socket: a / in front, none behind, no ? and no #")
    return path


def _below(path: str) -> str:
    if not re.fullmatch(r"[^?#/][^?#]*[^/?#]", path):
        raise ValueError("must be the rest of a path, such as websocket: no / in front or behind, no ? and no #")
    return path


_Mount = Annotated[str, AfterValidator(_mount)]
_Below = Annotated[str, AfterValidator(_below)]


class SecurityConfig(BaseModel):
    """Whom a mount lets in, and how much one client may do."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    origins: Literal["same-host", "same-connection", "any"] | tuple[str, ...] = Field(
        default="same-host",
        description="Which web pages may connect. same-host: the public host, else the host that was asked for; "
        "a connection that arrives on a loopback address must come from a loopback page. A list holds entries such as "
        "https://example.com, //*.example.com or //example.com:81.",
    )
    public_host: str | None = Field(default=None, description="The host people type, when a proxy stands in front.")
    subprotocols: tuple[str, ...] = Field(
        default=(),
        description="Sub-protocols to choose from, the best first; a client that offers others only is refused with "
        "403. phoenix is always understood.",
    )
    auth_token: bool = Field(
        default=False,
        description="Take a token that the client sends with its sub-protocols, or in a header of long-poll.",
    )
    secret: SecretStr | None = Field(
        default=None,
        min_length=20,
        description="Signs the tokens of long-poll sessions, the same on all nodes; 20 characters at least, better 64 "
        "random ones. Without one each start makes its own, which its workers share and other nodes do not know.",
    )
    connect_info: tuple[ConnectInfoKey, ...] = Field(
        default=(), description="What on_connect is told of a connection besides its parameters."
    )
    connect_constants: dict[str, Any] = Field(default={}, description="What on_connect is told each time.")
    max_connects_per_second: float = Field(
        default=5000.0, gt=0, description="More new connections are refused with 503 and Retry-After."
    )
    rate_limit_enabled: bool = Field(
        default=True, description="Whether the two limits below hold; more is answered with an error."
    )
    max_messages_per_second: float = Field(
        default=1000.0, gt=0, description="Messages of one socket; twice as many may come at once."
    )
    max_joins_per_second: float = Field(
        default=50.0, gt=0, description="Joins of one socket; twice as many as it may have channels may come at once."
    )
    expiry_warning_seconds: float = Field(
        default=30.0, ge=0, description="How long before its access ends the client of a socket is told."
    )


class TransportConfig(BaseModel):
    """Connections. Sizes are in bytes, times in seconds."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    websocket_path: _Below = Field(default="websocket", description="Path of the WebSocket below the mount.")
    longpoll: bool = Field(default=False, description="Serve clients that no WebSocket comes through to.")
    longpoll_path: _Below = Field(default="longpoll", description="Path of long-poll below the mount.")
    longpoll_window: float = Field(
        default=10.0, gt=0, le=15, description="How long a poll waits for a message. Clients give up after 20."
    )
    longpoll_inactive_seconds: float = Field(
        default=15.0, gt=0, description="A session that no poll came for since is over."
    )
    longpoll_body_bytes: int = Field(
        default=8_000_000, ge=1024, description="Larger bodies of up to 100 frames are answered with 400."
    )
    max_connections: int = Field(default=100_000, ge=1, description="More connections are refused with 503.")
    max_message_bytes: int = Field(
        default=1024 * 1024, ge=1024, description="Larger messages close the socket with 1009."
    )
    compression: bool = Field(
        default=False,
        description="Compress messages (permessage-deflate) for clients that offer it: less traffic for more processor "
        "time. The size of a message then tells about a secret in it that stands beside somebody else's text.",
    )
    max_json_depth: int = Field(default=100, ge=2, description="Deeper nested frames close the socket with 1011.")
    max_channels: int = Field(default=100, ge=1, description="Channels joined at once on one socket.")
    max_queued_frames: int = Field(
        default=256, ge=1, description="Frames waiting behind busy handlers before reading pauses."
    )
    idle_seconds: float = Field(
        default=60.0, gt=0, description="A socket that says nothing for so long is closed with 1002."
    )
    blocked_bytes: int = Field(
        default=1024 * 1024, ge=1024, description="Unsent output at which a slow client is closed with 1013."
    )
    blocked_messages: int = Field(
        default=10_000, ge=1, description="Unsent frames at which a slow client is closed with 1013."
    )
    blocked_seconds: float = Field(
        default=10.0, gt=0, description="Time without taking any output before it is closed with 1013."
    )
    close_seconds: float = Field(default=5.0, gt=0, description="How long the other side may take to answer a close.")
    replace_seconds: float = Field(
        default=5.0,
        gt=0,
        description="Grace of a handler whose channel is joined a second time, and of what a channel does at its end.",
    )
    fan_out_slice: int = Field(
        default=2000, ge=1, description="Members served in one go before the loop does other things."
    )
    drain_batch: int = Field(
        default=10_000, ge=1, description="Sockets told to come back elsewhere at once when draining."
    )
    drain_pause: float = Field(default=2.0, ge=0, description="Time between two such batches.")


class RealtimeSettings(BaseModel):
    """A mount, wherever it is served."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    mount: _Mount = Field(
        default="/socket",
        description="Path before /websocket; a segment such as :room_id is a variable, and joins the parameters.",
    )
    debug: bool = Field(
        default=False, description="Tell clients what went wrong when a channel crashes. For development only."
    )
    supabase: bool = Field(default=True, description="Serve clients of Supabase, where the application offers it.")
    supabase_mount: _Mount = Field(default="/realtime/v1", description="Path before /websocket for these clients.")
    stall_seconds: float | None = Field(
        default=0.1,
        gt=0,
        description="Whatever holds the event loop up for longer is named in the log, with channel, topic pattern and "
        "event; none does not look.",
    )
    security: SecurityConfig = Field(default_factory=SecurityConfig)
    transport: TransportConfig = Field(default_factory=TransportConfig)
    presence: PresenceConfig = Field(default_factory=PresenceConfig)

    @model_validator(mode="after")
    def _paths_apart(self) -> Self:
        transport, taken = self.transport, dict[str, str]()
        for setting, served, path in (
            ("mount", True, f"{self.mount}/{transport.websocket_path}"),
            ("transport.longpoll_path", transport.longpoll, f"{self.mount}/{transport.longpoll_path}"),
            ("supabase_mount", self.supabase, f"{self.supabase_mount}/websocket"),
        ):
            if served and (other := taken.setdefault(path, setting)) != setting:
                raise ValueError(f"{setting} and {other} lead to the same path, {path}: give one of them another")
        return self


class PhoenixConfig(RealtimeSettings):
    """The settings of an application that runs by itself. An application takes a copy when it is made."""

    host: str = Field(default="127.0.0.1", description="Where `Phoenix.start` listens.")
    port: int = Field(default=4000, ge=0, le=65_535, description="The port of it; 0 takes a free one.")

    @classmethod
    def from_env(cls, prefix: str = "PHOENIX_", environ: Mapping[str, str] | None = None) -> Self:
        """What the environment says: `PHOENIX_PORT=4001`, `PHOENIX_SECURITY__ORIGINS=any`, and lists and objects as
        JSON. Raises `ConfigError` for a variable that names no setting, or whose value is none."""
        return read_env(cls, prefix, os.environ if environ is None else environ)


_current = Current(PhoenixConfig)


def get_config() -> PhoenixConfig:
    """What the next `Phoenix()` begins with."""
    return _current.get()


def set_config(config: PhoenixConfig) -> None:
    """The settings of every `Phoenix()` made from now on that is given none of its own."""
    _current.release(_current.get())
    _current.adopt(config)
