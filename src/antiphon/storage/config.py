"""The section `database` of the settings."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field


class DatabaseSettings(BaseModel):
    """Where conversations are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        default="sqlite:///data/antiphon.db",
        repr=False,
        description="`sqlite:///path` (relative to the working directory), `sqlite:////absolute/path`, "
        "`sqlite:///:memory:` to keep nothing, or `postgresql://user:password@host:port/database`.",
    )
    migrate: Literal["auto", "check"] = Field(
        default="auto",
        description="What a start does with a database of an older version: `auto` brings it up to date, `check` "
        "refuses to start until `antiphon migrate` has done so.",
    )
    queue: int = Field(
        default=10_000, ge=1, description="Units of work that may wait for the database before more are refused."
    )
    synchronous: Literal["NORMAL", "FULL"] = Field(
        default="NORMAL",
        description="When SQLite waits for the disk. NORMAL survives a crash of the program; after a power cut the "
        "last moments may be missing, never damaged. FULL waits at every commit.",
    )
    busy_seconds: float = Field(
        default=5.0, ge=0, le=60, description="How long to wait for another program that writes the same SQLite file."
    )
    readers: int = Field(
        default=2, ge=1, le=16, description="Threads that read the SQLite file beside the one that writes."
    )
    checkpoint_seconds: float = Field(
        default=60.0, gt=0, description="After so much quiet SQLite's log is written back into its file."
    )
    connections: int = Field(
        default=10, ge=1, le=200, description="The most connections to PostgreSQL, beside one that holds the claim."
    )
    connect_seconds: float = Field(
        default=5.0, gt=0, le=60, description="How long to wait for PostgreSQL to take a connection."
    )
    answer_seconds: float = Field(
        default=10.0, gt=0, le=300, description="How long to wait for PostgreSQL's answer to one statement."
    )
    statement_cache_size: int = Field(
        default=100, ge=0, description="Prepared statements a connection keeps; 0 behind PgBouncer's transaction mode."
    )

    @property
    def place(self) -> str:
        """The database for people: the path of a SQLite file, or host, port and name of one of a server."""
        scheme, _, rest = self.url.partition(":///")
        if scheme == "sqlite":
            return rest
        try:
            parts = urlsplit(self.url)
        except ValueError:
            return self.url.partition(":")[0]
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
