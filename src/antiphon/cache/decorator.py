"""`@cache_result`: what a function has answered is remembered for a while."""

import inspect
from collections.abc import Awaitable, Callable, Hashable
from functools import update_wrapper
from threading import Lock
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from msgspec import Struct

from antiphon.cache.arguments import key_of
from antiphon.cache.base import lifetime
from antiphon.cache.cache import get_cache
from antiphon.cache.flights import Flights, ThreadFlights
from antiphon.errors import ValidationError

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_NOTHING: Any = object()


class CallStatistics(Struct, frozen=True, kw_only=True):
    """`uncacheable` are calls whose arguments cannot be compared, and which are therefore computed each time."""

    hits: int
    misses: int
    uncacheable: int


class CachedFunction(Protocol[P, R_co]):
    """What `cache_result` makes of a function: called as before, also as a method."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    def cache_clear(self) -> None:
        """Forgets everything, also what is being computed now."""
        ...

    def cache_stats(self) -> CallStatistics: ...

    @overload
    def __get__(self, instance: None, owner: type) -> "CachedFunction[P, R_co]": ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., R_co]: ...


def cache_result(ttl: float | None = None) -> Callable[[Callable[P, R]], CachedFunction[P, R]]:
    """Remembers results, None too, for `ttl` seconds (`performance.cache_ttl` when not given).

        @cache_result(ttl=300)
        async def rates(currency: str) -> dict[str, float]: ...

    For plain and async functions and methods. Results stay in this process, in the memory of `get_cache()`, and are
    given out as they are. Calls at the same time with the same arguments compute once; an error is told to all of them
    and not remembered. Which arguments are the same: `arguments.key_of`; instances of a class count each for itself.

    Raises `ValidationError` for a `ttl` that is no time above 0, and for generators, whose results can be used once.
    """
    seconds = None if ttl is None else lifetime(ttl)

    def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ValidationError(
                f"{function.__qualname__} gives its results one by one; @cache_result needs one result."
            )
        results = _Results(seconds)
        wrapper = (
            _cached_async(function, results) if inspect.iscoroutinefunction(function) else _cached(function, results)
        )
        update_wrapper(wrapper, function)
        vars(wrapper).update(cache_clear=results.clear, cache_stats=results.stats)
        return cast("CachedFunction[P, R]", wrapper)

    return decorate


class _Results:
    """The results of one function, among those of others in the memory of the current cache."""

    def __init__(self, ttl: float | None) -> None:
        self._ttl = ttl
        self._owner = object()
        self._lock = Lock()
        self._hits = self._misses = self._uncacheable = 0

    def key(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[object, Hashable] | None:
        key = key_of(arguments, named)
        if key is not None:
            return self._owner, key
        with self._lock:
            self._uncacheable += 1
        return None

    def find(self, key: tuple[object, Hashable]) -> Any:
        found = get_cache().memory.get(key, _NOTHING)
        with self._lock:
            if found is _NOTHING:
                self._misses += 1
            else:
                self._hits += 1
        return found

    def keep(self, key: tuple[object, Hashable], value: Any) -> None:
        if key[0] is self._owner:
            get_cache().memory.set(key, value, self._ttl)

    def clear(self) -> None:
        # Another owner: what is being computed belongs to the old one, and nobody will ask for it.
        old, self._owner = self._owner, object()
        get_cache().memory.clear(old)

    def stats(self) -> CallStatistics:
        with self._lock:
            return CallStatistics(hits=self._hits, misses=self._misses, uncacheable=self._uncacheable)


def _cached(function: Callable[..., Any], results: _Results) -> Callable[..., Any]:
    flights = ThreadFlights()

    def call(*args: Any, **kwargs: Any) -> Any:
        key = results.key(args, kwargs)
        if key is None:
            return function(*args, **kwargs)
        found = results.find(key)
        if found is not _NOTHING:
            return found

        def compute() -> Any:
            value = function(*args, **kwargs)
            results.keep(key, value)
            return value

        return flights.join(key, compute)

    return call


def _cached_async(function: Callable[..., Awaitable[Any]], results: _Results) -> Callable[..., Awaitable[Any]]:
    flights = Flights()

    async def call(*args: Any, **kwargs: Any) -> Any:
        key = results.key(args, kwargs)
        if key is None:
            return await function(*args, **kwargs)
        found = results.find(key)
        if found is not _NOTHING:
            return found

        async def compute() -> Any:
            value = await function(*args, **kwargs)
            results.keep(key, value)
            return value

        return await flights.join(key, compute)

    return call
