"""What whoever asks wants of one answer, beside what its assistant says."""

from typing import Literal

from msgspec import Struct

from antiphon.providers.base import OutputSchema, ToolName, ToolSpec


class AnswerWishes(Struct, frozen=True, kw_only=True):
    """The terms of one answer.

    `tools` are carried out by whoever asks: the first call of one ends the run, which gives the calls back. Those of
    the assistant are carried out as ever. `tool_choice` is about the first call of the model, because what is asked
    behind a tool would otherwise never be answered; only `none` holds to the end. Without `parallel` one call of these
    tools is given back at a time. What is None is as the assistant has it.
    """

    tools: tuple[ToolSpec, ...] = ()
    tool_choice: Literal["auto", "required", "none"] | ToolName = "auto"
    parallel: bool = True
    temperature: float | None = None
    max_tokens: int | None = None
    effort: Literal["low", "medium", "high"] | None = None
    output: OutputSchema | None = None
    cache_key: str | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


NO_WISHES = AnswerWishes()
