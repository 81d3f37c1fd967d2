"""The sections `logging` and `monitoring` of the settings."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class LogOutput(BaseModel):
    """One place where log lines go, with a level and a format of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    to: str = Field("stderr", min_length=1, description="`stderr`, `stdout`, or the path of a file.")
    level: Level | None = Field(None, description="The least that is written; `log_level` when not set.")
    format: str | None = Field(
        None, description="auto, console, json, or a template in the manner of logging; `log_format` when not set."
    )
    max_bytes: int = Field(
        10 * 1024 * 1024, ge=0, description="A file is put aside before it grows beyond this; 0 lets it grow."
    )
    backups: int = Field(5, ge=1, le=1000, description="How many files put aside are kept, as `name.1` to `name.N`.")


class LoggingSettings(BaseModel):
    """Where the log goes. `log_level` and `log_format` hold for every output that has none of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outputs: tuple[LogOutput, ...] = Field(
        (), description="Every place the log goes to; stderr alone when there is none in the list."
    )


class MonitoringSettings(BaseModel):
    """What the process watches about itself. A threshold that is passed for a while makes the health degraded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interval_seconds: float = Field(5.0, gt=0, description="Time between two samples.")
    loop_lag_seconds: float = Field(0.5, gt=0, description="How long the event loop may keep work waiting.")
    memory_bytes: int | None = Field(None, ge=1, description="Resident memory of the process; no limit when not set.")
    disk_free_bytes: int = Field(
        256 * 1024 * 1024, ge=0, description="What must be free on the disk that holds the data."
    )
    open_files: float = Field(0.8, gt=0, le=1, description="Part of the file descriptors that the system allows.")
    cpu: float = Field(0.95, gt=0, description="Processors kept busy: 1 is one whole core.")
