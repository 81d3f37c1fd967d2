"""Handlers of an assistant's life are awaited in order; subscribers of its turns hold nobody up."""

import asyncio

import pytest

from antiphon.assistants import events as events_module
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.directory import Directory
from antiphon.assistants.events import TurnEvent
from antiphon.assistants.state import State, StatesInMemory, TurnStates
from antiphon.domain import Target, Turn, now
from antiphon.errors import ConfigError, ServiceError
from antiphon.runtime.container import ServiceContainer

STATES = TurnStates(StatesInMemory(), "c")


class Seen(State):
    texts: list[str]


class Lamp:
    lit = False


def turn(number: int = 1) -> Turn:
    return Turn(
        id=f"t{number}",
        conversation_id="c",
        message_id="m",
        ticket=number,
        person_id="p",
        text=str(number),
        target=Target(adapter="web", place="c"),
        created_at=now(),
    )


def ask(assistant: Assistant, number: int = 1) -> None:
    assistant.events.tell("user_message", turn(number), STATES, text=str(number))


def directory(*assistants: Assistant) -> Directory:
    made = Directory()
    for assistant in assistants:
        made.add(assistant)
    return made


def told_of(assistant: Assistant, name: str, said: list[str], *, fails: bool = False) -> None:
    async def start() -> None:
        said.append(f"{name} starts")
        if fails:
            raise OSError("no room")

    async def stop() -> None:
        said.append(f"{name} stops")

    assistant.on_event("start")(start)
    assistant.on_event("stop")(stop)


async def test_handlers_are_called_in_order_and_backwards_at_the_end() -> None:
    said: list[str] = []
    one, two = Assistant("one"), Assistant("two")
    told_of(one, "one", said)
    told_of(one, "one again", said)
    told_of(two, "two", said)
    assistants = directory(one, two)
    await assistants.start(ServiceContainer())
    assert said == ["one starts", "one again starts", "two starts"]
    await assistants.stop()
    await assistants.stop()
    assert said[3:] == ["two stops", "one stops", "one again stops"]


async def test_a_start_that_fails_names_the_handler_and_stops_those_before() -> None:
    said: list[str] = []
    one, two = Assistant("one"), Assistant("two")
    told_of(one, "one", said)
    told_of(two, "two", said, fails=True)
    with pytest.raises(ServiceError, match=r"Assistant two: .*its handler of start, failed with OSError: no room"):
        await directory(one, two).start(ServiceContainer())
    assert said == ["one starts", "two starts", "one stops"]


async def test_a_stop_that_fails_keeps_no_other_from_it() -> None:
    said: list[str] = []
    one = Assistant("one")

    @one.on_event("stop")
    async def breaks() -> None:
        raise ValueError("odd")

    told_of(one, "one", said)
    assistants = directory(one)
    await assistants.start(ServiceContainer())
    with pytest.raises(ServiceError, match=r"breaks, its handler of stop, failed with ValueError: odd"):
        await assistants.stop()
    assert said[-1] == "one stops"


async def test_handlers_and_subscribers_are_given_the_services_they_ask_for() -> None:
    services, one, seen = ServiceContainer(), Assistant("one"), []
    services.register_singleton(Lamp, Lamp())

    @one.on_event("start")
    async def light(lamp: Lamp) -> None:
        lamp.lit = True

    @one.subscribe("user_message")
    async def look(message: TurnEvent, lamp: Lamp) -> None:
        seen.append((message.text, message.turn.person_id, lamp.lit))

    await one.events.start(services)
    ask(one)
    await one.events.stop(services)
    assert seen == [("1", "p", True)]


async def test_a_handler_that_asks_for_what_nobody_provides_fails_the_start() -> None:
    one = Assistant("one")

    @one.on_event("start")
    async def light(lamp: Lamp) -> None: ...

    with pytest.raises(ConfigError, match="Lamp"):
        await one.events.start(ServiceContainer())


async def test_subscribers_are_told_in_order_beside_who_tells() -> None:
    one, seen, go = Assistant("one"), [], asyncio.Event()

    @one.subscribe("user_message")
    async def slow(message: TurnEvent) -> None:
        await go.wait()
        seen.append(message.text)

    @one.subscribe("user_message")
    async def fails(message: TurnEvent) -> None:
        raise ValueError(message.text)

    for number in range(5):
        ask(one, number)
    await asyncio.sleep(0)
    assert seen == []
    go.set()
    await one.events.stop(ServiceContainer())
    assert seen == ["0", "1", "2", "3", "4"]


async def test_a_subscriber_that_fails_is_logged_without_what_was_said(capsys: pytest.CaptureFixture[str]) -> None:
    one = Assistant("one")

    @one.subscribe("user_message")
    async def fails(message: TurnEvent) -> None:
        raise ValueError(f"secret {message.text}")

    ask(one)
    await one.events.stop(ServiceContainer())
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "subscriber.failed" in line]
    assert "ValueError" in line
    assert "secret 1" not in line


async def test_the_line_of_a_slow_subscriber_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("antiphon.runtime.lines.WAITING", 3)
    one, seen, go = Assistant("one"), [], asyncio.Event()

    @one.subscribe("user_message")
    async def slow(message: TurnEvent) -> None:
        await go.wait()
        seen.append(message.text)

    for number in range(9):
        ask(one, number)
    go.set()
    await one.events.stop(ServiceContainer())
    assert seen == ["0", "1", "2"]
    (warning,) = caplog.messages
    assert warning.endswith("slow was not told of 6")


async def test_a_subscriber_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "LIMIT_SECONDS", 0.01)
    one, seen = Assistant("one"), []

    @one.subscribe("user_message")
    async def hangs(message: TurnEvent) -> None:
        seen.append(message.text)
        await asyncio.Event().wait()

    ask(one, 1)
    ask(one, 2)
    async with asyncio.timeout(10):
        while len(seen) < 2:
            await asyncio.sleep(0.005)
        await one.events.stop(ServiceContainer())
    assert seen == ["1", "2"]


async def test_a_subscriber_reads_and_changes_the_state() -> None:
    one, states = Assistant("one"), TurnStates(StatesInMemory(), "c")

    @one.subscribe("user_message")
    async def note(message: TurnEvent) -> None:
        async with message.state(Seen) as seen:
            seen.texts.append(message.text)

    for number in (1, 2):
        one.events.tell("user_message", turn(number), states, text=str(number))
    await one.events.stop(ServiceContainer())
    async with states.lend(Seen) as seen:
        assert seen.texts == ["1", "2"]


def test_a_wrong_name_or_function_is_refused_with_what_to_write() -> None:
    one = Assistant("one")
    with pytest.raises(ConfigError, match="Did you mean user_message"):
        one.events.subscribe("user_mesage", asyncio.sleep)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"Use @assistant\.subscribe\('user_message'\)"):
        one.events.on_event("user_message", asyncio.sleep)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="async def"):
        one.subscribe("user_message")(lambda _: None)  # type: ignore[type-var]
