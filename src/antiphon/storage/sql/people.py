"""People and their accounts on platforms."""

from antiphon.domain import Person, new_id, now
from antiphon.storage.base import LOCAL_ACCOUNT
from antiphon.storage.sql.records import micros, person_of, storable
from antiphon.storage.sql.unit import Database, Unit, many, one, run


class SqlPeople:
    """`PeopleStore` on any SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, person_id: str) -> Person | None:
        return await self._database.read(_get, person_id)

    async def by_account(self, adapter: str, account: str, *, name: str = "") -> Person:
        known = await self._database.read(_by_account, adapter, account)
        if known is not None:
            return known
        return await self._database.write(known_person, adapter, account, name)

    async def page(self, *, after: str = "", limit: int = 100) -> list[Person]:
        return await self._database.read(_page, after, limit)

    async def rename(self, person_id: str, name: str) -> None:
        await self._database.write(run, "person_rename", id=person_id, new_name=storable(name))

    async def prefer_model(self, person_id: str, model: str | None) -> None:
        await self._database.write(run, "person_prefer", id=person_id, new_model=model)

    async def prefer_language(self, person_id: str, language: str | None) -> None:
        await self._database.write(run, "person_speak", id=person_id, new_language=language)


def _get(person_id: str) -> Unit[Person | None]:
    row = yield from one("person_by_id", id=person_id)
    return person_of(row) if row else None


def _page(after: str, limit: int) -> Unit[list[Person]]:
    rows = yield from many("people_page", after=after, limit=limit)
    return [person_of(row) for row in rows]


def _by_account(adapter: str, account: str) -> Unit[Person | None]:
    row = yield from one("person_by_account", adapter=adapter, account=account)
    return person_of(row) if row else None


def known_person(adapter: str, account: str, name: str) -> Unit[Person]:
    """The person behind an account, made when the account is new."""
    known = yield from _by_account(adapter, account)
    if known is not None:
        return known
    local = (adapter, account) == LOCAL_ACCOUNT
    person = Person(id="local" if local else new_id(), name=storable(name) or account, created_at=now(), operator=local)
    created_at = micros(person.created_at)
    yield (
        "person_add",
        {
            "id": person.id,
            "name": person.name,
            "operator": local,
            "preferred_model": None,
            "created_at": created_at,
            "language": None,
        },
    )
    yield (
        "account_add",
        {"adapter": adapter, "account": account, "person_id": person.id, "created_at": created_at},
    )
    return person
