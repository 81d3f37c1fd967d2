"""Services by type: registered before the start, made with what their constructors ask for when somebody needs them.

The graph behind it is dishka's, which only this module knows.
"""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import wraps
from importlib import import_module
from types import TracebackType
from typing import Any, Self, TypeVar, cast, overload

from antiphon.errors import ConfigError, ServiceError
from antiphon.runtime import wiring
from antiphon.runtime.gate import Gate
from antiphon.runtime.recipes import Graph, Lifetime, Recipe, Shape
from antiphon.runtime.wiring import name_of

T = TypeVar("T")

_ABSENT: Any = object()


class ServiceContainer:
    """The services of a program.

        container = ServiceContainer()
        container.register(HardwareService)
        container.register_singleton(ConfigurationManager, config_instance)
        service = container.resolve(HardwareService)

    Everything is checked when the first service is asked for, or by `build`. Registering the same type again replaces
    it until then; later only new types can be added. Any thread and task may use it.
    """

    def __init__(self) -> None:
        self._gate = Gate()
        self._recipes: dict[Any, Recipe] = {}
        self._wanted: list[tuple[str, Mapping[str, Any]]] = []
        self._made: dict[Any, Any] = {}
        self._graph: Graph | None = None
        self._roots: list[Any] = []
        self._settled: frozenset[Any] = frozenset()
        self._closed = False
        self.register_singleton(ServiceContainer, self)

    # --- registering ----------------------------------------------------------------------------------------------

    def register(self, cls: type[Any], *, provides: Any = None, lifetime: Lifetime = "transient") -> None:
        """Makes a `cls` whenever somebody asks for it, or for `provides`, with what its constructor is annotated with.

        A parameter that has a default keeps it when nobody provides its type."""
        self._add(Recipe.of(cls if provides is None else provides, cls, lifetime))

    def register_singleton(self, kind: Any, instance: Any = None) -> None:
        """The one object for `kind`: `instance`, which its owner closes. A class in its place, or nothing, is made
        once, when it is first needed."""
        maker = kind if instance is None else instance
        self._add(Recipe.of(kind, maker, "singleton") if isinstance(maker, type) else Recipe.ready(kind, instance))

    def register_factory(self, kind: Any, factory: Callable[..., Any], *, lifetime: Lifetime | None = None) -> None:
        """What `factory` gives, called with what it is annotated with: a function, an async one, or a generator of
        either kind that gives one service and cleans up behind the `yield`.

        Without a `lifetime` a function is called for everybody who asks, a generator once."""
        self._add(Recipe.of(kind, factory, lifetime))

    def _add(self, recipe: Recipe) -> None:
        with self._gate.hold():
            if recipe.kind in self._settled:
                raise ConfigError(
                    f"{name_of(recipe.kind)} may be in use already; replace it before the first service is asked for."
                )
            self._recipes[recipe.kind] = recipe
            self._graph = None

    def build(self) -> None:
        """Checks that everything can be made; raises `ConfigError` naming who needs what. Opens a closed container."""
        with self._gate.hold():
            self._closed = False
            self._checked()

    def _checked(self) -> Graph:
        """The graph of what is registered by now. Called with the gate held."""
        self._refuse_closed()
        if self._graph is None:
            graph = Graph(self._recipes, self._wanted)
            self._roots.append(_dishka(graph, self._made))
            self._graph, self._settled = graph, frozenset(self._recipes)
        return self._graph

    def checkpoint(self) -> Callable[[], None]:
        """What, when it is called, takes back all that was registered since, and made of it."""
        recipes, wanted, made, settled = dict(self._recipes), [*self._wanted], dict(self._made), self._settled

        def take_back() -> None:
            with self._gate.hold():
                self._recipes, self._wanted, self._settled, self._graph = recipes, wanted, settled, None
                self._made.clear()
                self._made.update(made)

        return take_back

    # --- resolving ------------------------------------------------------------------------------------------------

    @overload
    def resolve(self, kind: type[T]) -> T: ...

    @overload
    def resolve(self, kind: Any) -> Any: ...

    def resolve(self, kind: Any) -> Any:
        """The service of that type. Raises `ConfigError` when nobody provides it, or only `aresolve` or a scope can."""
        found = self._made.get(kind, _ABSENT) if self._graph is not None else _ABSENT
        return self._get(kind, None) if found is _ABSENT else found

    @overload
    async def aresolve(self, kind: type[T]) -> T: ...

    @overload
    async def aresolve(self, kind: Any) -> Any: ...

    async def aresolve(self, kind: Any) -> Any:
        """As `resolve`, also for what async factories make."""
        found = self._made.get(kind, _ABSENT) if self._graph is not None else _ABSENT
        return await self._aget(kind, None) if found is _ABSENT else found

    def scope(self) -> "ServiceScope":
        """For one piece of work, as `async with container.scope() as scope`: what is registered as scoped is made once
        in it and gone behind it."""
        return ServiceScope(self)

    def _get(self, kind: Any, scope: "ServiceScope | None") -> Any:
        graph = self._allowed(kind, scope)
        if kind in graph.asynchronous and kind not in self._made:
            raise ConfigError(f"{name_of(kind)} is made by async code; await `aresolve({name_of(kind)})`.")
        for each in graph.singletons[kind]:
            if each not in self._made:
                with self._gate.hold():
                    if each not in self._made:
                        self._root().get_sync(each)
        if kind in self._made:
            return self._made[kind]
        if scope is None:
            return self._root().get_sync(kind)
        with scope.gate.hold():
            return scope.child.get_sync(kind)

    async def _aget(self, kind: Any, scope: "ServiceScope | None") -> Any:
        # Only what others share is made one at a time: a connection for each scope may be opened by many at once.
        for each in self._allowed(kind, scope).singletons[kind]:
            if each not in self._made:
                async with self._gate.ahold():
                    if each not in self._made:
                        await self._root().get(each)
        if kind in self._made:
            return self._made[kind]
        if scope is None:
            return await self._root().get(kind)
        async with scope.gate.ahold():
            return await scope.child.get(kind)

    def _allowed(self, kind: Any, scope: "ServiceScope | None") -> Graph:
        graph = self._current()
        if kind not in graph.order:
            raise ConfigError(f"Nobody provides {graph.suggest(kind)}; register it before it is asked for.")
        if scope is None and kind in graph.scoped:
            raise ConfigError(f"{name_of(kind)} lives in a scope; ask for it inside `async with container.scope()`.")
        return graph

    def _child(self) -> Any:
        self._current()
        return self._root()()

    def _current(self) -> Graph:
        graph = self._graph
        if graph is not None:  # nobody has to wait for what is being made
            return graph
        self._refuse_closed()  # nor for what is being closed
        with self._gate.hold():
            return self._checked()

    def _root(self) -> Any:
        """What makes the services; who has waited for the gate may find it closed."""
        self._refuse_closed()
        return self._roots[-1]

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ServiceError("The services of this program have been closed.")

    # --- for functions that need services -------------------------------------------------------------------------

    def require(self, needs: Mapping[str, Any], *, by: str) -> None:
        if problem := self._current().complaint(by, needs):
            raise ConfigError(f"{problem}. Register it before the start.")

    def supply(self, needs: Mapping[str, Any]) -> AbstractAsyncContextManager[dict[str, Any]]:
        return _Supply(self, needs)

    def inject(self, function: Callable[..., Any], *, by: str = "", given: int = 0) -> Callable[..., Awaitable[Any]]:
        wishes = wiring.read(function, given=given)
        if not wishes.required and not wishes.optional and inspect.iscoroutinefunction(function):
            return function
        by = by or name_of(function)
        if self._graph is None:
            self._wanted.append((by, wishes.required))
        else:
            self.require(wishes.required, by=by)

        graph: Graph | None = None
        needs: dict[str, Any] = {}

        @wraps(function)
        async def injected(*args: Any, **keywords: Any) -> Any:
            nonlocal graph, needs
            if graph is None or graph is not self._graph:
                graph = self._current()
                needs = graph.needs_of(wishes)
            async with self.supply(needs) as services:
                result = function(*args, **{**services, **keywords})
                return await result if inspect.isawaitable(result) else result

        return injected

    # --- life -----------------------------------------------------------------------------------------------------

    def singletons(self, kind: type[Any]) -> tuple[Any, ...]:
        """The types under which a singleton is registered that is a `kind`, a Protocol, as far as that is known before
        it is made. Each comes behind those that it needs, else in the order in which they were registered."""
        return tuple(recipe.kind for recipe in self._current().order.values() if _is_one(recipe, kind))

    async def aclose(self) -> None:
        """Cleans up behind generators, the last made first. Raises `ServiceError` at the end, naming what failed."""
        async with self._gate.ahold():
            roots, self._roots = self._roots, []
            self._made.clear()
            self._graph, self._settled, self._closed = None, frozenset(), True
            await _close(reversed(roots))

    async def __aenter__(self) -> Self:
        self.build()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class ServiceScope:
    """Services for one piece of work; see `ServiceContainer.scope`."""

    def __init__(self, container: ServiceContainer) -> None:
        self._container = container
        self._child: Any = None
        self.gate = Gate()

    async def __aenter__(self) -> Self:
        self._child = self._container._child()  # noqa: SLF001 - the two are one thing
        return self

    async def __aexit__(self, *_: object) -> None:
        child, self._child = self._child, None
        await _close([child])

    @property
    def child(self) -> Any:
        """What makes the services; for the container."""
        if self._child is None:
            raise ServiceError("This scope is not open; use it inside `async with container.scope() as scope`.")
        return self._child

    @overload
    def resolve(self, kind: type[T]) -> T: ...

    @overload
    def resolve(self, kind: Any) -> Any: ...

    def resolve(self, kind: Any) -> Any:
        return self._container._get(kind, self)  # noqa: SLF001

    @overload
    async def aresolve(self, kind: type[T]) -> T: ...

    @overload
    async def aresolve(self, kind: Any) -> Any: ...

    async def aresolve(self, kind: Any) -> Any:
        return await self._container._aget(kind, self)  # noqa: SLF001


class _Supply:
    """What `ServiceContainer.supply` gives: a look-up where all services are there already, a scope where one of them
    has to be made."""

    __slots__ = ("_container", "_needs", "_opened")

    def __init__(self, container: ServiceContainer, needs: Mapping[str, Any]) -> None:
        self._container = container
        self._needs = needs
        self._opened: AsyncExitStack | None = None

    async def __aenter__(self) -> dict[str, Any]:
        made = self._container._made  # noqa: SLF001
        try:
            return {name: made[kind] for name, kind in self._needs.items()}
        except KeyError:
            return await self._make()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._opened is not None:
            await self._opened.__aexit__(kind, error, stack)

    async def _make(self) -> dict[str, Any]:
        async with AsyncExitStack() as opened:
            scope = await opened.enter_async_context(self._container.scope())
            made = {name: await scope.aresolve(kind) for name, kind in self._needs.items()}
            self._opened = opened.pop_all()
        return made


def _is_one(recipe: Recipe, kind: type[Any]) -> bool:
    return recipe.lifetime == "singleton" and isinstance(recipe.makes, type) and not wiring.lacking(recipe.makes, kind)


def _dishka(graph: Graph, made: dict[Any, Any]) -> Any:
    dishka = import_module("dishka")
    provider = dishka.Provider()
    for kind, recipe in graph.order.items():
        provider.provide(
            _source(recipe, graph.needs[kind], made),
            provides=kind,
            scope=dishka.Scope.REQUEST if kind in graph.scoped else dishka.Scope.APP,
            cache=recipe.lifetime != "transient",
        )
    return dishka.make_async_container(provider, lock_factory=None)  # the gate is the lock


async def _close(containers: Iterable[Any]) -> None:
    errors: list[BaseException] = []
    for container in containers:
        try:
            await container.close()
        except ExceptionGroup as group:
            errors += group.exceptions
    if errors:
        causes = "; ".join(f"{type(error).__name__}: {error}" for error in errors)
        raise ServiceError(f"Not all services cleaned up after themselves: {causes}.") from errors[0]


def _source(recipe: Recipe, needs: Mapping[str, Any], made: dict[Any, Any]) -> Callable[..., Any]:
    """The maker in the form in which dishka reads it: what it needs, and nothing else, as keywords.

    What an earlier graph has made is given on; that graph closes it.
    """
    maker, kind = recipe.maker, recipe.kind

    def keep(value: Any) -> Any:
        if recipe.lifetime == "singleton":
            made[kind] = value
        return value

    def give(**services: Any) -> Any:
        return made[kind] if kind in made else keep(maker(**services))

    async def agive(**services: Any) -> Any:
        return made[kind] if kind in made else keep(await maker(**services))

    def lend(**services: Any) -> Generator[Any]:
        if kind in made:
            yield made[kind]
            return
        with contextmanager(maker)(**services) as value:
            yield keep(value)

    async def alend(**services: Any) -> AsyncGenerator[Any]:
        if kind in made:
            yield made[kind]
            return
        async with asynccontextmanager(maker)(**services) as value:
            yield keep(value)

    forms: dict[Shape, Callable[..., Any]] = {
        "plain": give,
        "async": agive,
        "generator": lend,
        "async generator": alend,
    }
    source: Any = forms[recipe.shape]
    source.__annotations__ = dict(needs)
    source.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=need) for name, need in needs.items()]
    )
    return cast("Callable[..., Any]", source)
