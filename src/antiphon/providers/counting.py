"""How vendors count what they will still take."""

from typing import Protocol, runtime_checkable

from msgspec import Struct


class LimitManner(Struct, frozen=True):
    """How a vendor counts: for each model or for the whole key; refilling its limits all the time or at once."""

    by_model: bool = True
    refills: bool = False


@runtime_checkable
class Counting(Protocol):
    """A provider whose vendor has a manner of its own."""

    @property
    def manner(self) -> LimitManner: ...
