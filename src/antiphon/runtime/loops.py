"""Which event loop the house runs on."""

import asyncio
import sys
from collections.abc import Callable
from importlib import import_module


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes one: uvloop where there is one, else None for asyncio's own."""
    if sys.platform == "win32":
        return None
    loop: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    return loop
