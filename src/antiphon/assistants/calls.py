"""The tool calls of one round, under way at the same time."""

import asyncio
from collections.abc import Sequence

import msgspec

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.hooks import RunHooks
from antiphon.domain import ToolPart
from antiphon.errors import NotAllowedError
from antiphon.runtime.spelling import did_you_mean
from antiphon.telemetry.logs import get_logger
from antiphon.tools.base import ToolContext

STOP_SECONDS = 1.0
"""How long a cancelled tool may take to clean up before nobody waits for it any more."""

log = get_logger(__name__)


class Calls:
    """Runs calls in parallel; `hooks` see what comes of them. Whoever made it must `stop` it."""

    def __init__(
        self, parts: Sequence[ToolPart], assistant: Assistant, context: ToolContext, hooks: RunHooks | None = None
    ) -> None:
        self._parts = parts
        self._tasks = {
            asyncio.create_task(_carry_out(part, assistant, context, hooks), name=f"tool:{part.name}"): place
            for place, part in enumerate(parts)
        }
        self._open = set(self._tasks)

    def __bool__(self) -> bool:
        return bool(self._open)

    async def some(self) -> list[tuple[int, ToolPart]]:
        """Waits for the next calls to end; gives each with its place, in the order of the calls."""
        done, self._open = await asyncio.wait(self._open, return_when=asyncio.FIRST_COMPLETED)
        return self._ended(done)

    async def stop(self) -> list[tuple[int, ToolPart]]:
        """Cancels what still runs and gives how it ended: a call that had just finished counts as done."""
        ending, self._open = self._open, set()
        for task in ending:
            task.cancel()
        if ending:
            _, deaf = await asyncio.wait(ending, timeout=STOP_SECONDS)
            for task in deaf:
                log.warning("tool.ignores_cancellation", tool=self._parts[self._tasks[task]].name)
        return self._ended(ending)

    def _ended(self, tasks: set[asyncio.Task[ToolPart]]) -> list[tuple[int, ToolPart]]:
        ended = []
        for task in sorted(tasks, key=self._tasks.__getitem__):
            place = self._tasks[task]
            whole = task.done() and not task.cancelled()
            part = task.result() if whole else msgspec.structs.replace(self._parts[place], status="cancelled")
            ended.append((place, part))
        return ended


async def _carry_out(part: ToolPart, assistant: Assistant, context: ToolContext, hooks: RunHooks | None) -> ToolPart:
    tool = assistant.tool(part.name)
    if tool is None:
        why = _unknown(part.name, [tool.name for tool in assistant.tools])
        return msgspec.structs.replace(part, status="failed", result=why, elapsed_ms=0.0)
    result = await tool.call(part.arguments, context)
    ended = msgspec.structs.replace(
        part, status="failed" if result.failed else "done", result=result.text, elapsed_ms=result.elapsed_ms
    )
    if hooks is None:
        return ended
    try:
        return await hooks.tool_ended(ended)
    except NotAllowedError as error:
        return msgspec.structs.replace(ended, status="failed", result=error.public)


def _unknown(name: str, known: Sequence[str]) -> str:
    hint = did_you_mean(name, known, f"There is: {', '.join(known) or 'no tool at all'}.")
    return f"There is no tool called {name[:64]}.{hint}"
