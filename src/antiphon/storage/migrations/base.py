"""What changes the schema of a database, whichever it is."""

from typing import Protocol


class Migrator(Protocol):
    """The schema of one database. Every method raises `ServiceError` with what to do when the database cannot be had,
    is another program's, or was written by a newer version."""

    async def found(self) -> str | None:
        """The revision the database has, None when there is nothing in it."""
        ...

    async def move(self, to: str) -> None:
        """Brings it to the revision `to`, forward or back, in one transaction."""
        ...

    def sql(self, since: str | None, to: str) -> str:
        """What that takes, for a person who runs it by hand."""
        ...
