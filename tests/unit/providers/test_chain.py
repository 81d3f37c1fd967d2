"""One of several models answers, once."""

from collections.abc import AsyncGenerator

import pytest

from antiphon.providers.base import Error, ErrorKind, Event, Finish, ModelInfo, ModelRequest, TextDelta
from antiphon.providers.chain import Chain, ModelLink, fallbacks
from antiphon.telemetry.metrics import Metrics

REQUEST = ModelRequest(model="whatever", messages=())


def failed(kind: ErrorKind) -> list[Event]:
    return [Error(kind, "x", f"It is {kind}.")]


class Scripted:
    """Gives its answers one after the other; keeps under which name it was asked, and how many streams are open."""

    def __init__(self, name: str, *answers: list[Event]) -> None:
        self.name = name
        self.answers = list(answers)
        self.asked: list[str] = []
        self.open = 0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        self.asked.append(request.model)
        self.open += 1
        try:
            for event in self.answers.pop(0):
                yield event
        finally:
            self.open -= 1

    async def models(self) -> tuple[ModelInfo, ...]:
        return ()

    async def stop(self) -> None:
        raise AssertionError("it belongs to the registry")


def answer(text: str) -> list[Event]:
    return [TextDelta(text), Finish("stop")]


def chain(*providers: Scripted, metrics: Metrics | None = None) -> Chain:
    return Chain(
        [ModelLink(f"{one.name}:m-{one.name}", one, f"m-{one.name}") for one in providers],
        fallbacks(metrics or Metrics()),
    )


async def heard(chain: Chain) -> list[Event]:
    return [event async for event in chain.stream(REQUEST)]


async def test_the_first_that_begins_answers_and_goes_on_answering() -> None:
    metrics = Metrics()
    one, two, three = Scripted("one", failed("server")), Scripted("two", failed("quota")), Scripted("three")
    three.answers = [answer("a"), answer("b")]
    asked = chain(one, two, three, metrics=metrics)
    assert await heard(asked) == answer("a")
    assert await heard(asked) == answer("b")
    assert (one.asked, two.asked, three.asked) == (["m-one"], ["m-two"], ["m-three"] * 2)
    assert asked.path == [("one:m-one", "It is server."), ("two:m-two", "It is quota.")]
    assert (asked.name, asked.answering.name) == ("three", "three:m-three")
    assert one.open == two.open == three.open == 0
    assert 'antiphon_model_fallbacks_total{provider="one",reason="server"} 1.0' in metrics.render().decode()


async def test_an_error_behind_a_word_is_the_end() -> None:
    half: list[Event] = [TextDelta("ha"), Error("interrupted", "x", "x")]
    one, two = Scripted("one", half), Scripted("two", answer("whole"))
    assert await heard(chain(one, two)) == half
    assert two.asked == []


@pytest.mark.parametrize("kind", ["filtered", "invalid", "interrupted"])
async def test_what_another_would_not_mend_is_not_taken_to_another(kind: ErrorKind) -> None:
    one, two = Scripted("one", failed(kind)), Scripted("two", answer("whole"))
    asked = chain(one, two)
    assert await heard(asked) == failed(kind)
    assert (two.asked, asked.path) == ([], [])


async def test_the_last_error_is_told_when_nobody_is_left() -> None:
    asked = chain(Scripted("one", failed("auth")), Scripted("two", failed("retired")))
    assert await heard(asked) == failed("retired")
    assert asked.path == [("one:m-one", "It is auth.")]


@pytest.mark.parametrize("links", [1, 2])
async def test_closing_reaches_the_vendor(links: int) -> None:
    providers = [Scripted(name, answer("a")) for name in ("one", "two")][:links]
    stream = chain(*providers).stream(REQUEST)
    assert await anext(stream) == TextDelta("a")
    assert providers[0].open == 1
    await stream.aclose()
    assert providers[0].open == 0
