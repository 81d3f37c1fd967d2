"""The settings of presence: how soon nodes notice each other, and the limits of one topic."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class PresenceConfig(BaseModel):
    """Sizes are in bytes, times in seconds. The first four must be the same on all nodes."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    tick_seconds: float = Field(default=1.5, gt=0, description="How often changes are told to the other nodes.")
    silent_ticks: int = Field(default=10, ge=1, description="Ticks without a change after which a node says it lives.")
    down_seconds: float = Field(
        default=30.0, gt=0, description="Silence after which the presences of another node are hidden."
    )
    permdown_seconds: float = Field(default=1200.0, gt=0, description="Silence after which they are forgotten.")
    permdown_on_shutdown: bool = Field(
        default=False,
        description="Whether a node that stops has its presences forgotten at once. Otherwise they fade after "
        "down_seconds, and clients that come back elsewhere cause no storm.",
    )
    cleanup_interval: float = Field(
        default=300.0, gt=0, description="How often presences of connections that are gone are looked for and removed."
    )

    debounce_seconds: float = Field(
        default=0.0, ge=0, description="How long changes of a topic are gathered into one diff; 0: one loop tick."
    )
    without_diffs: tuple[str, ...] = Field(
        default=(), description="Topics, or prefixes with a final *, whose members are sent no presence_diff."
    )
    max_entries: int = Field(default=100_000, ge=1, description="Presences in one topic; no more are tracked here.")
    max_meta_bytes: int = Field(default=64 * 1024, ge=64, description="Size of one meta; larger are refused.")
    max_state_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1024, description="Size of one presence_state; what is above it is left out."
    )
    backlog: int = Field(
        default=10_000, ge=1, description="Calls of on_join and on_leave that may wait; the oldest are dropped."
    )

    @model_validator(mode="after")
    def _check_periods(self) -> Self:
        if self.down_seconds < 2 * self.tick_seconds:
            raise ValueError("down_seconds must be at least twice tick_seconds")
        if self.down_seconds <= self.silent_ticks * self.tick_seconds:
            raise ValueError("down_seconds must be longer than silent_ticks × tick_seconds, or idle nodes look dead")
        if self.permdown_seconds <= self.down_seconds:
            raise ValueError("permdown_seconds must be longer than down_seconds")
        return self
