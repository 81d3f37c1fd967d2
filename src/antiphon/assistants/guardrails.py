"""What must not pass: to a model on the way in, to a person on the way out."""

import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Literal

from msgspec import Struct, structs

from antiphon.assistants.answer import ANSWER_LIMIT
from antiphon.assistants.reach import reach_of
from antiphon.errors import ConfigError
from antiphon.providers.around import Around
from antiphon.providers.base import (
    Error,
    Event,
    Finish,
    ModelRequest,
    Provider,
    ReasoningDelta,
    Remark,
    TextDelta,
)
from antiphon.runtime.threads import run_async
from antiphon.telemetry.logs import get_logger

Action = Literal["refuse", "mask", "warn"]
Way = Literal["in", "out", "both"]

REACH = 128
"""Characters within which a guardrail sees what it looks for, unless it says otherwise: so much of a running answer is
held back, because it may be the beginning of something."""

MOST_HELD = 8_192
"""Characters that are held back at most, for something that goes on and on."""

LONG = 50_000
"""Characters of a text that are looked at in a few milliseconds."""

_BEFORE = 32  # characters that have gone out and are looked at again, for what has to stand at the edge of a word

log = get_logger(__name__)


class Spot(Struct, frozen=True, order=True):
    """Where in a text something stands, and what takes its place where it is masked."""

    start: int
    end: int
    mask: str = "[removed]"


class Guardrail(Struct, frozen=True, kw_only=True):
    """Looks for something in what people say (`on="in"`), in what a model answers ("out"), or in "both".

    What is found ends the turn ("refuse"), is replaced ("mask"), or only told ("warn"). `says` is the sentence for the
    person. `find` sees pieces of a running answer, in which something is at most `reach` characters long.
    """

    name: str
    find: Callable[[str], Iterable[Spot]]
    says: str
    action: Action = "refuse"
    on: Way = "both"
    reach: int = REACH

    def watches(self, way: Literal["in", "out"]) -> bool:
        return self.on in {way, "both"}


def pattern(name: str, *expressions: str, action: Action = "refuse", on: Way = "both", says: str = "") -> Guardrail:
    """Refuses, masks or tells what regular expressions match, whatever its case. Raises `ConfigError`.

    A running answer is held back as far as a match may be long: all of it where nothing bounds that, as in `a.*b`."""
    try:
        compiled = [re.compile(each, re.IGNORECASE) for each in expressions]
        reach = max([REACH, *(min(reach_of(each, _BEFORE), ANSWER_LIMIT) for each in expressions)])
    except re.error as error:
        raise ConfigError(f"Guardrail {name}: {error.pattern!r} is no regular expression: {error}.") from error
    return Guardrail(
        name=name,
        find=lambda text: (Spot(*match.span()) for each in compiled for match in each.finditer(text) if match[0]),
        says=says or f"This contains something that is not allowed here ({name}).",
        action=action,
        on=on,
        reach=int(reach),
    )


def length(limit: int, *, action: Action = "refuse") -> Guardrail:
    """At most `limit` characters of what a person says, which is refused, cut ("mask") or told when it is longer. How
    long answers are is a matter of `max_tokens`."""
    if limit < 1:
        raise ConfigError(f"Guardrail length: limit={limit} must be greater than 0.")
    return Guardrail(
        name="length",
        find=lambda text: [Spot(limit, len(text), "…")] if len(text) > limit else [],
        says=f"At most {limit} characters can be said at once.",
        action=action,
        on="in",
    )


def check(
    function: Callable[[str], bool], *, says: str, name: str = "", action: Action = "refuse", on: Way = "in"
) -> Guardrail:
    """A function of one's own, which is true for a text that must not pass. Of a running answer it sees the newest
    `REACH` characters."""
    return Guardrail(
        name=name or getattr(function, "__name__", "check"),
        find=lambda text: [Spot(0, len(text))] if function(text) else [],
        says=says,
        action=action,
        on=on,
    )


class Judged(Struct, frozen=True):
    """A text as it may pass, and the guardrails that found something; `refused` is the one that ends it."""

    text: str
    found: tuple[Guardrail, ...] = ()
    refused: Guardrail | None = None


def judge(text: str, guardrails: Sequence[Guardrail], *, earlier: bool = False) -> Judged:
    """What all `guardrails` say of a whole text. In an `earlier` message, which nobody can take back any more, what
    would refuse it is masked."""
    hits = [(guardrail, sorted(guardrail.find(text))) for guardrail in guardrails]
    hits = [(guardrail, found) for guardrail, found in hits if found]
    refused = next((guardrail for guardrail, _ in hits if guardrail.action == "refuse"), None)
    masking = {"mask", "refuse"} if earlier else {"mask"}
    masks = [each for guardrail, found in hits if guardrail.action in masking for each in found]
    return Judged(_masked(text, masks), tuple(guardrail for guardrail, _ in hits), refused)


def _masked(text: str, masks: Iterable[Spot]) -> str:
    pieces, at = [], 0
    for found in sorted(masks):
        if found.start >= at:
            pieces += [text[at : found.start], found.mask]
        at = max(at, found.end)
    return "".join([*pieces, text[at:]])


class Sieve:
    """A running answer, of which only that is let out in which nothing more can be found."""

    def __init__(self, guardrails: Sequence[Guardrail]) -> None:
        self._guardrails = guardrails
        self._reach = max(guardrail.reach for guardrail in guardrails)
        self._gone = ""
        self._held = ""
        self.found: dict[str, Guardrail] = {}
        self.refused: Guardrail | None = None

    def take(self, piece: str) -> str:
        """What may go out by now."""
        self._held += piece
        return self._let_go(len(self._held) - self._reach) if len(self._held) > 2 * self._reach else ""

    def rest(self) -> str:
        """What may go out at the end."""
        return self._let_go(len(self._held), last=True)

    def _let_go(self, upto: int, *, last: bool = False) -> str:
        seen, before = self._gone + self._held, len(self._gone)
        masks: list[Spot] = []
        for guardrail in self._guardrails:
            for found in guardrail.find(seen):
                begins = max(found.start - before, 0)
                if found.end <= before or begins >= upto:
                    continue  # gone already, or looked at again when there is more
                if found.end == len(seen) and not last and guardrail.action == "mask" and len(self._held) < MOST_HELD:
                    upto = begins  # it may go on
                    continue
                self.found[guardrail.name] = guardrail
                if guardrail.action == "refuse":
                    self.refused, upto = guardrail, begins
                elif guardrail.action == "mask":
                    masks.append(Spot(begins, found.end - before, found.mask))
        masks = sorted(mask for mask in masks if mask.start < upto)
        end = upto if self.refused is not None else max([upto, *(mask.end for mask in masks)])
        raw, self._held = self._held[:end], self._held[end:]
        self._gone = (self._gone + raw)[-_BEFORE:]
        return _masked(raw, masks)


class Guarded(Around):
    """Asks a model what may be asked, and lets out what may be said; of one run."""

    def __init__(self, inner: Provider, guardrails: Sequence[Guardrail]) -> None:
        super().__init__(inner)
        self._inwards = [guardrail for guardrail in guardrails if guardrail.watches("in")]
        self._outwards = [guardrail for guardrail in guardrails if guardrail.watches("out")]
        self._told: set[str] = set()
        self._judged: dict[tuple[str, bool], Judged] = {}

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        request, judged = await self._checked(request)
        for remark in self._remarks(judged.found):
            yield remark
        if judged.refused is not None:
            yield _refusal(judged.refused)
            return
        async with aclosing(self._provider.stream(request)) as events:
            if not self._outwards:
                async for event in events:
                    yield event
                return
            said, thought = Sieve(self._outwards), Sieve(self._outwards)
            async for event in events:
                for given in self._sifted(event, said, thought):
                    yield given
                if refused := said.refused or thought.refused:
                    yield _refusal(refused)
                    return

    async def _checked(self, request: ModelRequest) -> tuple[ModelRequest, Judged]:
        """The request as it may be asked, and what is said of the person's last message."""
        last, messages = Judged(""), list(request.messages)
        asked = [at for at, message in enumerate(messages) if message.role == "user"] if self._inwards else []
        for at in asked:
            last = await self._judge(messages[at].text, earlier=at != asked[-1])
            messages[at] = structs.replace(messages[at], text=last.text)
        return structs.replace(request, messages=tuple(messages)), last

    async def _judge(self, text: str, *, earlier: bool) -> Judged:
        """Once for all rounds of a run, and a long text beside the loop, which others need meanwhile."""
        known = self._judged.get((text, earlier))
        if known is None:
            judged = partial(judge, text, self._inwards, earlier=earlier)
            known = judged() if len(text) <= LONG else await run_async(judged)
            self._judged[text, earlier] = known
        return known

    def _sifted(self, event: Event, said: Sieve, thought: Sieve) -> Iterator[Event]:
        """What becomes of an event. What is held back goes out before what is to be read behind it, and at the end; the
        pieces of calls and signatures in between end no text, so they let nothing out."""
        match event:
            case TextDelta(text=text):
                yield from _reasoning(thought.rest())
                if text and thought.refused is None:
                    yield from _text(said.take(text))
            case ReasoningDelta(text=text, opaque=opaque):
                yield from _text(said.rest() if text else "")
                if said.refused is None:
                    yield from _reasoning(thought.take(text))
                    yield from self._signed(opaque, thought)
            case Finish() | Error():
                yield from _reasoning(thought.rest())
                yield from _text(said.rest() if thought.refused is None else "")
                if (said.refused or thought.refused) is None:
                    yield from self._remarks({**thought.found, **said.found}.values())
                    yield event
            case _:
                yield event

    def _signed(self, opaque: Any, thought: Sieve) -> Iterator[Event]:
        """A signature, behind what it signs. It does not fit what was masked, and may hold it."""
        if opaque is None:
            return
        yield from _reasoning(thought.rest())
        if thought.refused is None and not any(guardrail.action == "mask" for guardrail in thought.found.values()):
            yield ReasoningDelta("", opaque)

    def _remarks(self, found: Iterable[Guardrail]) -> Iterator[Remark]:
        for guardrail in found:
            if guardrail.name not in self._told:
                self._told.add(guardrail.name)
                log.info("guardrail.found", guardrail=guardrail.name, action=guardrail.action)
                if guardrail.action != "refuse":
                    yield Remark("guardrail", guardrail.says)


def _text(text: str) -> Iterator[Event]:
    if text:
        yield TextDelta(text)


def _reasoning(text: str) -> Iterator[Event]:
    if text:
        yield ReasoningDelta(text)


def _refusal(guardrail: Guardrail) -> Error:
    return Error(kind="filtered", message=f"refused by the guardrail {guardrail.name}", public=guardrail.says)
