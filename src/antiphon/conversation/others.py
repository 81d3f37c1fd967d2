"""The other processes that answer from the same database, as one of them sees them."""

from collections.abc import Mapping
from typing import Protocol

from antiphon.conversation.stream import UnderWay
from antiphon.domain import Turn


class Others(Protocol):
    """Reaches the process that sees a turn through (`neighbours.Neighbours`)."""

    def tell(self, node: str, turn: Turn) -> None:
        """A message was accepted here whose turn is that node's. Never waits."""
        ...

    async def turns(self, conversation_id: str, since: Mapping[str, int]) -> tuple[list[UnderWay], bool]:
        """The open turns of a conversation that none is open of here, with what they have said behind `since`; False
        when that was read from the store, which is a moment behind."""
        ...

    async def cancel(self, conversation_id: str, turn_id: str) -> bool:
        """Stops a turn. False when it is not open. Raises `ServiceError` when its process cannot be reached."""
        ...

    def stop_all(self, conversation_id: str) -> None:
        """Stops everything in a conversation that was deleted. Never waits."""
        ...


class NoOthers:
    """For a process that is alone."""

    def tell(self, node: str, turn: Turn) -> None:
        """There is nobody."""

    async def turns(self, conversation_id: str, since: Mapping[str, int]) -> tuple[list[UnderWay], bool]:  # noqa: ARG002
        return [], True

    async def cancel(self, conversation_id: str, turn_id: str) -> bool:  # noqa: ARG002
        return False

    def stop_all(self, conversation_id: str) -> None:
        """There is nobody."""
