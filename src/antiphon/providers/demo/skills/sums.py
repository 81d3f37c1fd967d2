"""Arithmetic and units: turned into an expression for the `calculator`, never worked out here."""

import ast
import re
from collections.abc import Sequence

from antiphon.providers.demo.reading import Reading
from antiphon.providers.demo.skills.base import Plan, answer, asking
from antiphon.providers.demo.words import listed

_LEAD = re.compile(
    r"(?i)^(?:(?:ok|so|and|please|hey|hi|can you|could you|tell me|what(?:'s|’s|s| is| are| does)?|"
    r"how much(?: is| are)?|(?:use|with|using) (?:the )?calculator(?: to)?|"
    r"calculate|compute|evaluate|solve|work out|calc|the result of|the value of|the)\b[\s,:]*)+"
)
_TAIL = re.compile(r"(?i)(?:\s*\b(?:please|thanks|equals?(?: to)?))?[\s=?!.]*$")
_REWRITES: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"[$€£]", ""),
        (r"(?<=\d),(?=\d{3}(?:\D|$))", ""),
        (r"(\d[\d.]*)\s*(?:%|percent)\s*off\s+(\d[\d.]*)", r"\2 - \1% of \2"),
        (r"\s*percent\b", "%"),
        (r"(?:the\s+)?(?:square\s+)?root\s+of\s+(\d[\d.]*)", r"sqrt(\1)"),
        (r"√\s*(\d[\d.]*)", r"sqrt(\1)"),
        (r"\s*squared\b|²", " ** 2"),
        (r"\s*cubed\b|³", " ** 3"),
        (r"\s*(?:to the power of|to the|\^)\s*", " ** "),
        (r"\s*(?:multiplied by|times|×|·)\s*", " * "),
        (r"(?<=[\d)])\s*x\s*(?=[\d(])", " * "),
        (r"\s*(?:divided by|over|÷)\s*", " / "),
        (r"\s*\bplus\b\s*", " + "),
        (r"\s*\bminus\b\s*|\s*[−–]\s*", " - "),
    )
)
_EXPRESSION = re.compile(r"(?:[\d.\s+\-*/()%,]|sqrt|sin|cos|tan|log|exp|abs|round|pi|of)+")
_HUNDREDTHS = re.compile(r"(?<=\d)\s*%(?!\s*[\d(])")

_UNITS = listed(
    """mm millimeter millimetre cm centimeter centimetre m meter metre km kilometer kilometre in inch inche ft foot
    feet yd yard mi mile nmi kg g mg t gram kilo kilogram milligram tonne oz ounce lb lbs pound l ml liter
    litre milliliter millilitre gal gallon pt pint cup m/s km/h kmh kph mph kn knot s sec second ms
    millisecond min minute h hr hour d day wk week b byte kb mb gb tb kib mib gib tib c °c celsius f °f
    fahrenheit k kelvin"""
)
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)( \S{1,20})?")
_UNIT = r"°?[a-z]+(?:/h)?"
_CONVERSIONS = (
    re.compile(
        rf"(?:convert\s+)?(?P<amount>-?\d[\d.,]*)\s*(?:degrees?\s+)?(?P<source>{_UNIT})"
        rf"\s+(?:in|to|into|as)\s+(?:degrees?\s+)?(?P<target>{_UNIT})"
    ),
    re.compile(
        rf"how many\s+(?P<target>{_UNIT})\s+(?:(?:is|are|make)\s+)?(?:there\s+)?(?:in\s+)?"
        rf"(?P<amount>-?\d[\d.,]*|an?)\s*(?P<source>{_UNIT})"
    ),
)


def plan(sentence: str, reading: Reading) -> Plan | None:
    """Sums ("17% of 2340") and conversions ("15 km in miles")."""
    text = _TAIL.sub("", _LEAD.sub("", sentence[:400]))
    expression = _conversion(text.lower()) or _sum(text)
    if expression is None:
        return None
    wish = reading.wish("calculator", expression=expression)
    if wish is None:
        return answer(
            "A sum. There is no calculator among my tools.",
            f"That is a sum (`{expression}`), and no `calculator` tool is offered to me here. I do not guess numbers.",
        )
    return asking(f"A sum: I give `{expression}` to the calculator.", wish, lambda value: _say(value, expression))


def _sum(text: str) -> str | None:
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    expression = " ".join(text.split())
    if not expression or len(expression) > 200 or not _EXPRESSION.fullmatch(expression):
        return None
    try:
        # The calculator reads `17% of 2340` as it stands; Python's grammar only checks that it is a sum.
        tree = ast.parse(_HUNDREDTHS.sub(" / 100 ", expression).replace("of", "*"), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return expression if isinstance(tree, ast.BinOp | ast.Call | ast.UnaryOp) and _has_work(tree) else None


def _has_work(tree: ast.expr) -> bool:
    """True for something to work out: not a lone number, a tuple or a name that is no function."""
    nodes = list(ast.walk(tree))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    names = [node for node in nodes if isinstance(node, ast.Name) and id(node) not in called and node.id != "pi"]
    sound = not names and not any(isinstance(node, ast.Tuple) for node in nodes)
    return sound and any(isinstance(node, ast.BinOp | ast.Call) for node in nodes)


def _conversion(text: str) -> str | None:
    """`15 km in miles`, also for `how many miles is 15 km`; None for what are no units."""
    found = next(filter(None, (pattern.fullmatch(text) for pattern in _CONVERSIONS)), None)
    if found is None:
        return None
    amount, source, target = found["amount"], found["source"], found["target"]
    if not all(unit in _UNITS or unit.removesuffix("s") in _UNITS for unit in (source, target)):
        return None
    number = "1" if amount in {"a", "an"} else amount.replace(",", "").strip(".")
    return f"{number} {source} in {target}" if re.fullmatch(r"-?\d+(?:\.\d+)?", number) else None


def _say(value: str, expression: str) -> str:
    if not _NUMBER.fullmatch(value):
        return f"The calculator has no number for `{expression}`: {value[:300]}"
    return f"`{expression}` = **{_NUMBER.sub(_rounded, value) if ' in ' in expression else value}**"


def _rounded(number: re.Match[str]) -> str:
    """A converted measure in six digits: nobody asks for 9.32056788356001 miles."""
    return f"{float(number[1]):.6g}{number[2] or ''}"
