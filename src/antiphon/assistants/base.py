"""The contract of whoever answers."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from antiphon.assistants.prompts import Instructions
from antiphon.tools.base import Tool


@runtime_checkable
class Agent(Protocol):
    """Somebody who answers people and uses tools, as others see it; an `Assistant` is one."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str:
        """One sentence on what to ask it."""
        ...

    @property
    def capabilities(self) -> Sequence[str]:
        """What it can do, in words by which programs find it."""
        ...

    @property
    def instructions(self) -> Instructions: ...

    @property
    def model(self) -> str | None:
        """Its wish, as `provider:model`; None when it has none."""
        ...

    @property
    def fallbacks(self) -> Sequence[str]:
        """Models that answer when that one fails, in this order; empty: the house's."""
        ...

    @property
    def tools(self) -> Sequence[Tool[..., object]]: ...
