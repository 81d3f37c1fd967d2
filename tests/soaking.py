"""How long a test goes on that could go on for ever: a few rounds in `make test`, as long as asked in `make soak`."""

import os
import time
from collections.abc import Iterator
from itertools import count

SOAK_SECONDS = float(os.environ.get("ANTIPHON_SOAK_SECONDS", "0"))
"""For each test that soaks."""


def rounds(fewest: int) -> Iterator[int]:
    """Numbers from 1: so many, and in a soak more until the time is up."""
    give_up = time.monotonic() + SOAK_SECONDS
    for number in count(1):
        if number > fewest and time.monotonic() >= give_up:
            return
        yield number
