"""The section `server` of the configuration."""

from pydantic import BaseModel, ConfigDict, Field

from antiphon.realtime.admission.origin import is_loopback
from antiphon.realtime.config import RealtimeSettings, TransportConfig


class ServerSettings(BaseModel):
    """Where the house listens and what it takes in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback needs authentication.")
    port: int = Field(4000, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    workers: int = Field(
        1, ge=1, le=256, description="Processes that share the port; several need PostgreSQL and Redis."
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest HTTP request body, in bytes.")
    drain_seconds: float = Field(5.0, ge=0, description="Time running answers get to finish when the server stops.")

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def refusal(self) -> str | None:
        """Why nobody is served at this address, None when it is fit."""
        if self.is_loopback:
            return None
        return (
            f"Antiphon does not listen on {self.host}: nobody would have to say who they are. Use 127.0.0.1, and put a "
            "reverse proxy that authenticates people in front of it to reach it from elsewhere."
        )


class LiveTransport(TransportConfig):
    """The connections of a house: whoever reaches its page reaches its sockets, one way or the other."""

    longpoll: bool = Field(default=True, description="Serve clients that no WebSocket comes through to.")


class LiveSettings(RealtimeSettings):
    """The section `realtime` of the configuration."""

    stall_seconds: float | None = Field(
        default=None,
        gt=0,
        description="Whatever holds the event loop up for longer is named in the log; "
        "`monitoring.loop_lag_seconds` does that already.",
    )
    transport: LiveTransport = Field(default_factory=LiveTransport)
