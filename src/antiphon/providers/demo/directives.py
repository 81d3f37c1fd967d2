"""Directives for tests: a user's message that begins with `!` makes the demo model misbehave on purpose.

    !slow [ms] …       every token takes that long (200); what follows is answered
    !reason …          thinks visibly at length; what follows is answered
    !filter …          the content filter ends the answer after some words of it
    !cut [n] …         the stream is cut after n tokens (5) of the answer
    !error [n] …       an error object comes inside the stream after n tokens (5) of the answer
    !401 !410 !500 !503  the vendor refuses with that status
    !429 [n]           too many requests. With n, the demo server refuses a request (same key, same body) n times and
                       then answers it. In process nothing is counted, because the model is a pure function: always.
    !quota             the paid quota is used up, which many vendors say with a 429 as well
    !blind …           the vendor refuses a request with files, as for a model without eyes; without them it is answered
    !overload          the vendor is too busy, which some say with a 429 as well
    !noids …           calls of tools come without ids; on the wire only
    !split [n] …       the answer comes in writes of n bytes (1), names of tools in pieces; on the wire only
    !window [n] …      the model takes n tokens (1000): a longer prompt is refused; what follows is answered
    !sever [n] …       the connection breaks after n bytes (100) of the answer; on the wire only
    !garbage           bytes that no protocol allows
    !hang              never answers
    !tool name {json}  calls exactly that, offered or not, valid or not; several in a row are called in parallel
    !long [n]          n tokens (500)
    !echo text         the text, unchanged

Those that end in … may be combined, each once: `!slow 50 !cut 20 !long 100`.
"""

import json
import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

LONGEST = 100_000
_SLOWEST = 60_000
_NAME = re.compile(r"!([a-z]{2,8}|\d{3})(?![\w!])[ \t]*")
_NUMBER = re.compile(r"(\d{1,9})(?!\S)\s*")
_CALL = re.compile(r"([\w.-]{1,128})\s*")
_DEFAULTS: Mapping[str, int] = {
    "slow": 200,
    "cut": 5,
    "error": 5,
    "long": 500,
    "split": 1,
    "sever": 100,
    "window": 1000,
}
_REFUSALS = ("401", "410", "429", "500", "503", "blind", "overload", "quota")
NAMES = (
    *_REFUSALS, "cut", "echo", "error", "filter", "garbage", "hang", "long", "noids", "reason", "sever", "slow",
    "split", "tool", "window",
)  # fmt: skip


class Fault(Struct, frozen=True, kw_only=True):
    """What goes wrong: `after` tokens of the answer for `cut` and `error`; `refusal` is the name of a directive, and
    `times` None means always."""

    kind: Literal["refusal", "cut", "error", "garbage", "hang"]
    after: int = 0
    refusal: str = ""
    times: int | None = None


class Directives(Struct, frozen=True, kw_only=True):
    """What a message asks for. `rest` is the text that is left to answer.

    `calls` are pairs of a tool's name and its arguments as written; `delay` is seconds a token, `split` the bytes of
    one write, `sever` those of the whole; `window` is the tokens of the longest prompt.
    """

    rest: str
    delay: float | None = None
    reason: bool = False
    filtered: bool = False
    fault: Fault | None = None
    without_ids: bool = False
    split: int | None = None
    sever: int | None = None
    window: int | None = None
    calls: tuple[tuple[str, str], ...] = ()
    long: int | None = None
    echo: str | None = None
    unknown: str | None = None


def parse(text: str) -> Directives:
    """The directives at the beginning of `text`; one without any is all `rest`."""
    found = Directives(rest=text)
    seen: set[str] = set()
    while (match := _NAME.match(found.rest)) and match[1] not in seen:
        name, rest = match[1], found.rest[match.end() :]
        if name not in NAMES:
            return found if seen else replace(found, unknown=name)
        seen.add(name)
        found = _apply(found, name, rest)
        if found.echo is not None or found.calls:
            break
    return found


def _apply(found: Directives, name: str, rest: str) -> Directives:
    number, after = _number(rest) if name in _DEFAULTS or name == "429" else (None, rest)
    count = _DEFAULTS.get(name, 0) if number is None else min(number, LONGEST)
    match name:
        case "slow":
            return replace(found, rest=after, delay=min(count, _SLOWEST) / 1000)
        case "reason":
            return replace(found, rest=rest, reason=True)
        case "filter":
            return replace(found, rest=rest, filtered=True)
        case "noids":
            return replace(found, rest=rest, without_ids=True)
        case "split" | "window":
            return replace(found, rest=after, **{name: max(1, count)})
        case "sever":
            return replace(found, rest=after, sever=count)
        case "long":
            return replace(found, rest="", long=count)
        case "echo":
            return replace(found, rest="", echo=rest)
        case "tool":
            return replace(found, rest="", calls=_calls(rest))
        case "cut" | "error":
            return replace(found, rest=after, fault=Fault(kind="cut" if name == "cut" else "error", after=count))
        case "garbage" | "hang":
            return replace(found, rest=rest, fault=Fault(kind="garbage" if name == "garbage" else "hang"))
        case _:
            return replace(found, rest=after, fault=Fault(kind="refusal", refusal=name, times=number))


def _number(text: str) -> tuple[int | None, str]:
    match = _NUMBER.match(text)
    return (int(match[1]), text[match.end() :]) if match else (None, text)


def _calls(text: str) -> tuple[tuple[str, str], ...]:
    """Names and arguments of `name {…} !tool name {…}`; arguments that are no JSON are taken to the end of the text."""
    calls: list[tuple[str, str]] = []
    while match := _CALL.match(text):
        text = text[match.end() :]
        try:
            end = json.JSONDecoder().raw_decode(text)[1] if text and not text.startswith("!tool ") else 0
        except (ValueError, RecursionError):
            end = len(text)
        calls.append((match[1], text[:end].strip() or "{}"))
        following = text[end:].lstrip()
        if not following.startswith("!tool "):
            break
        text = following.removeprefix("!tool ").lstrip()
    return tuple(calls)
