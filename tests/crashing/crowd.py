"""People who talk while the server dies: they say again what was not acknowledged, and wait for every answer."""

import asyncio
from itertools import count
from random import Random
from typing import Any

from antiphon.errors import AntiphonError
from tests.crashing.courier import Platform
from tests.crashing.lives import Life
from tests.serving import LONGEST, Visitor, Visitors

PEOPLE = 3
PLACES = (("numbered", "attic"), ("numbered", "cellar"), ("unnumbered", "attic"), ("unnumbered", "cellar"))
SAYINGS = ("!echo {}", "!slow 6 !long 60", "!tool ring {{}}", "/model demo", "!reason !long 9", "!long 30", "/status")
"""What they say. The same one always has the same answer, but for /status and the ring."""

PAUSE = 0.02
"""Seconds until somebody says again what was not acknowledged."""


class Crowd:
    """Some on the page, some on two platforms, each message with a key of its own.

    `said` is every message by its key, `receipts` what the page was told of those that were acknowledged.
    """

    def __init__(self, visitors: Visitors, platform: Platform, dice: Random) -> None:
        self.said: dict[str, str] = {}
        self.receipts: dict[str, dict[str, Any]] = {}
        self.people: list[Visitor] = []
        self._visitors = visitors
        self._platform = platform
        self._dice = dice
        self._numbers = count(1)
        self._talks: set[asyncio.Task[None]] = set()

    async def gather(self, url: str) -> None:
        """Everybody opens the page and begins a conversation."""
        self.people = [await self._visitors.enter(url, client_id=f"p{number}") for number in range(PEOPLE)]

    async def talk(self, life: Life) -> None:
        """Rounds of talk until the life is over."""
        over = asyncio.create_task(life.over.wait())
        async with asyncio.timeout(LONGEST):
            while not life.over.is_set():
                answers = asyncio.create_task(_all(self._round()))
                await asyncio.wait({answers, over}, return_when=asyncio.FIRST_COMPLETED)
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)

    async def last_words(self) -> None:
        """Returns when everything that was said on the page has its answer there, and so have new messages."""
        async with asyncio.timeout(30):
            await asyncio.gather(*self._round())
            await asyncio.gather(*self._talks)

    async def close(self) -> None:
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _round(self) -> list[asyncio.Future[None]]:
        """One message from everybody; each is a future that is done with its answer."""
        sayings = [*SAYINGS]
        self._dice.shuffle(sayings)
        waiting: list[asyncio.Future[None]] = []
        for visitor in self.people:
            key, text = self._message(sayings.pop())
            talk = asyncio.create_task(self._say(visitor, key, text))
            self._talks.add(talk)
            waiting.append(asyncio.shield(talk))
        for name, place in PLACES:
            key, text = self._message(sayings.pop())
            self._platform.say(name, place, key, text)
            waiting.append(asyncio.create_task(self._platform.answered(name, key)))
        return waiting

    def _message(self, saying: str) -> tuple[str, str]:
        number = next(self._numbers)
        key, text = f"key-{number}", saying.format(number)
        self.said[key] = text
        return key, text

    async def _say(self, visitor: Visitor, key: str, text: str) -> None:
        while key not in self.receipts:
            try:
                self.receipts[key] = await visitor.say(text, key)
            except (AntiphonError, TimeoutError):
                await asyncio.sleep(PAUSE)
        turn_id = self.receipts[key]["turn_id"]
        await visitor.see(lambda: any(m["turn_id"] == turn_id and m["role"] != "user" for m in visitor.shown()))


async def _all(waiting: list[asyncio.Future[None]]) -> None:
    await asyncio.gather(*waiting)
