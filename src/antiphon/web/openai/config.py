"""The section `openai` of the settings."""

from pydantic import BaseModel, ConfigDict, Field


class OpenAISettings(BaseModel):
    """What clients of OpenAI's API are served at `/v1`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="Serve `/v1/chat/completions` and `/v1/models`.")
    max_body_bytes: int = Field(
        16 * 2**20, ge=1024, description="Largest request body there, in bytes; images are inside it."
    )
    max_messages: int = Field(1_000, ge=1, le=100_000, description="Most messages of one request.")
    rounds_seconds: float = Field(
        600.0,
        gt=0,
        le=86_400,
        description="How long a client may take to bring the result of a tool of its own. So long the cache has what "
        "the assistant's own tools said before the call.",
    )
