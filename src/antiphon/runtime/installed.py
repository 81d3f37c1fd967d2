"""What the packages of this Python offer: entry points, looked for once."""

import importlib.metadata
import sys
from functools import lru_cache
from typing import Any


def entry_points(*, group: str) -> importlib.metadata.EntryPoints:
    """Those of a group. To look through all that is installed takes as long as to build the rest of a house, so it is
    done once for as long as Python looks in the same folders."""
    found: importlib.metadata.EntryPoints = _all(tuple(sys.path)).select(group=group)
    return found


@lru_cache(maxsize=1)
def _all(_: tuple[str, ...]) -> Any:
    return importlib.metadata.entry_points()
