"""How each service is made, and whether all of them can be."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal

from msgspec import Struct

from antiphon.errors import ConfigError
from antiphon.runtime import wiring
from antiphon.runtime.spelling import near
from antiphon.runtime.wiring import Wishes, name_of

Lifetime = Literal["transient", "scoped", "singleton"]
"""A new one for whoever asks; one for each scope; one for all."""

Shape = Literal["plain", "async", "generator", "async generator"]
"""What a maker is; a generator gives one service and cleans up behind it."""


class Recipe(Struct, frozen=True, kw_only=True):
    """`makes` is the class of what comes out, as far as it is known before there is one."""

    kind: Any
    maker: Callable[..., Any]
    makes: Any
    lifetime: Lifetime
    wishes: Wishes

    @classmethod
    def of(cls, kind: Any, maker: Callable[..., Any], lifetime: Lifetime | None) -> "Recipe":
        """Raises `ConfigError` when `maker` does not say what it needs, or what it makes is no `kind`."""
        ends = _shape(maker) in {"generator", "async generator"}
        if ends and lifetime == "transient":
            raise ConfigError(
                f"{name_of(maker)} cleans up after itself, but nothing says when: register it as scoped or singleton."
            )
        makes = wiring.made_by(maker, kind)
        _satisfies(makes, kind)
        default: Lifetime = "singleton" if ends else "transient"
        return cls(kind=kind, maker=maker, makes=makes, lifetime=lifetime or default, wishes=wiring.read(maker))

    @classmethod
    def ready(cls, kind: Any, instance: object) -> "Recipe":
        """Raises `ConfigError` when `instance` lacks something that the Protocol `kind` demands."""
        _satisfies(instance, kind)
        return cls(
            kind=kind,
            maker=lambda: instance,
            makes=type(instance),
            lifetime="singleton",
            wishes=Wishes(required={}, optional={}),
        )

    @property
    def shape(self) -> Shape:
        return _shape(self.maker)


def _shape(maker: Any) -> Shape:
    if isinstance(maker, type):
        return "plain"
    call = maker if inspect.isroutine(maker) or isinstance(maker, partial) else type(maker).__call__
    if inspect.isasyncgenfunction(call):
        return "async generator"
    if inspect.iscoroutinefunction(call):
        return "async"
    return "generator" if inspect.isgeneratorfunction(call) else "plain"


def _satisfies(thing: Any, kind: Any) -> None:
    if lacking := wiring.lacking(thing, kind):
        made = thing if isinstance(thing, type) else type(thing)
        raise ConfigError(f"{name_of(made)} cannot stand for {name_of(kind)}: it has no {' and no '.join(lacking)}.")


class Graph:
    """The recipes in an order in which each comes behind those that it needs, else as they were registered.

    Raises `ConfigError` for what is missing, goes in a circle, or would outlive what it needs.
    """

    def __init__(self, recipes: Mapping[Any, Recipe], also: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> None:
        self._recipes = recipes
        self.needs = {kind: self.needs_of(recipe.wishes) for kind, recipe in recipes.items()}
        wanted = [(name_of(recipe.makes), recipe.wishes.required) for recipe in recipes.values()]
        problems = [self.complaint(by, needs) for by, needs in (*wanted, *also)]
        if missing := [problem for problem in problems if problem]:
            raise ConfigError(f"{'; '.join(missing)}. Register what is missing before the start.")
        self.order: dict[Any, Recipe] = {}
        for kind in recipes:
            self._visit(kind, ())
        self.singletons = self._singletons()
        self.asynchronous = self._spread(
            lambda recipe: recipe.shape.startswith("async"), through={"transient", "scoped", "singleton"}
        )
        self.scoped = self._spread(lambda recipe: recipe.lifetime == "scoped", through={"transient", "scoped"})

    def needs_of(self, wishes: Wishes) -> dict[str, Any]:
        """What is to be filled in: everything that is required, and of the rest what somebody provides."""
        known = {name: kind for name, kind in wishes.optional.items() if _hashable(kind) and kind in self._recipes}
        return {**wishes.required, **known}

    def complaint(self, by: str, needs: Mapping[str, Any]) -> str:
        """Which of `needs`, types by the name of a parameter, `by` misses, in words; empty when nothing is missing."""
        missing = [
            f"{self.suggest(kind)} for {name!r}"
            for name, kind in needs.items()
            if not _hashable(kind) or kind not in self._recipes
        ]
        return f"{by} needs {' and '.join(missing)}, which nobody provides" if missing else ""

    def suggest(self, kind: Any) -> str:
        """A type that nobody provides, in words, with the nearest one that somebody does."""
        known = {name_of(each): each for each in self._recipes}
        name = name_of(kind)
        found = near(name, known, likeness=0.7)
        if found == [name]:
            return f"{kind.__module__}.{name} (not the one of {known[name].__module__})"
        return f"{name} (is {found[0]} meant?)" if found else name

    def _visit(self, kind: Any, path: tuple[Any, ...]) -> None:
        if kind in path:
            circle = [*path[path.index(kind) :], kind]
            raise ConfigError(f"Services that need each other cannot be made: {' → '.join(map(name_of, circle))}.")
        if kind not in self.order:
            for need in self.needs[kind].values():
                self._visit(need, (*path, kind))
            self.order[kind] = self._recipes[kind]

    def _singletons(self) -> dict[Any, tuple[Any, ...]]:
        """For each kind the singletons that making it takes, itself too, each behind those that it needs."""
        found: dict[Any, tuple[Any, ...]] = {}
        for kind, recipe in self.order.items():
            taken = dict.fromkeys(each for need in self.needs[kind].values() for each in found[need])
            found[kind] = (*taken, kind) if recipe.lifetime == "singleton" else tuple(taken)
        return found

    def _spread(self, begins: Callable[[Recipe], bool], through: set[str]) -> set[Any]:
        """The kinds for which it is true, and those that need one of them."""
        found: set[Any] = set()
        for kind, recipe in self.order.items():
            hit = [need for need in self.needs[kind].values() if need in found]
            if hit and recipe.lifetime not in through:
                raise ConfigError(
                    f"{name_of(recipe.makes)} is made once and needs {name_of(hit[0])}, which lives no longer than a "
                    f"scope: register {name_of(kind)} as scoped too."
                )
            if hit or begins(recipe):
                found.add(kind)
        return found


def _hashable(kind: Any) -> bool:
    try:
        hash(kind)
    except TypeError:
        return False
    return True
