"""What a run asks whoever listens, before it does a thing that costs or changes something."""

from collections.abc import Collection, Sequence
from typing import Protocol

from antiphon.domain import ToolPart
from antiphon.errors import NotAllowedError
from antiphon.providers.base import ModelRequest, ToolCall


class RunHooks(Protocol):
    """Each gives what it was given, or something else in its place. Raises `NotAllowedError`, whose sentence ends the
    answer where a model was to be asked, and is told to the model where it is about a tool."""

    async def before_model(self, request: ModelRequest) -> ModelRequest: ...

    async def tool_wished(self, call: ToolCall) -> ToolCall: ...

    async def tool_ended(self, part: ToolPart) -> ToolPart: ...


async def judged(
    hooks: RunHooks | None, calls: Sequence[ToolCall], others: Collection[str]
) -> Sequence[tuple[ToolCall, str | None]]:
    """The calls as they may be carried out, those that may not with the reason; `others` are not asked about."""
    if hooks is None:
        return [(call, None) for call in calls]
    return [(call, None) if call.name in others else await _judged(hooks, call) for call in calls]


async def _judged(hooks: RunHooks, call: ToolCall) -> tuple[ToolCall, str | None]:
    try:
        return await hooks.tool_wished(call), None
    except NotAllowedError as error:
        return call, error.public
