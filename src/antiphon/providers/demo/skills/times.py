"""Time and date: asked of the `clock`, in the zone of the place that is named."""

import re

from antiphon.providers.demo.reading import Reading
from antiphon.providers.demo.skills.base import Plan, Results, answer, trouble
from antiphon.search.lexical import fold

_ASKS = re.compile(
    r"\b(?:what(?:'s| is|s)? (?:the )?(?:current )?(?:local )?(?:time|date|day)\b(?! (?:zone|limit|out))|what day is|"
    r"what year|what month|(?:current|local) (?:time|date)|today's date|what is today|what's today|time is it|"
    r"time (?:now )?(?:in|is it)|date (?:today|now)|day (?:is it|today))"
)
_SHORT = re.compile(r"(?:the )?(?:time|date|clock|now|today)(?: (?:please|now|today))?[?!. ]*")
_FOLLOW = re.compile(r"(?:and|what about|how about)(?: now)? (?:in|for|at) (?P<place>.+?)[?!. ]*")
_PLACE = re.compile(r"(?i)\b(?:in|at|for)\s+(?P<places>[^?!.;]{2,120})")
_BETWEEN = re.compile(r"(?i)\s*,\s*(?:and\s+)?|\s+and\s+(?:in\s+)?|\s*&\s*")
_OTHER_DAY = re.compile(r"\b(?:tomorrow|yesterday|next|last|ago|will be)\b")
_NOT_PLACE = re.compile(
    r"(?i)(?:the\s+)?(?:moment|now|today|here|there|right now|my (?:time ?zone|place|city|country)|world|general|"
    r"utc time)\b.*"
)
_FILLER = re.compile(r"(?i)^(?:the|city of)\s+|\s+(?:right now|now|today|at the moment|please|currently|is it)$")


def plan(sentence: str, reading: Reading) -> Plan | None:
    """ "What time is it in Tokyo and London?", and "and in Paris?" after it."""
    sentence = sentence[:400]
    text = fold(sentence).strip()
    follows = bool(reading.earlier and _FOLLOW.fullmatch(text) and _asks(fold(reading.earlier[-1][:400]).strip()))
    if not follows and not _asks(text):
        return None
    places = _places(sentence)
    wishes = [reading.wish("clock", timezone=place) for place in places] or [reading.wish("clock")]
    offered = tuple(wish for wish in wishes if wish is not None)
    if len(offered) < len(wishes):
        return answer(
            "The time. There is no clock for that among my tools.",
            "I cannot tell the time: no `clock` tool is offered to me here, and I have no clock of my own.",
        )
    other = "The clock knows only now. " if _OTHER_DAY.search(text) else ""
    where = f" in {', '.join(places)}" if places else ""
    return Plan(
        thought=f"The time{where}: I look at the clock.",
        wishes=offered,
        say=lambda results: other + _say(results, places),
    )


def _asks(text: str) -> bool:
    return bool(_ASKS.search(text) or _SHORT.fullmatch(text))


def _places(sentence: str) -> tuple[str, ...]:
    """The places that are named, as they are written: the clock knows cities and zones."""
    named = _PLACE.search(sentence)
    if named is None:
        return ("UTC",) if re.search(r"(?i)\b(?:utc|gmt)\b", sentence) else ()
    found = (_FILLER.sub("", _FILLER.sub("", place.strip())).strip(" ,") for place in _BETWEEN.split(named["places"]))
    return tuple(dict.fromkeys(place for place in found if len(place) > 1 and not _NOT_PLACE.fullmatch(place)))[:6]


def _say(results: Results, places: tuple[str, ...]) -> str:
    lines = []
    for position, result in enumerate(results):
        failure = trouble(result, "clock")
        text = failure or (result.text.strip() if result else "")
        lines.append(f"**{places[position][:60]}**: {text}" if places else f"It is {text}.")
    return "\n".join(f"- {line}" for line in lines) if len(lines) > 1 else lines[0]
