"""The section `tools` of the settings."""

from typing import Annotated, Any, Literal

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


class ImageSettings(BaseModel):
    """Who makes images for the tool `generate_image`, and which."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, Field(pattern=r"^[^:\s]+:\S+$")] | None = Field(
        None,
        description="Gives the built-in assistant `generate_image`: `provider:model` of one with OpenAI's images API.",
    )
    sizes: tuple[Annotated[str, Field(pattern=r"^[1-9]\d{1,3}x[1-9]\d{1,3}$")], ...] = Field(
        ("1024x1024", "1536x1024", "1024x1536"),
        min_length=1,
        description="Which may be asked for, in pixels and as the vendor has them; the first is the usual one.",
    )
    quality: str | None = Field(None, description="In the vendor's words, such as `low`.")
    body: dict[str, Any] = Field({}, description="Further fields of every request; one that is null is left out.")
    seconds: float = Field(180.0, gt=0, le=600, description="How long one image may take, with all retries.")


class ToolSettings(BaseModel):
    """What tools may do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    web_fetch: WebFetchSettings = WebFetchSettings()
    images: ImageSettings = ImageSettings()
    approval: dict[str, Demand] = Field(
        {}, description="Whether a person must allow calls of a tool, by its name, whatever the tool itself says."
    )
    approval_seconds: float = Field(
        86_400.0, gt=0, description="How long a person has to allow a call; then it is not carried out."
    )
