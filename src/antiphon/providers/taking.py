"""A vendor that is given the files that its model takes; the others are named to it, and the person is told."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Container, Sequence
from contextlib import aclosing

from msgspec import structs

from antiphon.files.quoting import mention
from antiphon.providers.abilities import Kind, abilities, kind_of
from antiphon.providers.around import Around
from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    File,
    ModelRequest,
    Provider,
    RateReport,
    Remark,
)
from antiphon.telemetry.logs import get_logger

REMEMBERED = 256
"""Models of one vendor of which it is remembered that they refused."""

_NOT_TAKEN = "which you cannot see or hear"

log = get_logger(__name__)


class Taking(Around):
    """`provider` as it is for requests without files. One that refuses a request with files, before its first word, is
    asked once more without them, and from then on not given any of that model."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider)
        self._refused: OrderedDict[str, None] = OrderedDict()

    def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        # A token does not pass through here where there are no files.
        with_files = any(message.files for message in request.messages)
        return self._with_files(request) if with_files else self._provider.stream(request)

    async def _with_files(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        model = request.model
        takes = frozenset[Kind]() if model in self._refused else abilities(self.name, model)
        asked = _fitting(request, takes)
        async with aclosing(self._provider.stream(asked)) as events:
            first = await anext(events)
            refused = isinstance(first, Error) and first.kind == "invalid" and _files(asked) > 0
            if not refused:
                async for event in _told(first, events, _left_out(request, asked)):
                    yield event
                return
        log.info("provider.files_refused", provider=self.name, model=model)
        asked = _fitting(request, frozenset())
        async with aclosing(self._provider.stream(asked)) as events:
            first = await anext(events)
            if not isinstance(first, Error):
                self._remember(model)
            async for event in _told(first, events, _left_out(request, asked)):
                yield event

    def _remember(self, model: str) -> None:
        self._refused[model] = None
        if len(self._refused) > REMEMBERED:
            self._refused.popitem(last=False)


async def _told(
    first: Event, events: AsyncGenerator[Event, None], left_out: tuple[File, ...]
) -> AsyncGenerator[Event, None]:
    """An answer, with a sentence about what its model was not given."""
    while isinstance(first, RateReport):
        yield first
        first = await anext(events)
    if left_out and not isinstance(first, Error):
        names = ", ".join(file.name for file in left_out)
        yield Remark("attachments", f"This model cannot take {names}: it was only told that there is such a file.")
    yield first
    async for event in events:
        yield event


def _fitting(request: ModelRequest, takes: Container[Kind | None]) -> ModelRequest:
    """The request with the files that are taken; the others are named in its texts."""
    return structs.replace(request, messages=tuple(_taken(message, takes) for message in request.messages))


def _taken(message: ChatMessage, takes: Container[Kind | None]) -> ChatMessage:
    return named(message, [file for file in message.files if kind_of(file.media_type) not in takes], _NOT_TAKEN)


def named(message: ChatMessage, files: Sequence[File], why: str = "") -> ChatMessage:
    """The message with lines that say that there were these files, in place of them."""
    if not files:
        return message
    told = [mention(file.name, file.media_type, why) for file in files]
    kept = tuple(file for file in message.files if file not in files)
    return structs.replace(message, text="\n\n".join(filter(None, [message.text, *told])), files=kept)


def _left_out(request: ModelRequest, asked: ModelRequest) -> tuple[File, ...]:
    """The files of the question that are not asked along; of earlier ones, and of rounds with tools, it was told."""
    question, given = request.messages[-1], asked.messages[-1]
    return tuple(file for file in question.files if file not in given.files)


def _files(request: ModelRequest) -> int:
    return sum(len(message.files) for message in request.messages)
