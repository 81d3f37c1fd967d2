"""The lives of the program that dies, one after the other, on one port and one database."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.crashing.points import Point
from tests.crashing.program import Order
from tests.serving import LONGEST, SOURCE, environment


class Life:
    """A process of its own. `over` is set when it is dead; `who` is what it said of the message it died with."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.who: list[str] | None = None
        self.ready = asyncio.Event()
        self.over = asyncio.Event()
        self.status = 0

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    async def stop(self) -> int:
        """Asks it to stop, and returns its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        async with asyncio.timeout(LONGEST):
            await self.over.wait()
        return self.status


class Lives:
    """Begins lives, between `async with`. `url` is where all of them listen, known from the first one on."""

    def __init__(self, folder: Path, platform: str, database: str) -> None:
        self.url = ""
        self.life: Life | None = None
        self._folder = folder
        self._platform = platform
        self._database = database
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        return (self._folder / "lives.log").read_text(encoding="utf-8")

    async def __aenter__(self) -> Self:
        with (self._folder / "lives.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.crashing.program", self._platform),
                cwd=self._folder,
                env=environment(
                    self._folder,
                    PYTHONPATH=f"{SOURCE}{os.pathsep}{SOURCE.parent}",
                    ANTIPHON_DATABASE__URL=self._database,
                ),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        if self.life is not None and not self.life.over.is_set():
            self.life.kill()
            await self.life.over.wait()
        self._process.stdin.close()
        await self._process.wait()

    async def begin(self, point: Point | None = None, occurrence: int = 1, seed: int = 0) -> Life:
        """The next life, once it listens or is over."""
        assert self._process is not None
        assert self._process.stdin is not None
        port = int(self.url.rpartition(":")[2] or 0)
        order = Order(port=port, point=point, occurrence=occurrence, seed=seed)
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        async with asyncio.timeout(LONGEST):
            life = self.life = Life((await self._heard())["pid"])
            self._following = asyncio.create_task(self._follow(life))
            await asyncio.wait(
                {asyncio.create_task(life.ready.wait()), self._following}, return_when=asyncio.FIRST_COMPLETED
            )
        return life

    async def _follow(self, life: Life) -> None:
        while not life.over.is_set():
            heard = await self._heard()
            match heard["event"]:
                case "ready":
                    self.url = heard["url"]
                    life.ready.set()
                case "killed":
                    life.who = heard["who"]
                case "died":
                    life.status = heard["status"]
                    life.over.set()
                    life.ready.set()

    async def _heard(self) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, f"the program that starts the lives has ended:\n{self.log[-4000:]}"
        return json.loads(line)
