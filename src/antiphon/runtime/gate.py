"""One at a time, whether in a thread or in a task."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from threading import Lock, get_ident

from antiphon.errors import ServiceError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02


class _Stay:
    """Somebody's time inside a gate. Tasks that were made meanwhile inherit it, and are outside when it is over."""

    def __init__(self, gate: "Gate") -> None:
        self.gate = gate
        self.over = False


_stays: ContextVar[tuple[_Stay, ...]] = ContextVar("stays", default=())


class Gate:
    """A lock for blocking and for async code alike; whoever is inside may enter again.

    A task that waits does not hold up its event loop. Blocking code that would have to wait for a task of its own
    loop, which cannot go on meanwhile, gets a `ServiceError` instead.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._loop_thread: int | None = None

    @contextmanager
    def hold(self) -> Generator[None]:
        if self._is_inside():
            yield
            return
        if self._loop_thread == get_ident():
            raise ServiceError("A task is making services at this moment; await `aresolve` instead of `resolve`.")
        with self._lock, self._stay():
            yield

    @asynccontextmanager
    async def ahold(self) -> AsyncGenerator[None]:
        if self._is_inside():
            yield
            return
        pause = _FIRST_PAUSE
        while not self._lock.acquire(blocking=False):
            # A thread that leaves cannot hand over to a task whose loop may itself be waiting to enter: try again.
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        try:
            self._loop_thread = get_ident()
            with self._stay():
                yield
        finally:
            self._loop_thread = None
            self._lock.release()

    def _is_inside(self) -> bool:
        return any(stay.gate is self and not stay.over for stay in _stays.get())

    @contextmanager
    def _stay(self) -> Generator[None]:
        stay = _Stay(self)
        token = _stays.set((*_stays.get(), stay))
        try:
            yield
        finally:
            stay.over = True
            _stays.reset(token)
