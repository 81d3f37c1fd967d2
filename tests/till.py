"""A tool that pays, for settings that name it as `tests.till:pay`: what was paid is a line of the file `TILL`."""

import os
from pathlib import Path

from antiphon.tools.base import tool


@tool(approval=True)
async def pay(amount: int) -> str:
    """Pay somebody."""
    with Path(os.environ["TILL"]).open("a", encoding="utf-8") as paid:
        paid.write(f"{amount} by {os.getpid()}\n")
    return f"{amount} paid."
