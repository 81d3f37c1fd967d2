"""The section `database` of the settings."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class DatabaseSettings(BaseModel):
    """Where conversations are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        default="sqlite:///data/antiphon.db",
        description="`sqlite:///path` (relative to the working directory), `sqlite:////absolute/path`, "
        "or `sqlite:///:memory:` to keep nothing.",
    )
    synchronous: Literal["NORMAL", "FULL"] = Field(
        default="NORMAL",
        description="When SQLite waits for the disk. NORMAL survives a crash of the program; after a power cut the "
        "last moments may be missing, never damaged. FULL waits at every commit.",
    )
    busy_seconds: float = Field(
        default=5.0, ge=0, le=60, description="How long to wait for another program that writes the same SQLite file."
    )
    queue: int = Field(
        default=10_000, ge=1, description="Units of work that may wait for the database before more are refused."
    )
    readers: int = Field(
        default=2, ge=1, le=16, description="Threads that read the SQLite file beside the one that writes."
    )
    checkpoint_seconds: float = Field(
        default=60.0, gt=0, description="After so much quiet SQLite's log is written back into its file."
    )
