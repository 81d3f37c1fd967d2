"""Tools that tests run in processes of their own."""

import os
import time
from datetime import date

from pydantic import BaseModel

from antiphon import Resources, ToolContext, ToolError, tool
from antiphon.runtime.clock import Clock

TIGHT = Resources(memory_limit="256Mi", storage_size="1Mi")


class Period(BaseModel):
    first: date
    days: int


@tool(resources=TIGHT)
def plan(period: Period, context: ToolContext, note: str = "none") -> dict[str, object]:
    """Says what arrived."""
    return {"period": period, "type": type(period.first).__name__, "turn": context.turn_id, "note": note}


@tool(resources=TIGHT)
async def process_id() -> int:
    """The process."""
    return os.getpid()


@tool(resources=TIGHT)
def refuse() -> None:
    """Refuses."""
    raise ToolError("There is no such article.")


@tool(resources=TIGHT)
def stumble() -> None:
    """Fails."""
    raise KeyError("what a person wrote".upper())


@tool(resources=TIGHT, timeout=1.5)
def hang() -> None:
    """Hangs."""
    time.sleep(60)


@tool(resources=TIGHT)
def hoard() -> int:
    """Wants too much."""
    return len(b"x" * (1 << 30))


@tool(resources=TIGHT)
def when(clock: Clock) -> str:
    """Wants a service."""
    return str(clock)
