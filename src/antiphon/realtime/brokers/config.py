"""The section `cluster` of the settings."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr

UNSENT = 32 * 1024 * 1024
"""Bytes: twice the largest message."""


class ClusterSettings(BaseModel):
    """How the processes of a house hear of each other. Sizes are in bytes, times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr | None = Field(
        None,
        description="The broker: `redis://…`, `rediss://…`, `redis+sentinel://host:port,host:port/service`, "
        "`unix://…`, `nats://…`, `tls://…` (NATS with TLS), or `memory://` for a house of one process.",
    )
    prefix: str = Field(
        "antiphon",
        pattern=r"^[A-Za-z0-9_-]{1,100}$",
        description="Begins every channel on the broker, so that houses can share one.",
    )
    node: str = Field("", max_length=200, description="The name of this process; the host and process id when empty.")
    timeout: float = Field(
        5.0, gt=0, le=300, description="A broker that says nothing for so long, although asked, is given up."
    )
    unsent_bytes: int = Field(
        UNSENT, ge=65_536, description="What may wait to be sent; what comes on top is dropped and counted."
    )

    @property
    def address(self) -> str:
        """The URL, with the password in it."""
        return "memory://" if self.url is None else self.url.get_secret_value()
