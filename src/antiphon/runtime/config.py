"""The sections `performance` and `services` of the settings."""

from pydantic import BaseModel, ConfigDict, Field


class PerformanceSettings(BaseModel):
    """What is kept at hand, and how much blocking work runs at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cache_ttl: float = Field(
        3600.0, gt=0, description="Seconds for which a cached value holds, unless whoever stores it says otherwise."
    )
    cache_max_size: int = Field(
        10_000, ge=1, description="Entries of a cache in memory; the one not used for longest makes room."
    )
    max_workers: int = Field(8, ge=1, le=256, description="Threads for functions that block.")
    queue_size: int = Field(
        1_000, ge=1, description="Functions that may wait for one of those threads before more are refused."
    )


class ServiceSettings(BaseModel):
    """How the parts of the house start and stop, and how patient it is with servers that it depends on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retry_attempts: int = Field(
        3,
        ge=1,
        le=100,
        description="Tries of one exchange with a server, such as a model before its first word, in all.",
    )
    backoff_factor: float = Field(
        2.0, ge=1, le=10, description="By how much each pause between two tries is longer than the one before."
    )
    timeout: float = Field(30.0, gt=0, description="Seconds for all tries of one exchange together; none begins later.")
    breaker_failures: int = Field(
        5, ge=1, description="Failures in a row after which a server is left alone for a while."
    )
    breaker_seconds: float = Field(10.0, gt=0, description="For how long it is left alone before one try.")
    start_seconds: float = Field(30.0, gt=0, description="Within which each part must have started.")
    stop_seconds: float = Field(10.0, gt=0, description="Within which each part must have stopped.")
