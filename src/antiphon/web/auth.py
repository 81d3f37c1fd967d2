"""Who is asking. Without authentication every client on loopback is the one person `local`, an operator."""

from collections.abc import Awaitable, Callable

from antiphon.domain import Person
from antiphon.storage.base import LOCAL_ACCOUNT, PeopleStore

CurrentPerson = Callable[[], Awaitable[Person]]
"""Finds the person behind a request or a connection."""


def everybody_is_local(people: PeopleStore) -> CurrentPerson:
    """For a house that listens on loopback only, where whoever reaches it owns the machine."""

    async def current() -> Person:
        return await people.by_account(*LOCAL_ACCOUNT, name="You")

    return current
