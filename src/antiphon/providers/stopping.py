"""Answers that end before certain words, whatever their vendor makes of that wish."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from antiphon.providers.around import Around
from antiphon.providers.base import Event, Finish, ModelRequest, TextDelta


class Stopping(Around):
    """`provider`, whose text ends before the first of `ModelRequest.stop`. A vendor that goes on is not read on: its
    connection is closed, and what the answer cost is not told."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        # A token does not pass through here where nothing is to stop it.
        return self._cut(request) if request.stop else self._provider.stream(request)

    async def _cut(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        scissors = _Scissors(request.stop)
        async with aclosing(self._provider.stream(request)) as events:
            async for event in events:
                said = scissors.feed(event.text) if isinstance(event, TextDelta) else scissors.rest()
                if said:
                    yield TextDelta(said)
                if scissors.done:
                    yield Finish("stop")
                    return
                if not isinstance(event, TextDelta):
                    yield event


class _Scissors:
    """Cuts a text that comes in pieces; holds back what may be the beginning of a stop."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.done = False

    def feed(self, text: str) -> str:
        text = self._held + text
        whole = before(text, self._stops)
        self.done = len(whole) < len(text)
        kept = 0 if self.done else max(_beginning(text, stop) for stop in self._stops)
        self._held = text[len(text) - kept :]
        return whole[: len(whole) - kept] if kept else whole

    def rest(self) -> str:
        """What was held back, when no more of this text comes."""
        rest, self._held = self._held, ""
        return rest


def before(text: str, stops: Sequence[str]) -> str:
    """The text up to the first of `stops`, which is the one that is whole first: so pieces end where the whole does."""
    found = ((at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0)
    return text[: min(found, default=(0, len(text)))[1]]


def _beginning(text: str, stop: str) -> int:
    """How many of the last characters of `text` may begin `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
