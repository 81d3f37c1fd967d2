"""The right to answer from a database: one process at a time has it, because a second one would end the turns that the
first is running; or several have it together, which tell each other whose turn is whose (`NodeStore`)."""

from typing import Protocol

from msgspec import Struct

from antiphon.errors import ServiceError


class Holder(Struct, frozen=True):
    """Who answers from a database. `url` is None where it does not listen or cannot be reached from here, `host` empty
    when it is this machine; a `pid` of 0 is not known."""

    pid: int
    url: str | None = None
    host: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return "Another process"
        facts = [f"{self.pid}{f' on {self.host}' if self.host else ''}", *([self.url] if self.url else [])]
        return f"Another process ({', '.join(facts)})"


class Claim(Protocol):
    """It ends with the process, however that ends, so that nobody has to clean up."""

    async def take(self, url: str | None = None) -> None:
        """Makes this process the holder, or one of them, which is found at `url`. Raises `ServiceError` naming who is
        it already."""
        ...

    async def release(self) -> None:
        """Gives it back; twice is once."""
        ...

    async def holders(self) -> list[Holder]:
        """Who has it now."""
        ...


def taken(holder: Holder | None) -> ServiceError:
    """What a process is told that comes second."""
    return ServiceError(f"{holder or Holder(0)} answers from this database already. Use it, or stop it first.")
