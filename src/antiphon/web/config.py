"""The section `server` of the configuration."""

from pydantic import BaseModel, ConfigDict, Field

from antiphon.realtime.origin import is_loopback


class ServerSettings(BaseModel):
    """Where the house listens and what it takes in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback needs authentication.")
    port: int = Field(4000, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest HTTP request body, in bytes.")
    drain_seconds: float = Field(5.0, ge=0, description="Time running answers get to finish when the server stops.")

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)
