"""A model that takes no time: it calls the clock, then says a sentence. Plugged in as any package would do it."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from antiphon.domain import Usage
from antiphon.providers.base import (
    Event,
    Finish,
    ModelInfo,
    ModelRequest,
    TextDelta,
    ToolCall,
    ToolCallEnd,
    UsageReport,
)

SENTENCE = ("It is ", "half past ", "nine ", "in the ", "morning.")


class Scripted:
    def __init__(self, name: str = "scripted", settings: object = None) -> None:
        self.name = name
        self.settings = settings

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        if request.messages[-1].role == "tool":
            for words in SENTENCE:
                yield TextDelta(words)
        else:
            yield ToolCallEnd(0, ToolCall(id="call", name="clock", arguments="{}"))
        yield UsageReport(Usage(input_tokens=100, output_tokens=10))
        yield Finish("stop" if request.messages[-1].role == "tool" else "tool_calls")

    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(id="script"),)

    async def stop(self) -> None:
        """Nothing is open."""


def plug_in(folder: Path) -> None:
    """Makes `scripted:script` a model, by an installed package's metadata."""
    package = folder / "scripted-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[antiphon.providers]\nscripted = benchmarks.scripted:Scripted\n")
    sys.path.append(str(folder))
