"""What assistants keep of conversations."""

from antiphon.storage.sql.records import storable
from antiphon.storage.sql.unit import Database, Unit, one, run


class SqlStates:
    """`StateStore` on any SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, conversation_id: str, name: str) -> str | None:
        return await self._database.read(_get, conversation_id, name)

    async def put(self, conversation_id: str, name: str, data: str) -> None:
        await self._database.write(run, "state_put", conversation_id=conversation_id, state=name, data=storable(data))


def _get(conversation_id: str, name: str) -> Unit[str | None]:
    row = yield from one("state_get", conversation_id=conversation_id, state=name)
    return str(row[0]) if row else None
