"""Services by type: how they are made, how long they live, and what a start says about those that cannot be."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, Protocol, runtime_checkable

import pytest
from msgspec import Struct

from antiphon.errors import ConfigError, ServiceError
from antiphon.runtime.base import BaseService, Service
from antiphon.runtime.container import ServiceContainer


@runtime_checkable
class Notes(Protocol):
    async def all(self) -> list[str]: ...


class Paper:
    """A place for notes."""

    async def all(self) -> list[str]:
        return ["milk"]


class Lamp:
    pass


class Desk:
    def __init__(self, notes: Notes, lamp: Lamp) -> None:
        self.notes = notes
        self.lamp = lamp


@pytest.fixture
def container() -> ServiceContainer:
    return ServiceContainer()


# --- the verbs ----------------------------------------------------------------------------------------------------


def test_a_registered_class_is_made_for_everybody_who_asks(container: ServiceContainer) -> None:
    container.register(Lamp)
    assert isinstance(container.resolve(Lamp), Lamp)
    assert container.resolve(Lamp) is not container.resolve(Lamp)


def test_a_singleton_is_the_object_that_was_given(container: ServiceContainer) -> None:
    lamp = Lamp()
    container.register_singleton(Lamp, lamp)
    assert container.resolve(Lamp) is lamp


@pytest.mark.parametrize("arguments", [(Notes, Paper), (Paper,)])
def test_a_singleton_of_a_class_is_made_once_when_it_is_needed(
    container: ServiceContainer, arguments: tuple[Any, ...]
) -> None:
    container.register_singleton(*arguments)
    assert isinstance(container.resolve(arguments[0]), Paper)
    assert container.resolve(arguments[0]) is container.resolve(arguments[0])


def test_what_was_registered_since_is_taken_back_with_what_was_made_of_it(container: ServiceContainer) -> None:
    container.register(Desk)
    container.register(Paper, provides=Notes)
    container.register_singleton(Lamp, lamp := Lamp())
    take_back = container.checkpoint()
    container.register_singleton(Lamp, Lamp())
    container.register_singleton(Paper)
    assert container.resolve(Desk).lamp is not lamp
    take_back()
    assert container.resolve(Desk).lamp is lamp
    with pytest.raises(ConfigError, match="Nobody provides"):
        container.resolve(Paper)


def test_a_constructor_is_given_what_it_is_annotated_with(container: ServiceContainer) -> None:
    container.register(Desk)
    container.register(Paper, provides=Notes)
    container.register_singleton(Lamp)
    first, second = container.resolve(Desk), container.resolve(Desk)
    assert first.lamp is second.lamp
    assert first.notes is not second.notes


class Shelf(Struct):
    lamp: Lamp
    books: int = 3


@dataclass
class Room:
    desk: Annotated[Desk, "of oak"]
    shelf: "Shelf"
    lamp: Lamp | None = None
    cat: Callable[[], None] | None = None


def test_structs_and_dataclasses_are_made_too_and_defaults_stay(container: ServiceContainer) -> None:
    for kind in (Room, Shelf, Desk, Lamp):
        container.register(kind)
    container.register_singleton(Notes, Paper())
    room = container.resolve(Room)
    assert isinstance(room.lamp, Lamp)  # optional, and there is one
    assert (room.shelf.books, room.cat) == (3, None)


class Quiet(Notes):
    """Names its Protocol as its base and writes no constructor."""

    async def all(self) -> list[str]:
        return []


def test_a_class_that_inherits_its_protocol_is_made(container: ServiceContainer) -> None:
    container.register(Quiet, provides=Notes)
    assert isinstance(container.resolve(Notes), Quiet)


class Maker:
    def __call__(self, lamp: Lamp) -> Desk:
        return Desk(Paper(), lamp)

    def make(self, lamp: Lamp) -> Desk:
        return Desk(Paper(), lamp)


def make_desk(height: int, lamp: Lamp) -> Desk:
    desk = Desk(Paper(), lamp)
    desk.height = height  # type: ignore[attr-defined]
    return desk


@pytest.mark.parametrize("factory", [Maker(), Maker().make, partial(make_desk, 70), lambda: Desk(Paper(), Lamp())])
def test_whatever_can_be_called_is_a_factory(container: ServiceContainer, factory: Callable[..., Desk]) -> None:
    container.register_singleton(Lamp)
    container.register_factory(Desk, factory)
    assert container.resolve(Desk) is not container.resolve(Desk)
    container.register_factory(Notes, Paper, lifetime="singleton")
    assert container.resolve(Notes) is container.resolve(Notes)


async def test_an_async_factory_is_awaited(container: ServiceContainer) -> None:
    async def make(lamp: Lamp) -> Desk:
        await asyncio.sleep(0)
        return Desk(Paper(), lamp)

    container.register(Lamp)
    container.register_factory(Desk, make, lifetime="singleton")
    with pytest.raises(ConfigError, match=r"Desk is made by async code; await `aresolve\(Desk\)`"):
        container.resolve(Desk)
    desk = await container.aresolve(Desk)
    assert container.resolve(Desk) is desk, "it has been made"


def test_the_container_itself_can_be_asked_for(container: ServiceContainer) -> None:
    assert container.resolve(ServiceContainer) is container


def test_a_factory_may_ask_the_container_itself(container: ServiceContainer) -> None:
    container.register_singleton(Lamp)
    container.register_factory(Desk, lambda: Desk(Paper(), container.resolve(Lamp)), lifetime="singleton")
    assert container.resolve(Desk).lamp is container.resolve(Lamp)


async def test_an_async_factory_may_ask_it_too_and_so_may_its_tasks(container: ServiceContainer) -> None:
    async def make() -> Desk:
        lamp = await asyncio.create_task(container.aresolve(Lamp))
        return Desk(Paper(), lamp)

    container.register_singleton(Lamp)
    container.register_factory(Desk, make, lifetime="singleton")
    assert (await container.aresolve(Desk)).lamp is container.resolve(Lamp)


# --- how long they live -------------------------------------------------------------------------------------------


class Diary:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def lend(self, name: str, kind: type[Any], trouble: Exception | None = None) -> Callable[[], Iterator[Any]]:
        def make() -> Iterator[Any]:
            self.lines.append(f"open {name}")
            yield kind()
            self.lines.append(f"close {name}")
            if trouble:
                raise trouble

        return make


class Socket:
    def __init__(self, lamp: Lamp | None = None) -> None:
        self.lamp = lamp


async def test_what_was_made_is_closed_in_reverse_order(container: ServiceContainer) -> None:
    diary = Diary()

    async def socket(lamp: Lamp) -> AsyncIterator[Socket]:
        diary.lines.append("open socket")
        yield Socket(lamp)
        await asyncio.sleep(0)
        diary.lines.append("close socket")

    container.register_factory(Socket, socket)
    container.register_factory(Lamp, diary.lend("lamp", Lamp))
    assert (await container.aresolve(Socket)) is (await container.aresolve(Socket)), "it is closed once, so made once"
    await container.aclose()
    assert diary.lines == ["open lamp", "open socket", "close socket", "close lamp"]


async def test_one_that_cannot_be_closed_does_not_keep_the_others_open(container: ServiceContainer) -> None:
    diary = Diary()
    container.register_factory(Lamp, diary.lend("lamp", Lamp))
    container.register_factory(Paper, diary.lend("paper", Paper, ValueError("torn")))
    container.resolve(Lamp)
    container.resolve(Paper)
    with pytest.raises(ServiceError, match="Not all services cleaned up after themselves: ValueError: torn"):
        await container.aclose()
    assert diary.lines[-1] == "close lamp"


async def test_nothing_is_made_behind_the_end_until_it_is_built_again(container: ServiceContainer) -> None:
    container.register_singleton(Lamp)
    first = container.resolve(Lamp)
    await container.aclose()
    await container.aclose()
    with pytest.raises(ServiceError, match="have been closed"):
        container.resolve(Lamp)
    async with container:
        assert container.resolve(Lamp) is not first


async def test_a_scope_has_its_own_and_closes_them(container: ServiceContainer) -> None:
    diary = Diary()
    container.register_singleton(Lamp)
    container.register(Desk)
    container.register_factory(Notes, diary.lend("paper", Paper), lifetime="scoped")
    async with container.scope() as one, container.scope() as other:
        assert one.resolve(Notes) is await one.aresolve(Notes)
        assert one.resolve(Notes) is not other.resolve(Notes)
        assert one.resolve(Lamp) is other.resolve(Lamp) is container.resolve(Lamp)
        assert one.resolve(Desk).notes is one.resolve(Notes), "a transient one takes what its scope has"
    assert diary.lines == ["open paper", "open paper", "close paper", "close paper"]
    with pytest.raises(ServiceError, match="not open"):
        one.resolve(Notes)


def test_what_lives_in_a_scope_is_not_there_outside(container: ServiceContainer) -> None:
    container.register(Paper, provides=Notes, lifetime="scoped")
    container.register(Desk)
    container.register(Lamp)
    for kind in (Notes, Desk):
        with pytest.raises(ConfigError, match=r"lives in a scope; ask for it inside `async with container.scope\(\)`"):
            container.resolve(kind)


def test_a_generator_for_everybody_is_refused_for_nothing_says_when_it_ends(container: ServiceContainer) -> None:
    with pytest.raises(ConfigError, match="register it as scoped or singleton"):
        container.register_factory(Lamp, Diary().lend("lamp", Lamp), lifetime="transient")


# --- what a build says --------------------------------------------------------------------------------------------


class Notices:
    pass


class First:
    def __init__(self, second: "Second") -> None: ...


class Second:
    def __init__(self, third: "Third") -> None: ...


class Third:
    def __init__(self, first: First) -> None: ...


class Chatty:
    def __init__(self, host: str, notes: Notes) -> None: ...


def test_everything_that_is_missing_is_named_at_once_with_the_nearest_name(container: ServiceContainer) -> None:
    container.register(Notices)
    container.register(Desk)
    container.register(Chatty)
    with pytest.raises(ConfigError) as caught:
        container.build()
    assert str(caught.value) == (
        "Desk needs Notes (is Notices meant?) for 'notes' and Lamp for 'lamp', which nobody provides; "
        "Chatty needs str for 'host' and Notes (is Notices meant?) for 'notes', which nobody provides. "
        "Register what is missing before the start."
    )


def test_two_types_of_one_name_are_told_apart(container: ServiceContainer) -> None:
    other = type("Lamp", (), {"__module__": "elsewhere"})
    container.register(other)
    container.register(Desk)
    container.register(Paper, provides=Notes)
    with pytest.raises(ConfigError, match=r"Desk needs .*\.Lamp \(not the one of elsewhere\) for 'lamp'"):
        container.build()


def test_a_circle_is_shown(container: ServiceContainer) -> None:
    for kind in (First, Second, Third):
        container.register(kind)
    with pytest.raises(ConfigError, match="First → Second → Third → First"):
        container.build()


def test_what_is_made_once_cannot_keep_what_ends_with_a_scope(container: ServiceContainer) -> None:
    container.register(Paper, provides=Notes, lifetime="scoped")
    container.register(Lamp)
    container.register_singleton(Desk)
    with pytest.raises(ConfigError, match="Desk is made once and needs Notes, which lives no longer than a scope"):
        container.build()


def test_what_nobody_provides_is_named_when_it_is_asked_for(container: ServiceContainer) -> None:
    container.register(Notices)
    with pytest.raises(ConfigError, match=r"Nobody provides Notes \(is Notices meant\?\)"):
        container.resolve(Notes)


def test_what_was_missing_can_still_be_added(container: ServiceContainer) -> None:
    container.register(Desk)
    container.register(Lamp)
    with pytest.raises(ConfigError):
        container.build()
    container.register(Paper, provides=Notes)
    assert isinstance(container.resolve(Desk), Desk)


def untyped(lamp) -> Desk:  # type: ignore[no-untyped-def]
    raise AssertionError


def positional(lamp: Lamp, /) -> Desk:
    raise AssertionError


def unresolvable(lamp: "Lantern") -> Desk:  # type: ignore[name-defined]  # noqa: F821
    raise AssertionError


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        (untyped, "untyped: parameter 'lamp' has no type; annotate it."),
        (positional, "positional: parameter 'lamp' must be one that can be passed by name."),
        (unresolvable, "unresolvable: its types cannot be resolved: name 'Lantern' is not defined."),
    ],
)
def test_a_factory_that_cannot_be_read_is_named(
    container: ServiceContainer, factory: Callable[..., Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        container.register_factory(Desk, factory)


class Blank:
    """Answers for whatever it is asked, as a double in a test does."""

    def __getattr__(self, name: str) -> Any:
        return name


class Named(Notes, Protocol):
    title: str

    @property
    def pages(self) -> int: ...


class Booklet(Paper):
    def __init__(self) -> None:
        self.title = "Book"

    @property
    def pages(self) -> int:
        raise ServiceError("The book is not open.")


def test_what_stands_for_a_protocol_must_have_all_of_it(container: ServiceContainer) -> None:
    with pytest.raises(ConfigError, match="Lamp cannot stand for Notes: it has no all"):
        container.register_singleton(Notes, Lamp())
    with pytest.raises(ConfigError, match="Lamp cannot stand for Notes: it has no all"):
        container.register(Lamp, provides=Notes)
    with pytest.raises(ConfigError, match="Paper cannot stand for Named: it has no pages and no title"):
        container.register_singleton(Named, Paper())
    container.register_singleton(Named, Booklet())
    container.register(Booklet, provides=Named)
    container.register_singleton(Notes, Blank())
    container.build()


# --- before and after the build -----------------------------------------------------------------------------------


def test_a_later_registration_replaces_an_earlier_one_until_it_is_built(container: ServiceContainer) -> None:
    container.register_singleton(Notes, Paper())
    container.register_singleton(Notes, replacement := Quiet())
    assert container.resolve(Notes) is replacement
    with pytest.raises(ConfigError, match="Notes may be in use already"):
        container.register_singleton(Notes, Paper())


async def test_new_types_can_be_added_later_and_what_is_made_stays(container: ServiceContainer) -> None:
    diary = Diary()
    container.register_factory(Lamp, diary.lend("lamp", Lamp))
    container.register_singleton(Paper)
    lamp, paper = container.resolve(Lamp), container.resolve(Paper)
    container.register_factory(Notes, diary.lend("notes", Paper))
    container.register(Desk)
    desk = container.resolve(Desk)
    assert desk.lamp is lamp
    assert container.resolve(Paper) is paper
    await container.aclose()
    assert diary.lines == ["open lamp", "open notes", "close notes", "close lamp"]


# --- many at once -------------------------------------------------------------------------------------------------


def test_many_threads_get_one_singleton(container: ServiceContainer) -> None:
    made: list[Lamp] = []
    barrier = threading.Barrier(16)

    def make() -> Lamp:
        threading.Event().wait(0.01)
        made.append(Lamp())
        return made[-1]

    def ask() -> None:
        barrier.wait()
        container.resolve(Lamp)
        container.resolve(Paper)

    container.register_factory(Lamp, make, lifetime="singleton")
    container.register(Paper)
    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


async def test_tasks_and_threads_get_one_singleton(container: ServiceContainer) -> None:
    made: list[Lamp] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(lamp: Lamp) -> Desk:
        begun.set()
        await go_on.wait()
        return Desk(Paper(), lamp)

    def make() -> Lamp:
        made.append(Lamp())
        return made[-1]

    container.register_factory(Lamp, make, lifetime="singleton")
    container.register_factory(Desk, slow, lifetime="singleton")
    container.register_singleton(Paper)
    tasks = [asyncio.create_task(container.aresolve(Desk)) for _ in range(20)]
    await begun.wait()
    with pytest.raises(ServiceError, match="await `aresolve`"):
        container.resolve(Paper)  # in the loop whose task holds the gate: waiting would never end
    other = asyncio.create_task(asyncio.to_thread(container.resolve, Lamp))
    go_on.set()
    desks = await asyncio.gather(*tasks)
    assert len({id(desk) for desk in desks}) == 1
    assert await other is desks[0].lamp
    assert len(made) == 1


async def test_who_gives_up_leaves_the_container_usable(container: ServiceContainer) -> None:
    attempts = 0

    async def slow() -> Desk:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await asyncio.Event().wait()
        return Desk(Paper(), Lamp())

    container.register_factory(Desk, slow, lifetime="singleton")
    first = asyncio.create_task(container.aresolve(Desk))
    await asyncio.sleep(0)
    second = asyncio.create_task(container.aresolve(Desk))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, Desk)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_factory_that_fails_may_succeed_later(container: ServiceContainer) -> None:
    answers: list[Any] = [OSError("refused"), Lamp()]

    def make() -> Lamp:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Lamp)
        return answer

    container.register_factory(Lamp, make, lifetime="singleton")
    with pytest.raises(OSError, match="refused"):
        container.resolve(Lamp)
    assert isinstance(container.resolve(Lamp), Lamp)


def test_a_long_chain_of_services_is_no_matter(container: ServiceContainer) -> None:
    kinds: list[type[Any]] = [type(f"Kind{number}", (), {}) for number in range(300)]
    container.register(kinds[0])
    for need, kind in pairwise(kinds):

        def make(need: Any, kind: type[Any] = kind) -> Any:
            made = kind()
            made.need = need
            return made

        make.__annotations__ = {"need": need, "kind": type[Any]}
        container.register_factory(kind, make, lifetime="singleton")
    depth, service = 1, container.resolve(kinds[-1])
    while hasattr(service, "need"):
        depth, service = depth + 1, service.need
    assert depth == 300


# --- functions that need services ---------------------------------------------------------------------------------


async def test_a_function_is_given_its_services_behind_what_the_caller_gives(container: ServiceContainer) -> None:
    async def greet(name: str, notes: Notes, *, loud: bool = False) -> str:
        text = f"{name}: {(await notes.all())[0]}"
        return text.upper() if loud else text

    injected = container.inject(greet, given=1)
    container.register_singleton(Notes, Paper())
    assert await injected("ada") == "ada: milk"
    assert await injected("ada", loud=True) == "ADA: MILK"
    assert await injected("ada", notes=Paper()) == "ada: milk"


async def test_a_plain_function_is_given_them_too(container: ServiceContainer) -> None:
    container.register_singleton(Lamp)
    injected = container.inject(lit)
    assert await injected() is container.resolve(Lamp)


def lit(lamp: Lamp, desk: Desk | None = None) -> Lamp:
    assert desk is None, "nobody provides one, so it keeps its default"
    return lamp


async def test_a_function_without_services_stays_as_it_is(container: ServiceContainer) -> None:
    async def plain(number: int) -> int:
        return number

    assert container.inject(plain, given=1) is plain


def test_a_function_whose_services_are_missing_is_named_when_it_is_built(container: ServiceContainer) -> None:
    container.inject(lit, by="The command /lit")
    with pytest.raises(ConfigError, match="The command /lit needs Lamp for 'lamp', which nobody provides"):
        container.build()


def test_after_the_build_it_is_named_at_once(container: ServiceContainer) -> None:
    container.build()
    with pytest.raises(ConfigError, match="lit needs Lamp for 'lamp'"):
        container.inject(lit)


async def test_a_call_has_a_scope_of_its_own(container: ServiceContainer) -> None:
    diary = Diary()
    container.register_factory(Notes, diary.lend("notes", Paper), lifetime="scoped")
    container.register_singleton(Lamp)

    async def work(notes: Notes, lamp: Lamp) -> Notes:
        diary.lines.append("work")
        return notes

    injected = container.inject(work)
    assert await injected() is not await injected()
    assert diary.lines == ["open notes", "work", "close notes"] * 2


async def test_calls_at_the_same_time_have_their_own_scopes(container: ServiceContainer) -> None:
    both, all_opening = asyncio.Event(), asyncio.Event()
    open_now = most = 0

    async def connect() -> AsyncIterator[Lamp]:
        nonlocal open_now, most
        open_now += 1
        if open_now == 20:
            all_opening.set()
        await all_opening.wait()  # they are made at the same time, or never
        yield Lamp()
        open_now -= 1

    async def work(lamp: Lamp) -> Lamp:
        nonlocal most
        most = max(most, open_now)
        if open_now == 20:
            both.set()
        await both.wait()
        return lamp

    container.register_factory(Lamp, connect, lifetime="scoped")
    injected = container.inject(work)
    assert len(set(await asyncio.gather(*(injected() for _ in range(20))))) == 20
    assert (most, open_now) == (20, 0)


async def test_a_scope_is_closed_when_one_of_its_services_cannot_be_made(container: ServiceContainer) -> None:
    diary = Diary()

    async def broken() -> Desk:
        raise OSError("refused")

    container.register_factory(Notes, diary.lend("notes", Paper), lifetime="scoped")
    container.register_factory(Desk, broken)
    with pytest.raises(OSError, match="refused"):
        async with container.supply({"notes": Notes, "desk": Desk}):
            raise AssertionError
    assert diary.lines == ["open notes", "close notes"]


# --- what has a life ----------------------------------------------------------------------------------------------


class Engine(BaseService):
    pass


class Car(BaseService):
    def __init__(self, engine: Engine) -> None:
        super().__init__("car")
        self.engine = engine


def test_singletons_with_a_life_are_found_behind_what_they_need(container: ServiceContainer) -> None:
    def make_engine() -> Engine:
        return Engine()

    container.register_singleton(Car)
    container.register(Lamp)
    container.register_singleton(Paper)
    container.register_factory(Engine, make_engine, lifetime="singleton")
    container.register(type("Spare", (Engine,), {}))
    assert container.singletons(Service) == (Engine, Car)


def test_importing_it_does_not_import_the_graph() -> None:
    program = "import sys, antiphon.runtime.container as c; c.ServiceContainer(); print('dishka' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout.strip() == "False"


async def test_who_asks_while_it_is_closed_is_told_so() -> None:
    container, gate = ServiceContainer(), asyncio.Event()

    async def lend() -> AsyncIterator[Paper]:
        yield Paper()
        await gate.wait()

    container.register_factory(Paper, lend)
    container.register_singleton(Lamp)
    await container.aresolve(Paper)
    closing = asyncio.create_task(container.aclose())
    await asyncio.sleep(0)
    with pytest.raises(ServiceError, match="have been closed"):
        await container.aresolve(Lamp)
    gate.set()
    await closing


async def test_who_waits_while_it_is_closed_gets_his_service_or_is_told_so() -> None:
    for _ in range(5):
        container, gate = ServiceContainer(), asyncio.Event()

        async def make(gate: asyncio.Event = gate) -> Paper:
            await gate.wait()
            return Paper()

        container.register_factory(Paper, make, lifetime="singleton")
        container.register_singleton(Lamp)
        container.build()
        first, late = (asyncio.create_task(container.aresolve(kind)) for kind in (Paper, Lamp))
        await asyncio.sleep(0.03)
        closing = asyncio.create_task(container.aclose())
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(first, late, closing, return_exceptions=True)
        assert isinstance(results[1], Lamp | ServiceError)
        assert results[2] is None
