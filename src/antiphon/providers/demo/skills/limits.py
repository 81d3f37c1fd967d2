"""What takes a real model or a tool that is not here: said at once, with the way to get it."""

import re

from antiphon.providers.demo.evidence import passages
from antiphon.providers.demo.reading import Reading
from antiphon.providers.demo.skills.base import Plan, Results
from antiphon.providers.demo.words import stems
from antiphon.search.lexical import fold

_CREATIVE = re.compile(
    r"^(?:(?:please|can you|could you|would you|i want you to|help me(?: to)?|now|ok|hey|and)[\s,]+)*(?:"
    r"(?:write|compose|draft|create|generate|make(?: up)?|invent|tell|give|sing|draw|paint|design|build|code|program|"
    r"implement)\b"
    r"(?:\s+me)?.*\b(?:poem|haiku|story|stories|joke|song|lyrics|essay|email|letter|article|blog|script|function|"
    r"program|code|website|app|page|game|image|picture|logo|riddle|speech|tweet|recipe|plan|cv|resume|limerick)\b|"
    r"(?:translate|rewrite|rephrase|paraphrase|proofread|summari[sz]e|brainstorm|debug|review|improve|refactor|"
    r"role-?play|imagine|pretend|act as)\b.+)"
)
_JOKE = re.compile(r"^(?:(?:another|one more)\s+)?(?:joke|poem|haiku|story)[\s?!.]*$")
_WORLD = re.compile(
    r"\b(?:weather|forecast|temperature (?:in|outside)|news|headlines|stock price|share price|exchange rate|traffic|"
    r"score of|who won|search the (?:web|internet)|google|browse|"
    r"remind me|reminders?|(?:alarm|timer) (?:for|in|at|to)|set an? (?:alarm|timer))\b"
)
_DOCUMENTED = re.compile(r"^(?:how|where|why|which|what) (?:do|can|could|should|does|is a|are|to)\b")


def plan(sentence: str, reading: Reading) -> Plan | None:
    """ "Write a poem", "translate …", "what is the weather?": not within rules and search."""
    text = fold(sentence[:600]).strip()
    if _DOCUMENTED.match(text):
        return None
    if _CREATIVE.match(text) or _JOKE.match(text):
        excuse = (
            "That takes a real model: I am rules and search, and do not write, translate or explain in my own words."
        )
        return _point(reading, "This takes a real model.", excuse, "connect a model api key ollama")
    if world := _WORLD.search(text):
        excuse = f"I have no tool for that (*{world[0]}*), and I make nothing up. A few lines of Python give me one."
        return _point(reading, "This takes a tool that is not offered to me.", excuse, "write a tool")
    return None


def _point(reading: Reading, thought: str, excuse: str, query: str) -> Plan:
    """Says what is missing and quotes the manual on how to get it."""
    wish = reading.wish("search_manual", query=query)
    if wish is None:
        return Plan(thought=thought, say=lambda _: excuse)
    return Plan(
        thought=f"{thought} I look in the manual for the way to it.",
        wishes=(wish,),
        say=lambda results: _say(results, excuse, query),
    )


def _say(results: Results, excuse: str, query: str) -> str:
    result = results[0]
    found = passages(result.text) if result and not result.failed else []
    wanted = set(stems(query))
    near = max(found, key=lambda hit: len(wanted & set(stems(f"{hit.title} {hit.text}"))), default=None)
    if near is None:
        return excuse
    code = f"\n\n{near.code}" if near.code else ""
    where = f" See {near.label}." if near.label else ""
    return f"{excuse}{where}{code}"
