"""The section `assistants` of the settings."""

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from antiphon.assistants.assistant import MAX_STEPS
from antiphon.assistants.estimate import BYTES_PER_TOKEN

_LIVE: JsonDict = {"live": True}
"""A running server takes a change of these."""


class AssistantSettings(BaseModel):
    """The built-in assistant, and what all assistants are given of a conversation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("guide", description="Of the built-in assistant, which is there when a program adds none.")
    description: str = Field(
        "Answers questions, calculates, and finds what was said.", description="One sentence.", json_schema_extra=_LIVE
    )
    instructions: str = Field(
        "", description="Of the built-in assistant; empty: the prompt `helpful`.", json_schema_extra=_LIVE
    )
    tools: tuple[str, ...] | None = Field(
        None, description="Tools of the built-in assistant, by name; all that send nothing outside when not set."
    )
    max_steps: int = Field(
        MAX_STEPS,
        ge=1,
        le=100,
        description="Rounds of tools in one turn of the built-in assistant.",
        json_schema_extra=_LIVE,
    )
    platform_models: dict[str, str] = Field(
        {}, description="Which model answers on a platform, as `telegram: provider:model`."
    )
    fallback_models: tuple[str, ...] = Field(
        (), description="Models that answer, one after the other, when the chosen one fails before it says anything."
    )
    history_messages: int = Field(60, ge=1, le=1_000, description="Messages of a conversation that a model is given.")
    context_tokens: int = Field(
        16_000, ge=500, description="Tokens (estimated) of instructions, history and question together."
    )
    bytes_per_token: float = Field(
        BYTES_PER_TOKEN, gt=0.5, le=16, description="For estimates: how many bytes of text make a token."
    )
