"""The section `assistants` of the settings."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from antiphon.assistants.assistant import MAX_STEPS
from antiphon.assistants.estimate import BYTES_PER_TOKEN
from antiphon.providers.prices import ModelPrice

_LIVE: JsonDict = {"live": True}
"""A running server takes a change of these."""


class AssistantSection(BaseModel):
    """An assistant that is made from the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", exclude=True, description="The key of the section.")
    factory: str | None = Field(
        None, description="Who makes it: a class as module:name, or the name of an installed package's factory."
    )
    description: str = Field("", description="One sentence on what to ask it.")
    instructions: str = Field("", description="Its system prompt; empty: the prompt `helpful`.")
    model: str | tuple[str, ...] | None = Field(None, description="As provider:model; of several the others follow.")
    tools: tuple[str, ...] = Field((), description="Names of tools, or functions as module:name.")
    temperature: float | None = None
    max_tokens: int | None = None
    max_steps: int | None = None
    strategy: str = Field("plain", description="plain, formal or brief.")
    hands_over_to: tuple[str, ...] = Field((), description="Assistants to which it may give a conversation.")
    options: dict[str, Any] = Field({}, description="What its own factory wants to know besides.")


class VariantSection(BaseModel):
    """One of the prompts of an experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field("", description="The system prompt as it stands; empty: that of `prompt`.")
    prompt: str = Field("helpful", description="Name of a template.")
    version: int | None = Field(None, description="Of the template; the newest when not set.")
    weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="Its share of the people, beside the others'.")


class ExperimentSection(BaseModel):
    """An experiment with the instructions of an assistant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    assistant: str = Field("", description="Whose instructions; empty: the default assistant's.")
    variants: dict[str, VariantSection] = Field(
        {}, description="Prompts by name, the one to compare with first; none for an experiment of the program."
    )
    paused: bool = Field(False, description="Everybody has the first variant, and nothing is counted.")
    until: AwareDatetime | None = Field(None, description="When it ends; from then on it is as if it were paused.")
    winner: str | None = Field(None, description="The variant that everybody has from now on.")


HouseAction = Literal["off", "warn", "mask", "refuse"]


class GuardrailSettings(BaseModel):
    """What must not pass in this house, whoever answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secrets: HouseAction = Field("off", description="Keys and tokens in what people say and models answer.")
    personal_data: HouseAction = Field("off", description="E-mail addresses and numbers of phones, cards and accounts.")
    forbidden: tuple[str, ...] = Field((), description="Regular expressions; what matches is refused both ways.")
    input_characters: int | None = Field(None, ge=1, description="What people say at once, at most.")


class DayBudget(BaseModel):
    """What models may cost in a day, which ends at midnight UTC; nothing bounds what is not set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens_per_day: int | None = Field(None, ge=0)
    dollars_per_day: float | None = Field(None, ge=0)


class BudgetSettings(BaseModel):
    """The section `budgets` of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    person: DayBudget = Field(DayBudget(), description="For each person.")
    conversation: DayBudget = Field(DayBudget(), description="For each conversation.")
    platform: DayBudget = Field(DayBudget(), description="For each adapter, such as `web` or `openai`.")
    house: DayBudget = Field(DayBudget(), description="For everybody together.")
    prices: dict[str, ModelPrice] = Field(
        {},
        description="What models cost in dollars for a million tokens, as `provider:model: {input, output, cached}`.",
    )


class CompactionSettings(BaseModel):
    """What becomes of the part of a conversation that no longer fits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="Whether a model sums it up, beside the answers.")
    model: str | None = Field(None, description="As provider:model; the one that answers when not set.")
    tokens: int = Field(600, ge=100, le=8_000, description="Tokens of a summary, at most.")


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
    named: dict[str, AssistantSection] = Field(
        {}, description="Further assistants by their name. Where there are some, there is no built-in one."
    )
    experiments: dict[str, ExperimentSection] = Field(
        {}, description="Prompts that are compared, by the name of the experiment.", json_schema_extra=_LIVE
    )
    platform_models: dict[str, str] = Field(
        {}, description="Which model answers on a platform, as `telegram: provider:model`."
    )
    fallback_models: tuple[str, ...] = Field(
        (), description="Models that answer, one after the other, when the chosen one fails before it says anything."
    )
    guardrails: GuardrailSettings = GuardrailSettings()
    history_messages: int = Field(60, ge=1, le=1_000, description="Messages of a conversation that a model is given.")
    context_tokens: int = Field(
        16_000,
        ge=500,
        description="Tokens (estimated) of instructions, history and question together, where the window of the model "
        "is not smaller.",
    )
    compaction: CompactionSettings = CompactionSettings()
    model_context_tokens: dict[str, int] = Field(
        {},
        description="The same for single models, as `provider:model: tokens`, which is also taken for their window.",
    )
    bytes_per_token: float = Field(
        BYTES_PER_TOKEN,
        gt=0.5,
        le=16,
        description="For estimates: how many bytes of text make a token, until a model's own reports tell better.",
    )
