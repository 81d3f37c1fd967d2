"""How the generations of Claude differ in what they accept.

https://platform.claude.com/docs/en/models/overview and the migration guides of 4.7, 5 and 5.5: what a generation does
not know any more it refuses with a 400.
"""

import re

from msgspec import Struct

_NAME = re.compile(r"claude-(?P<family>[a-z]+)-(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)")


class Traits(Struct, frozen=True, kw_only=True):
    """What one model accepts. The defaults are those of early ones, and of other vendors that speak the protocol."""

    adaptive: bool = False  # effort says how long it thinks, not a budget of tokens
    thinks_unasked: bool = False
    samples: bool = True  # takes a temperature
    can_be_forced: bool = True  # to call a tool
    takes_schema: bool = False  # of an answer that programs read
    binds_thinking: bool = False  # to the conversation before it, and refuses it behind any other


def maker_of(model: str) -> str:
    """Who signs its thoughts, and can read them: Claude as a whole, which passes over what one of its models cannot
    read, and any other model alone, because a strange signature is refused."""
    return "claude" if "claude" in model else model


def traits_of(model: str) -> Traits:
    """The traits that its name tells of."""
    match = _NAME.search(model)
    if match is None:
        return Traits()
    version = int(match["major"]), int(match["minor"] or 0)
    latest = version >= ((5, 1) if match["family"] in {"fable", "mythos"} else (5, 5))
    return Traits(
        adaptive=version >= (4, 6),
        thinks_unasked=version >= (5, 0),
        samples=version < (4, 7),
        can_be_forced=not latest,
        takes_schema=version >= (4, 1),
        binds_thinking=latest,
    )
