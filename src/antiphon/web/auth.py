"""Who is asking. Without authentication every client on loopback is the one person `local`, an operator."""

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException

from antiphon.domain import Person
from antiphon.storage.base import LOCAL_ACCOUNT, PeopleStore

CurrentPerson = Callable[[], Awaitable[Person]]
"""Finds the person behind a request or a connection."""


def everybody_is_local(people: PeopleStore) -> CurrentPerson:
    """For a house that listens on loopback only, where whoever reaches it owns the machine."""

    async def current() -> Person:
        return await people.by_account(*LOCAL_ACCOUNT, name="You")

    return current


def is_operator(person: Person) -> bool:
    """Whether the inside of the house may be shown to this person, and changed by them."""
    return person.operator


def operators_only(current: CurrentPerson) -> CurrentPerson:
    """`current`, which turns everybody else away (403)."""

    async def operator() -> Person:
        person = await current()
        if not is_operator(person):
            raise HTTPException(403, "Only an operator of this house may do this.")
        return person

    return operator
