"""Runs checks against a server, many at once, and gathers what each found."""

import asyncio
import os
import time
from collections.abc import Sequence
from itertools import count
from typing import Literal

import msgspec

from antiphon.testing.conformance.guest import Mismatch
from antiphon.testing.conformance.raw import RoomAddress
from antiphon.testing.conformance.registry import Check, Part
from antiphon.testing.conformance.room import Room

Outcome = Literal["passed", "failed", "not offered"]

_AT_ONCE = 16
_LIMIT, _SLOW_LIMIT = 45.0, 150.0


class Verdict(msgspec.Struct, frozen=True):
    """What came of one check; `expected` and `received` say why it failed, the transcript what was said until then."""

    rule: str
    level: str
    statement: str
    outcome: Outcome
    seconds: float
    expected: str = ""
    received: str = ""
    transcript: tuple[str, ...] = ()


class Runner:
    """`patience` is how many seconds an answer may take before it counts as none."""

    def __init__(self, address: RoomAddress, *, patience: float = 5.0) -> None:
        self._address = address
        self._patience = patience
        # Several runs may ask one server at the same time.
        self._run = os.urandom(4).hex()
        self._rooms = count(1)
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def run(self, checks: Sequence[Check]) -> list[Verdict]:
        """The verdicts in the order of the checks. Raises `ConnectionError` or `OSError` where no server answers."""
        missing = await self._missing()
        return await asyncio.gather(*(self._examine(check, missing) for check in checks))

    async def _missing(self) -> frozenset[Part]:
        """The parts of the room that the server does not have."""
        missing = set[Part]()
        async with self._room() as room:
            answer = await room.ask("GET", "/longpoll", "vsn=2.0.0")
            if answer.status == 404:
                missing.add("long-poll")
            socket = await room.upgrade()
            if not socket.accepted:
                return frozenset(missing)
            try:
                guest, topic = room.guest(socket), room.unique()
                await guest.join(topic)
                reply = await guest.call(topic, "who")
            except (Mismatch, asyncio.IncompleteReadError, ConnectionError):
                return frozenset(missing)
            if reply.status != "ok":
                missing.add("presence")
        return frozenset(missing)

    def _room(self) -> Room:
        return Room(self._address, self._patience, f"{self._run}-{next(self._rooms)}")

    async def _examine(self, check: Check, missing: frozenset[Part]) -> Verdict:
        if check.part in missing:
            return self._verdict(check, "not offered", 0.0)
        async with self._places, self._room() as room:
            begun = time.monotonic()
            try:
                async with asyncio.timeout(_SLOW_LIMIT if check.slow else _LIMIT):
                    await check.ask(room)
            except Mismatch as mismatch:
                why = (mismatch.expected, mismatch.received)
            except TimeoutError:
                why = ("an end", "nothing more, for too long")
            except (asyncio.IncompleteReadError, OSError):
                why = ("an answer", "the end of the connection")
            except (LookupError, TypeError, AttributeError, ValueError) as error:
                why = ("the known shape", f"something that has none ({type(error).__name__}: {error})")
            else:
                return self._verdict(check, "passed", time.monotonic() - begun)
            return self._verdict(check, "failed", time.monotonic() - begun, why, room.transcript)

    def _verdict(
        self,
        check: Check,
        outcome: Outcome,
        seconds: float,
        why: tuple[str, str] = ("", ""),
        transcript: Sequence[str] = (),
    ) -> Verdict:
        return Verdict(
            check.rule, check.level, check.statement, outcome, round(seconds, 3), *why, tuple(transcript[-30:])
        )
