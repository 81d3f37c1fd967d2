"""The tool that computes, so that a model does not have to guess."""

import re
from decimal import Context, Decimal
from fractions import Fraction

from antiphon.tools._arithmetic import evaluate
from antiphon.tools._units import convert
from antiphon.tools.base import tool

_UNIT = r"°?[^\W\d_]+(?:/[^\W\d_]+)?"
_CONVERSION = re.compile(
    rf"(?P<amount>.*[0-9)!.])\s*(?P<source>{_UNIT})\s+(?:in|to|into|as)\s+(?P<target>{_UNIT})",
    re.IGNORECASE | re.DOTALL,
)
_EXACT_DIGITS = 30  # a decimal with more digits than this came from a float or is nobody's wish
_ROUNDED = Context(prec=15)  # the digits that a float holds


@tool
async def calculator(expression: str) -> str:
    """Compute an arithmetic expression exactly, or convert units.

    Operators: + - * / // ** ! and brackets; a % b is the remainder, 17% of 2340 the percentage. Functions: sqrt, round,
    abs, floor, ceil, min, max, sum, mean, exp, ln, log(x, base), log10, log2, sin, cos, tan, asin, acos, atan (angles
    in radians), degrees, radians, factorial. Constants: pi, e, tau. Units: 5 miles in km, 20 °C to °F.

    Args:
        expression: What to compute, for example "(12.5 + 3) * 4", "17% of 2340" or "90 km/h to mph".
    """
    question = expression.strip().rstrip("=? ")
    if conversion := _CONVERSION.fullmatch(question):
        amount, source, target = conversion.group("amount", "source", "target")
        return f"{_show(convert(evaluate(amount), source, target))} {target}"
    return _show(evaluate(question))


def _show(value: Fraction) -> str:
    """Every digit of a whole number or a short decimal, otherwise 15 significant ones."""
    if value.denominator == 1:
        return str(value.numerator)
    top, bottom = Decimal(value.numerator), Decimal(value.denominator)
    exact = Context(prec=_EXACT_DIGITS)
    decimal = exact.divide(top, bottom)
    if Fraction(decimal) != value:
        decimal = _ROUNDED.divide(top, bottom)
    decimal = decimal.normalize(exact)
    return f"{decimal:f}" if -7 <= decimal.adjusted() <= _EXACT_DIGITS else str(decimal)
