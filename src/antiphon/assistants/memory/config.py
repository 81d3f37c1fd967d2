"""The section `memory` of the settings."""

from pydantic import BaseModel, ConfigDict, Field

from antiphon.search.embedders.config import EmbedderSettings


class MemorySettings(BaseModel):
    """What is remembered of people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    most_facts: int = Field(
        1_000,
        ge=1,
        le=50_000,
        description="Facts that are kept of one person; then the least important go, and of those the oldest.",
    )
    prompt_tokens: int = Field(
        400,
        ge=0,
        le=8_000,
        description="Tokens (estimated) of facts that a model is given when they fit what the person says; 0: none.",
    )
    extract: bool = Field(
        False, description="Whether a model looks for lasting facts in what people say, beside the answers."
    )
    extract_model: str | None = Field(
        None, description="Which one does, as provider:model; the one that answers when not set."
    )
    embedder: EmbedderSettings = EmbedderSettings()
