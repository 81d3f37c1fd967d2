"""The section `sessions` of the settings."""

from pydantic import BaseModel, ConfigDict, Field


class SessionSettings(BaseModel):
    """What is kept at hand of conversations and people, in the cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ttl: float = Field(
        3600.0,
        gt=0,
        description="Seconds after the last message until a conversation and its person are let go of and, with the "
        "next one, read from the database.",
    )
