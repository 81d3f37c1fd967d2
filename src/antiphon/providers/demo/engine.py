"""The demo model itself: a pure function of the request. No clock, no chance, no state, no file.

A question is taken apart into sentences; for each the first skill that understands it returns a plan. The first
request of a turn thinks and calls the tools of all plans at once; the second one, which carries their results, says
what they found. Nothing is said that no tool, no rule and no part of the request has said before.
"""

import re
from collections.abc import Iterator
from itertools import chain

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon.domain import Usage
from antiphon.providers.base import (
    Error,
    Event,
    Finish,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from antiphon.providers.demo.directives import NAMES, Directives, Fault, parse
from antiphon.providers.demo.faults import Refusal, error_of, overlong
from antiphon.providers.demo.forming import formed
from antiphon.providers.demo.reading import Reading
from antiphon.providers.demo.skills import (
    attached,
    company,
    drawing,
    keeping,
    limits,
    lookup,
    notes,
    other,
    past,
    stating,
    sums,
    talk,
    times,
)
from antiphon.providers.demo.skills.base import Plan, Skill
from antiphon.providers.demo.words import count, tokens
from antiphon.providers.stopping import before

INTRODUCTION = (
    "*No model is configured. I am the built-in demo model: rules and search, no AI. Set `OPENAI_API_KEY` (or the key "
    "of another provider) or start Ollama, then restart.*\n\n"
)
_SKILLS: tuple[Skill, ...] = (
    times.plan,
    sums.plan,
    notes.plan,
    past.plan,
    company.plan,
    talk.plan,
    drawing.plan,
    other.plan,
    limits.plan,
)
_MOST_SENTENCES = 5
_SENTENCE = re.compile(
    r"(?i)(?<=[?!])\s+|(?<=[.;])\s+(?=\S)|\n+|"
    r",?\s+and\s+(?=(?:also\s+)?(?:what|how much|how many|who|when|which|remember)\b)"
)
_GREETING = re.compile(r"(?i)^\s*(?:hi|hello|hey|good (?:morning|evening|afternoon))(?: there)?\s*[,.!]+\s*(?=\w)")
_WHOLE = re.compile(r"(?i)\s*(?:please\s+)?(?:remember|note|keep in mind|don't forget|write down|use|call)\b")
_ASKS = re.compile(
    r"(?i)\?\s*$|^\s*(?:what|how|who|where|when|which|why|is|are|can|could|do|does|tell|show|explain|find)\b"
)
_LONG = "Every word of this long answer is one token and it only exists to be streamed to as many readers as there are."
_FILLER_WORDS = 40
_THINKING = (
    "I was asked to think where it can be seen. First I read the question again, word by word. Then I look at the "
    "tools I am offered and at what each of them says about itself. Rules decide, nothing else: the same request "
    "always gives the same answer. That settled, I begin. "
)


class Script(Struct, frozen=True, kw_only=True):
    """A whole answer. `events` end with exactly one `Finish` or `Error`.

    `delay` is seconds a token where the request asks for slowness. `fault` is what the last event stands for: in
    process it is that event, on the wire it really happens, as do calls `without_ids`, writes of `split` bytes, and a
    break after `sever` bytes. What is `refused` has no answer at all.
    """

    events: tuple[Event, ...]
    delay: float | None = None
    fault: Fault | None = None
    without_ids: bool = False
    split: int | None = None
    sever: int | None = None
    refused: Refusal | None = None


class Utterance(Struct, frozen=True, kw_only=True):
    """What to stream: thought, then text, then calls."""

    thought: str = ""
    text: str = ""
    calls: tuple[ToolCall, ...] = ()


def perform(request: ModelRequest, *, forgiven: bool = False) -> Script:
    """The answer to `request`: always the same one. `forgiven` answers as if no refusal had been asked for."""
    reading = Reading(request)
    if keeping.is_wanted(reading.system):
        summary = Utterance(text=keeping.plan(request.messages[-1].text).say(()))
        return Script(events=tuple(_events(summary, request, Directives(rest=""))))
    if stating.is_wanted(reading.system):
        facts = Utterance(text=stating.noted(request.messages[-1].text))
        return Script(events=tuple(_events(facts, request, Directives(rest=""))))
    asked = parse(reading.question)
    if forgiven and asked.fault is not None and asked.fault.kind == "refusal":
        asked = replace(asked, fault=None)
    if asked.fault is not None and asked.fault.refusal == "blind" and not reading.with_files:
        asked = replace(asked, fault=None)
    if asked.window is not None and (size := _size(request)) > asked.window:
        refused = overlong(size, asked.window)
        told = Error(refused.kind, "too long by directive", refused.public, excess=refused.excess)
        return Script(events=(told,), refused=refused)
    reply = _directed(asked, reading) or _formed(_reply(asked.rest, reading), asked.rest, reading)
    reply = replace(reply, text=before(reply.text, request.stop))
    if asked.reason:
        reply = Utterance(thought=f"{_THINKING}{reply.thought}", text=reply.text, calls=reply.calls)
    return Script(
        events=tuple(_events(reply, request, asked)),
        delay=asked.delay,
        fault=asked.fault,
        without_ids=asked.without_ids,
        split=asked.split,
        sever=asked.sever,
    )


# --- what to say --------------------------------------------------------------------------------------------------


def _directed(asked: Directives, reading: Reading) -> Utterance | None:
    """The reply that a directive dictates."""
    if asked.unknown is not None:
        known = ", ".join(f"`!{name}`" for name in NAMES)
        return Utterance(text=f"I have no directive `!{asked.unknown}`. These exist: {known}. For help, say `help`.")
    if asked.echo is not None:
        return Utterance(text=asked.echo)
    if asked.calls and not reading.called:
        wanted = enumerate(asked.calls)
        return Utterance(calls=tuple(ToolCall(id=reading.call_id(at), name=n, arguments=a) for at, (n, a) in wanted))
    if asked.calls:
        found = reading.answers([name for name, _ in asked.calls])
        return Utterance(
            text="\n\n".join(
                f"`{one.name}` {'failed' if one.failed else 'answered'}:\n\n{one.text}" for one in found if one
            )
        )
    silent = not asked.rest and asked.rest != reading.question
    if asked.long is not None or (silent and attached.plan(reading) is None):
        return Utterance(text=_filler(_FILLER_WORDS if asked.long is None else asked.long))
    return None


def _filler(length: int) -> str:
    """Words to stream where a directive asks for a number of them, or is followed by nothing to answer."""
    words = _LONG.split()
    return " ".join(words[at % len(words)] for at in range(length))


def _reply(text: str, reading: Reading) -> Utterance:
    """What the skills make of a text: calls first, and what was found once the tools have answered."""
    plans = _plans(text, reading)
    wishes = [wish for plan in plans for wish in plan.wishes]
    thought = " ".join(plan.thought for plan in plans) + "\n"
    if wishes and not reading.called:
        written = [msgspec.json.encode(wish.arguments).decode() for wish in wishes]
        calls = [
            ToolCall(id=reading.call_id(at), name=wish.name, arguments=written[at]) for at, wish in enumerate(wishes)
        ]
        return Utterance(thought=thought, calls=tuple(calls))
    answers = iter(reading.answers([wish.name for wish in wishes]))
    said = [plan.say([next(answers) for _ in plan.wishes]) for plan in plans]
    introduction = INTRODUCTION if reading.first else ""
    return Utterance(
        thought="" if wishes else thought, text=introduction + "\n\n".join(dict.fromkeys(filter(None, said)))
    )


def _formed(reply: Utterance, text: str, reading: Reading) -> Utterance:
    """The reply as the data that is wanted instead of words, once no tool is to be asked any more."""
    if reading.output is None or reply.calls:
        return reply
    said = reply.text.removeprefix(INTRODUCTION)
    data = formed(reading.output, "\n".join((text, *reading.results)), said)
    return Utterance(thought=reply.thought, text=msgspec.json.encode(data).decode())


def _plans(text: str, reading: Reading) -> list[Plan]:
    """One plan for each sentence that is understood; what nobody understands is one question to look up."""
    if (files := attached.plan(reading)) is not None:
        more = _first_plan(text, reading) if text else None
        return [files] if more is None or more.aside else [files, more]
    text = _GREETING.sub("", text)
    whole = _first_plan(text, reading) if _WHOLE.match(text) or len(text) > 1000 else None
    if whole:
        return [whole]
    pieces = [piece.strip() for piece in _SENTENCE.split(text[:4000]) if piece.strip(" \t?!.,;")]
    if not 1 < len(pieces) <= _MOST_SENTENCES:
        return [_first_plan(text, reading) or lookup.plan(text, reading)]
    found = [(piece, _first_plan(piece, reading)) for piece in pieces]
    open_questions = [piece for piece, plan in found if plan is None and _ASKS.search(piece)]
    plans = [plan for _, plan in found if plan is not None and not plan.aside]
    if open_questions:
        plans.append(lookup.plan(" ".join(open_questions), reading))
    if not plans and any(plan is None for _, plan in found):
        plans.append(lookup.plan(text, reading))
    return plans or [plan for _, plan in found if plan is not None][:1]


def _first_plan(text: str, reading: Reading) -> Plan | None:
    return next((plan for skill in _SKILLS if (plan := skill(text, reading)) is not None), None)


# --- as events ----------------------------------------------------------------------------------------------------


def _events(reply: Utterance, request: ModelRequest, asked: Directives) -> Iterator[Event]:
    fault = asked.fault
    if fault is not None and fault.kind in {"refusal", "garbage", "hang"}:
        yield error_of(fault)
        return
    thought, text = tokens(reply.thought), tokens(reply.text)
    limit, ending = _limit(asked, len(thought) + len(text), request.max_tokens)
    yield from map(ReasoningDelta, thought[:limit])
    yield from map(TextDelta, text[: max(0, limit - len(thought))])
    if ending is None:
        yield from chain.from_iterable(_call(at, call) for at, call in enumerate(reply.calls))
        ending = Finish("tool_calls" if reply.calls else "stop")
    if isinstance(ending, Finish):
        yield UsageReport(_usage(request, reply, min(limit, len(thought)), min(limit, len(thought) + len(text))))
    yield ending


def _limit(asked: Directives, length: int, allowed: int | None) -> tuple[int, Finish | Error | None]:
    """How many tokens come, and what ends the stream there; None when the answer ends by itself."""
    if asked.fault is not None:
        return min(asked.fault.after, length), error_of(asked.fault)
    if asked.filtered:
        return length // 2, Finish("filtered")
    if allowed is not None and length > allowed:
        return max(0, allowed), Finish("length")
    return length, None


def _call(index: int, call: ToolCall) -> Iterator[Event]:
    yield ToolCallStart(index, call.id, call.name)
    for piece in tokens(call.arguments):
        yield ToolCallDelta(index, piece)
    yield ToolCallEnd(index, call)


def _usage(request: ModelRequest, reply: Utterance, thought: int, said: int) -> Usage:
    """Words in and out: the demo model's own tokens, so nothing about them is estimated, and they cost nothing."""
    written = sum(count(call.arguments) for call in reply.calls)
    return Usage(input_tokens=_size(request), output_tokens=said + written, reasoning_tokens=thought, cost=0.0)


def _size(request: ModelRequest) -> int:
    return sum(count(m.text) + sum(count(call.arguments) for call in m.calls) for m in request.messages)
