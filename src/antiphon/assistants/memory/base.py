"""The contract of a memory, as tools and commands ask for one."""

from typing import Protocol

from antiphon.storage.facts import IMPORTANCE, Fact, Kept

LOCAL = "local"
"""Who sits at this machine: the person where nobody else is named."""


class Recollection(Protocol):
    """What is remembered of people, each on their own. Methods raise `ValidationError` for what cannot be remembered
    and `ServiceError` when the place where it is kept cannot be reached."""

    async def add(
        self,
        text: str,
        *,
        person: str = LOCAL,
        importance: int = IMPORTANCE,
        source_message_id: str | None = None,
        assistant: str | None = None,
        extracted: bool = False,
    ) -> Kept:
        """Remembers one fact. The same again, but for case and spacing, is the one that is there; one that means the
        same, where meanings can be compared, gives way to this one. What had to go for it is told.

        One that is `extracted` takes nobody's place: where one means the same, that one stays."""
        ...

    async def search(self, query: str, *, person: str = LOCAL, limit: int = 8) -> list[Fact]:
        """What fits any word of `query`, best first; an empty one finds the newest. Any text is a legal query."""
        ...

    async def get(self, fact_id: str, *, person: str = LOCAL) -> Fact | None: ...

    async def edit(
        self, fact_id: str, *, text: str | None = None, importance: int | None = None, person: str = LOCAL
    ) -> Fact | None:
        """Changes what is given; None when there is no such fact of this person."""
        ...

    async def delete(self, fact_id: str, *, person: str = LOCAL) -> bool:
        """Forgets one fact; False when there was none."""
        ...

    async def clear(self, *, person: str = LOCAL) -> int:
        """Forgets all of a person and says how many facts that were."""
        ...

    async def list(self, *, person: str = LOCAL, limit: int = 100) -> list[Fact]:
        """The newest first."""
        ...


def told(kept: Kept) -> list[str]:
    """What was kept, and what had to go for it, one line each."""
    lines = [f"Remembered: {kept.fact.text}"]
    if kept.replaced is not None:
        lines.append(f"Instead of: {kept.replaced.text}")
    return lines + [f"Forgotten, because there is no room for more: {fact.text}" for fact in kept.dropped]
