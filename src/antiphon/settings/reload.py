"""Taking changed settings into a running house: on SIGHUP, and where it is asked for when a file changes.

The whole new tree is read and checked first. What may change while everything runs is taken, all at once; for the rest
the log says that a restart is needed. Sources that are wrong change nothing.
"""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from antiphon.errors import AntiphonError, ConfigError
from antiphon.runtime.tasks import Restart, Tasks
from antiphon.runtime.terminal import has_terminal
from antiphon.runtime.threads import run_async
from antiphon.settings import schema
from antiphon.settings.config import Config
from antiphon.settings.rules import sentence
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

Listener = Callable[[Config], Awaitable[None] | None]
_Stamps = dict[Path, tuple[int, int, int] | None]


class ConfigReloader:
    """Holds the configuration that counts now. `check` may refuse a new one by raising an `AntiphonError`; when a
    listener does so, or fails, all are told the old one again.

    `start` logs what the rules say, and begins to watch the files when `watch_seconds` is set; `stop` ends that.
    """

    def __init__(self, config: Config, *, check: Callable[[Config], None] = lambda _: None) -> None:
        self.config = config
        self._check = check
        self._listeners: list[Listener] = []
        self._tasks = Tasks()
        self._one_at_a_time = asyncio.Lock()

    def listen(self, listener: Listener) -> None:
        """`listener` is told each configuration that takes the place of another, in the order of registration."""
        self._listeners.append(listener)

    async def reload(self) -> bool:
        """Reads all sources again, and tells whether anything changed. Never raises for what stands in them."""
        async with self._one_at_a_time:
            before = self.config
            try:
                taken = self._taken(await run_async(before.reload))
                self._check(taken)
                changed = _changed(before, taken)
                if changed:
                    await self._take(taken)
            except AntiphonError as error:
                log.warning("config.refused", reason=" ".join(error.public.splitlines()))
                return False
            if changed:
                log.info("config.reloaded", settings=sorted(".".join(path) for path in changed))
            return bool(changed)

    async def start(self) -> None:
        for problem in self.config.problems():
            log.warning("config.problem", setting=problem.key, problem=problem.text)
        if self.config.watch_seconds is not None:
            seen = await run_async(_stamps, self.config)
            self._tasks.start("settings", self._watch, self.config.watch_seconds, seen, restart=Restart())

    async def stop(self) -> None:
        await self._tasks.stop()

    @contextmanager
    def on_hangup(self, otherwise: Callable[[], None]) -> Iterator[None]:
        """Inside, SIGHUP reads the settings again. One that says that our terminal was closed calls `otherwise`."""
        hangup = getattr(signal, "SIGHUP", None)
        here = threading.current_thread() is threading.main_thread()
        if hangup is None or not here or signal.getsignal(hangup) is not signal.SIG_DFL:
            yield  # not ours to take, or started to survive it (nohup)
            return
        loop, at_terminal = asyncio.get_running_loop(), has_terminal()

        def hung_up() -> None:
            if at_terminal and not has_terminal():
                otherwise()
            else:
                self._tasks.start("settings on SIGHUP", self.reload)

        loop.add_signal_handler(hangup, hung_up)
        try:
            yield
        finally:
            loop.remove_signal_handler(hangup)

    async def _take(self, config: Config) -> None:
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._tell, self.config)
            await self._tell(config)
            undo.pop_all()

    async def _tell(self, config: Config) -> None:
        self.config = config
        for listener in self._listeners:
            if (told := listener(config)) is not None:
                await told

    def _taken(self, new: Config) -> Config:
        """The new configuration with the old values of what cannot change now. Raises `ConfigError` when the two do
        not go together."""
        taken = new
        for path in sorted(_changed(self.config, new)):
            part = schema.live_part(type(new), path)
            if part is None:
                log.warning("config.restart_needed", setting=".".join(path), source=_source(new, path))
                taken = _with(taken, path[: _depth(self.config, path)], self.config)
        if wrong := [sentence(taken, problem) for problem in taken.problems() if problem.severity == "error"]:
            raise ConfigError("\n".join(wrong))
        return taken

    async def _watch(self, seconds: float, seen: _Stamps) -> None:
        while True:
            await asyncio.sleep(seconds)
            now = await run_async(_stamps, self.config)
            if now != seen:
                seen = now
                await self.reload()


def _stamps(config: Config) -> _Stamps:
    """What tells a file from the one that it was: time, size and inode (secrets are replaced, not written)."""
    stamps: _Stamps = {}
    for path in config.read_from:
        try:
            found = path.stat()
            stamps[path] = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            stamps[path] = None
    return stamps


def _changed(old: Config, new: Config) -> set[schema.Path]:
    before, after = dict(schema.leaves(old.model_dump())), dict(schema.leaves(new.model_dump()))
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def _depth(config: Any, path: schema.Path) -> int:
    """How many steps of a path are fields of sections; the last of them holds what changed."""
    for length, step in enumerate(path, 1):
        config = getattr(config, step, None)
        if not isinstance(config, BaseModel):
            return length
    return len(path)


def _with(new: Any, path: schema.Path, old: Any) -> Any:
    """`new` with what `old` has at `path`."""
    kept = getattr(old, path[0], None)
    value = kept if len(path) == 1 else _with(getattr(new, path[0]), path[1:], kept)
    return new.model_copy(update={path[0]: value})


def _source(config: Config, path: schema.Path) -> str:
    return config.source(".".join(path)) if schema.at(type(config), path) is not None else "removed"
