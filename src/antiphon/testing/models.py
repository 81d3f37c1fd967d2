"""A model that says what a test tells it to."""

import json
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Self

from antiphon.providers.base import (
    Error,
    ErrorKind,
    Event,
    Finish,
    ModelInfo,
    ModelRequest,
    TextDelta,
    ToolCall,
    ToolCallEnd,
    ToolCallStart,
)
from antiphon.providers.demo.provider import DemoProvider


class ScriptedModel:
    """A provider whose answers are laid down before, one for each request, in order:

        model = ScriptedModel().calls("weather", city="Oslo").says("It rains.")

    Where nothing is laid down, the built-in demo model answers. `requests` is what it was asked.
    """

    name = "scripted"

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self._script: deque[Sequence[Event]] = deque()
        self._demo = DemoProvider()
        self._calls = 0

    def says(self, *pieces: str) -> Self:
        """An answer, in these pieces."""
        return self.plays(*map(TextDelta, pieces), Finish("stop"))

    def calls(self, name: str, **arguments: Any) -> Self:
        """The wish for one call of a tool. Arguments may also be wrong ones."""
        self._calls += 1
        call = ToolCall(id=f"call-{self._calls}", name=name, arguments=json.dumps(arguments))
        return self.plays(ToolCallStart(0, call.id, name), ToolCallEnd(0, call), Finish("tool_calls"))

    def fails(self, kind: ErrorKind = "server", *, after: str = "") -> Self:
        """A failure of the vendor, behind the text `after`."""
        error = Error(kind, f"scripted {kind}", "The model failed, as this test wants it.")
        return self.plays(*([TextDelta(after)] if after else []), error)

    def plays(self, *events: Event) -> Self:
        """Exactly these events."""
        self._script.append(events)
        return self

    @property
    def left(self) -> int:
        """Answers that nobody has asked for yet."""
        return len(self._script)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        if self._script:
            for event in self._script.popleft():
                yield event
            return
        async with aclosing(self._demo.stream(request)) as events:
            async for event in events:
                yield event

    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(id="scripted"),)

    async def stop(self) -> None:
        await self._demo.stop()
