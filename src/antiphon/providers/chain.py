"""Another model answers where the chosen one cannot begin."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
from msgspec import Struct
from prometheus_client import Counter

from antiphon.providers.base import ChatMessage, Error, Event, ModelInfo, ModelRequest, Provider
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics

_FINAL = {"filtered", "invalid", "too_long", "interrupted"}
"""What another model would refuse as well, what was said on purpose, what is asked again with less, and a house that
stops."""

log = get_logger(__name__)


def fallbacks(metrics: Metrics) -> Counter:
    """What counts the models that are given up, by provider and reason."""
    return metrics.counter(
        "antiphon_model_fallbacks_total", "Models given up for the next one, by provider.", ("provider", "reason")
    )


class ModelLink(Struct, frozen=True):
    """A model by its full name (`provider:model`), who serves it, and what that one calls it."""

    name: str
    provider: Provider
    model: str


class Chain:
    """The provider of one turn: it asks `links` in their order until one begins to answer, and stays with that one.

    Nothing is ever said twice: once a model has said anything, its errors go on to the reader.
    """

    def __init__(self, links: Sequence[ModelLink], given_up: Counter) -> None:
        self._links = list(links)
        self._given_up = given_up
        self.path: list[tuple[str, str]] = []
        """The models that were given up, with the reason."""

    @property
    def answering(self) -> ModelLink:
        """Who answers now, or is the next to be asked."""
        return self._links[0]

    @property
    def name(self) -> str:
        return self.answering.provider.name

    def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        # Where nobody is left to fall back on, a token does not have to pass through here.
        return self._ask(request) if len(self._links) == 1 else self._first_to_begin(request)

    async def models(self) -> tuple[ModelInfo, ...]:
        return await self.answering.provider.models()

    async def stop(self) -> None:
        """Does nothing: the vendors belong to the registry."""

    async def _first_to_begin(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        while True:
            async with aclosing(self._ask(request)) as events:
                first = await anext(events)
                if not (isinstance(first, Error) and self._give_up(first)):
                    yield first
                    async for event in events:
                        yield event
                    return

    def _ask(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        link = self.answering
        return link.provider.stream(
            msgspec.structs.replace(request, model=link.model, messages=_spoken(request.messages))
        )

    def _give_up(self, error: Error) -> bool:
        """Goes on to the next model; False when there is none, or the error is one that it would not mend."""
        if error.kind in _FINAL or len(self._links) == 1:
            return False
        given_up = self._links.pop(0)
        self.path.append((given_up.name, error.public))
        self._given_up.labels(given_up.provider.name, error.kind).inc()
        log.warning(
            "model.fallback", model=given_up.name, kind=error.kind, error=error.message, next=self.answering.name
        )
        return True


def _spoken(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """As vendors know messages, who are not told which words of them are the house's."""
    if not any(message.notes for message in messages):
        return messages
    replace = msgspec.structs.replace
    return tuple(
        replace(message, text=f"{message.notes}\n\n{message.text}", notes="") if message.notes else message
        for message in messages
    )
