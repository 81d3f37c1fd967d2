"""The event loop in a thread of its own, and the house when it lives in this process.

The main thread belongs to the terminal: signals arrive there, and readline waits there.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Self, TypeVar

from antiphon.settings.config import Config
from antiphon.workspace import Workspace

T = TypeVar("T")


class Network:
    """`with Network() as network`: runs coroutines for a thread that waits for other things."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for the result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def start(self, call: Callable[..., object], *arguments: Any) -> None:
        """Calls a function in the loop and does not wait."""
        self._loop.call_soon_threadsafe(call, *arguments)

    def begin(self, work: Coroutine[Any, Any, object]) -> None:
        """Starts a coroutine and does not wait."""
        asyncio.run_coroutine_threadsafe(work, self._loop)


class LocalHouse:
    """A workspace with its server on a free port of loopback: what `antiphon serve` is, for one terminal."""

    def __init__(self, config: Config) -> None:
        self._workspace = Workspace(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Its URL, once it listens. Raises what `Workspace.serve` raises."""
        listens = asyncio.Event()
        self._serving = asyncio.create_task(self._workspace.serve(listens.set))
        waiting = asyncio.create_task(listens.wait())
        await asyncio.wait({self._serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not listens.is_set():
            waiting.cancel()
            await self._serving
        return self._workspace.url

    async def stop(self) -> None:
        """Drains and stops."""
        self._workspace.server.stop()
        if self._serving is not None:
            with suppress(asyncio.CancelledError):
                await self._serving
