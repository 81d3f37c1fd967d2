"""What a function or a class asks for and what a Protocol demands, read from their annotations."""

import inspect
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from types import UnionType
from typing import Annotated, Any, Union

from msgspec import Struct

from antiphon.errors import ConfigError

_GENERATORS = frozenset({Generator, Iterator, Iterable, AsyncGenerator, AsyncIterator, AsyncIterable})
_NOT_DEMANDED = frozenset(
    {"__init__", "__subclasshook__", "__class_getitem__", "__hash__", "__annotate__", "__annotate_func__"}
)
"""Callables that Python itself puts into every Protocol."""

_MISSING = object()


class Wishes(Struct, frozen=True, kw_only=True):
    """The parameters of a callable by name, each with the type that it wants.

    Without those in `required` it cannot be called; those in `optional` have a default.
    """

    required: Mapping[str, Any]
    optional: Mapping[str, Any]


def name_of(kind: Any) -> str:
    """What people call a type or a function."""
    return getattr(kind, "__name__", None) or str(kind)


def read(target: Callable[..., Any], *, given: int = 0) -> Wishes:
    """The wishes of a function, or of a class for being made, without the first `given` parameters.

    `Annotated[X, …]` counts as X, and `X | None` as X. Raises `ConfigError` when a parameter that must be filled has
    no type, or can only be passed by position.
    """
    try:
        parameters = list(inspect.signature(target).parameters.values())[given:]
    except ValueError as error:
        raise ConfigError(f"{name_of(target)} does not say what it needs; register it with a factory.") from error
    hints = _hints(target) if parameters else {}
    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    for parameter in parameters:
        name, hint = parameter.name, hints.get(parameter.name, _MISSING)
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        if parameter.default is not parameter.empty:
            if hint is not _MISSING and parameter.kind is not parameter.POSITIONAL_ONLY:
                optional[name] = _wanted(hint)
        elif hint is _MISSING:
            raise ConfigError(f"{name_of(target)}: parameter {name!r} has no type; annotate it.")
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            raise ConfigError(f"{name_of(target)}: parameter {name!r} must be one that can be passed by name.")
        else:
            required[name] = _wanted(hint)
    return Wishes(required=required, optional=optional)


def made_by(factory: Callable[..., Any], kind: Any) -> Any:
    """The class of what a factory gives, as far as it says so, else `kind`, under which it is registered."""
    if isinstance(factory, type):
        return factory
    result = _hints(factory).get("return")
    if typing.get_origin(result) in _GENERATORS:
        result = typing.get_args(result)[0]
    return result if isinstance(result, type) and result not in {Any, type(None)} else kind


def lacking(thing: object, kind: Any) -> list[str]:
    """The members of `kind` that `thing` has not, sorted; none when `kind` is no Protocol.

    Of a class only the methods are asked for: what else its objects have is known when there is one.
    """
    if not getattr(kind, "_is_protocol", False):
        return []
    return sorted(name for name in _demands(kind, methods_only=isinstance(thing, type)) if not _has(thing, name))


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        if not isinstance(target, type):
            function = target if inspect.isroutine(target) else getattr(target, "func", type(target).__call__)
            return typing.get_type_hints(function)
        # Not every class writes its own constructor: what a struct takes are its annotations.
        constructor = inspect.getattr_static(target, "__init__")
        own = typing.get_type_hints(constructor) if inspect.isfunction(constructor) else {}
        return {**typing.get_type_hints(target), **own}
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise ConfigError(
            f"{name_of(target)}: its types cannot be resolved: {error}. Define them at module level."
        ) from error


def _wanted(hint: Any) -> Any:
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in {Union, UnionType}:
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else hint
    return hint


def _demands(kind: type, *, methods_only: bool) -> set[str]:
    demanded: set[str] = set()
    for base in kind.__mro__:
        if getattr(base, "_is_protocol", False) and base is not typing.Protocol:
            demanded |= {name for name, value in vars(base).items() if callable(value) or isinstance(value, property)}
            demanded |= set() if methods_only else set(inspect.get_annotations(base))
    return demanded - _NOT_DEMANDED


def _has(thing: object, name: str) -> bool:
    # Looked up without running it: a property may not be usable yet. A stand-in answers for whatever it is asked.
    stand_in = not isinstance(thing, type) and hasattr(type(thing), "__getattr__")
    return stand_in or inspect.getattr_static(thing, name, _MISSING) is not _MISSING
