"""The one place for what a process has once: the running workspace's object, or a default made on first use."""

from collections.abc import Callable
from threading import RLock
from typing import Generic, TypeVar

T = TypeVar("T")


class Current(Generic[T]):
    """Behind a getter such as `get_metrics()`: the object of the workspace that runs, in any thread.

    Code that asks before a workspace runs gets a process default, which the first workspace to start adopts, so
    nothing registered early is lost. A second workspace of the process gets an object of its own.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = RLock()
        self._value: T | None = None
        self._owned = False

    def get(self) -> T:
        with self._lock:
            if self._value is None:
                self._value = self._make()
            return self._value

    def adopt(self, value: T | None = None) -> T:
        """The object a starting workspace is to use: `value` when given, else the default, or a new one when
        another workspace has that. From now on `get` returns it, unless another workspace came first."""
        with self._lock:
            if self._owned:
                return self._make() if value is None else value
            if value is not None:
                self._value = value
            self._owned = True
            return self.get()

    def release(self, value: T) -> None:
        """Called by a workspace that stopped; its object stays as the default, which the next one adopts."""
        with self._lock:
            if value is self._value:
                self._owned = False
