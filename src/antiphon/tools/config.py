"""The section `tools` of the settings."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Demand = Literal["always", "never"]
"""What an operator says of the calls of a tool, whatever its author says."""


class WebFetchSettings(BaseModel):
    """What the tool `web_fetch` may read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(False, description="Gives the built-in assistant `web_fetch`: it may read pages of the web.")
    only: tuple[str, ...] = Field((), description="When not empty: no other hosts than these.")
    inside: tuple[str, ...] = Field(
        (), description="Hosts of your own network that may be read too, as `name` or `name:port`."
    )
    ports: tuple[int, ...] = Field((80, 443, 8080, 8443), description="On which a page may be.")
    timeout: float = Field(20.0, gt=0, le=300, description="Seconds for a page, with all its redirects.")
    max_bytes: int = Field(1 << 20, ge=1_024, description="Of a page; what comes after is not read.")
    redirects: int = Field(5, ge=0, le=20)


class ToolSettings(BaseModel):
    """What tools may do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    web_fetch: WebFetchSettings = WebFetchSettings()
    approval: dict[str, Demand] = Field(
        {}, description="Whether a person must allow calls of a tool, by its name, whatever the tool itself says."
    )
    approval_seconds: float = Field(
        86_400.0, gt=0, description="How long a person has to allow a call; then it is not carried out."
    )
