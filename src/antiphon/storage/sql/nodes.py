"""Which process of a house sees which turns through."""

from collections.abc import Collection

from antiphon.errors import ServiceError
from antiphon.storage.base import Unfinished
from antiphon.storage.sql.inbox import unfinished_of
from antiphon.storage.sql.unit import Database, Unit, many

NOBODY = ""
"""The node of a turn that its process has given away, or that a process has left which was alone."""


class SqlNodes:
    """`NodeStore` on any SQL database, for the process `node`."""

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node

    async def turns(self) -> set[str]:
        return await self._database.read(_turns, self._node)

    async def gone(self) -> set[str]:
        return await self._database.read(_gone, self._node)

    async def take_over(self, nodes: Collection[str]) -> list[str]:
        if not self._node:
            raise ServiceError("A process that is alone takes nothing over: everything is its own.")
        return await self._database.write(_move, sorted(nodes), self._node)

    async def give_away(self) -> None:
        if self._node:
            await self._database.write(_move, [self._node], NOBODY)

    async def open(self, conversation_id: str) -> tuple[str, list[Unfinished]]:
        return await self._database.read(_open, conversation_id)


def _turns(node: str) -> Unit[set[str]]:
    return {row[0] for row in (yield from many("node_turns", node=node))}


def _gone(node: str) -> Unit[set[str]]:
    return {row[0] for row in (yield from many("node_gone", node=node))}


def _move(nodes: list[str], to: str) -> Unit[list[str]]:
    """Takes the conversations first, so that two who do this share nothing out between them."""
    moved: list[str] = []
    for gone in nodes:
        yield "node_lock", {"gone": gone}
        rows = yield "node_turns_move", {"gone": gone, "to": to}
        moved += [row[0] for row in rows]
    return moved


def _open(conversation_id: str) -> Unit[tuple[str, list[Unfinished]]]:
    rows = yield from many("turn_open_of", conversation_id=conversation_id)
    return (rows[0][-1] if rows else NOBODY), (yield from unfinished_of(rows))
