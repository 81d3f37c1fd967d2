"""The contract of an embedder."""

from collections.abc import Sequence
from typing import Protocol


class Embedder(Protocol):
    """Turns texts into vectors, which are near each other where the texts mean the same."""

    @property
    def model(self) -> str:
        """Whose vectors these are; those of another are never compared with them."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        """One vector for each text, all of one length. Raises `ServiceError` when that cannot be had now."""
        ...

    async def stop(self) -> None:
        """Lets go of connections; the next call makes new ones."""
        ...
