"""One call of a model inside a run: its stream, what came of it besides the text, and how it ended."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

from msgspec import Struct

from antiphon.assistants.answer import Answer
from antiphon.assistants.cut import Cut
from antiphon.assistants.estimate import files_tokens, parts_size, request_size, size, tokens
from antiphon.assistants.hooks import RunHooks
from antiphon.domain import AnyPart, Outcome, Usage
from antiphon.errors import NotAllowedError, ProviderError
from antiphon.providers.base import (
    Error,
    Event,
    Finish,
    ModelRequest,
    Provider,
    Remark,
    ToolCall,
    ToolCallEnd,
    UsageReport,
)
from antiphon.runtime.eager import Eager
from antiphon.telemetry.logs import get_logger, stack_of

MAX_CALLS = 64
"""Calls of one round; a model that wishes for more has fallen into a loop, and is not read any further."""

CLOSE_SECONDS = 1.0
"""How long a stream may take to close."""

TOO_MANY_STEPS = "The answer stops here: it took more rounds of tools than one turn may have."
ASK_AGAIN = "Ask again, or choose another model with /model."

log = get_logger(__name__)


class Ending(Struct, frozen=True):
    """How a run ends; `reason` is a sentence for people, `code` its name."""

    status: Outcome
    code: str | None = None
    reason: str | None = None


CANCELLED = Ending("interrupted", "cancelled", "The answer was stopped.")


class Step:
    """Reads one stream of `provider` inside `async with`, which closes it and keeps its errors in."""

    def __init__(self, provider: Provider, request: ModelRequest, cut: Cut) -> None:
        self.calls: list[ToolCall] = []
        self.finish: str | None = None
        self.error: Error | None = None
        self.remarks: list[Remark] = []
        self._usage: Usage | None = None
        self._provider = provider
        self._request = request
        self._cut = cut
        self._stream: AsyncIterator[Event] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Swallows the cut of a person, and whatever a provider raises: it is a stranger's code, the turn goes on."""
        cut = self._cut.took(error)
        await self._close()
        if isinstance(error, NotAllowedError):
            self.error = Error(kind="filtered", message="refused by a plugin", public=error.public)
        elif isinstance(error, Exception):
            self._raised(error)
        return cut or isinstance(error, Exception)

    async def prepare(self, hooks: RunHooks | None) -> None:
        """Lets them change what the model is asked."""
        if hooks is not None:
            self._request = await hooks.before_model(self._request)

    def open(self) -> AsyncIterator[Event]:
        self._stream = self._provider.stream(self._request)
        return self._stream

    def take(self, event: Event) -> bool:
        """Takes in what is not text; true when nothing more may come. Calls count when they are whole."""
        match event:
            case ToolCallEnd(call=call):
                self.calls.append(call)
                if len(self.calls) == MAX_CALLS:
                    self.finish = "tool_calls"
            case UsageReport(usage=usage):
                self._usage = usage
            case Finish(reason=reason):
                self.finish = reason
            case Error():
                self.error = event
            case Remark():
                self.remarks.append(event)
        return self.finish is not None or self.error is not None

    def broke_off(self) -> None:
        """The stream stopped without saying how, which its contract rules out."""
        public = f"The answer of the model broke off. {ASK_AGAIN}"
        self.error = Error(kind="protocol", message="the stream ended without Finish or Error", public=public)

    def cost(self, parts: Iterable[AnyPart]) -> Usage | None:
        """What the vendor says; an estimate from the size of it all where it answered and says nothing."""
        if self._usage is not None:
            return self._usage
        written = parts_size(parts) + sum(size(call.name) + size(call.arguments) for call in self.calls)
        if not written and self.finish is None:
            return None
        asked = tokens(request_size(self._request)) + files_tokens(self._request)
        return Usage(input_tokens=asked, output_tokens=tokens(written), estimated=True)

    def ending(self, answer: Answer, *, may_call: bool) -> Ending | None:
        """How the run ends with this step; None when it goes on with the calls."""
        if self.error is not None:
            return Ending("interrupted" if answer.started else "refused", self.error.kind, self.error.public)
        if self.finish == "filtered":
            status: Outcome = "answered" if answer.has_text else "refused"
            return Ending(status, "filtered", "The provider's content filter stopped this answer.")
        if self.calls:
            return None if may_call else Ending("answered", "steps", TOO_MANY_STEPS)
        if self.finish == "length":
            return Ending("answered", "length", "The answer stops here: it reached the limit of its length.")
        if not answer.has_text:
            return Ending("answered", "empty", f"The model said nothing. {ASK_AGAIN}")
        return Ending("answered")

    def _raised(self, error: Exception) -> None:
        kind, stack = type(error).__name__, stack_of(error)
        log.error("run.provider_raised", provider=self._provider.name, error=kind, stack=stack)
        public = error.public if isinstance(error, ProviderError) else f"The model could not answer. {ASK_AGAIN}"
        self.error = Error(kind="server", message="the provider raised", public=public)

    async def _close(self) -> None:
        """Frees the connection. A stream that said it was finished is read to its end, so that the connection can
        be kept for the next call; any other is closed where it stands."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        try:
            closing = Eager(self._end(stream))
            if not closing.done:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await closing
        except Exception as error:  # noqa: BLE001 - what a provider does after its answer must not cost the answer
            log.warning("run.close_failed", provider=self._provider.name, error=type(error).__name__)

    async def _end(self, stream: AsyncIterator[Event]) -> None:
        if self.finish is not None:
            await anext(stream, None)
        close = getattr(stream, "aclose", None)  # an iterator that is no generator may have nothing to close
        if close is not None:
            await close()
