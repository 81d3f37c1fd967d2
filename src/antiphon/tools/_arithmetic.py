"""Evaluates an arithmetic expression: exact fractions, no `eval`, and a bound on the work of every operation.

    sum      = product {("+" | "-") product}
    product  = signed {("*" | "/" | "//" | "%" | "of") signed}
    signed   = ("+" | "-") signed | power
    power    = postfix ["**" signed]
    postfix  = atom {"!" | "%"}
    atom     = number | name | name "(" sum {"," sum} ")" | "(" sum ")"

A `%` before a number, a name or a bracket is the remainder, everywhere else it means hundredths.
"""

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

from antiphon.errors import ToolError

_LENGTH_LIMIT = 500  # characters
_DEPTH_LIMIT = 40
_EXACT_BITS = 8_192  # of numerator and denominator together; beyond, a value is rounded to a float
_EXPONENT_LIMIT = 400
_FACTORIAL_LIMIT = 500
_ROUND_LIMIT = 50
_NOISE = 1e-15  # what a float leaves where a sine or cosine is 0

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE](?P<exponent>[+-]?[0-9]+))?)"
    r"|(?P<name>[^\W\d_]\w*)|(?P<operator>\*\*|//|[-+*/%^!(),×÷·−√])"
)
_SPELLINGS = MappingProxyType({"^": "**", "×": "*", "·": "*", "÷": "/", "−": "-", "√": "sqrt", "π": "pi"})


def evaluate(expression: str) -> Fraction:
    """The value of `expression`. Raises `ToolError` saying what is wrong with it or that the result is out of reach."""
    if len(expression) > _LENGTH_LIMIT:
        raise ToolError(f"The expression is longer than {_LENGTH_LIMIT} characters; split it up.")
    try:
        return _Parser(_tokens(expression)).whole()
    except ZeroDivisionError:
        raise ToolError("That divides by zero, which has no result.") from None
    except OverflowError:
        raise ToolError("The result is too large for the calculator.") from None
    except ValueError:  # what `math` raises outside of a function's domain
        raise ToolError("A function was given a number for which it has no real result.") from None


# --- tokens and grammar -------------------------------------------------------------------------------------------


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


def _tokens(expression: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(expression):
        if expression[at].isspace():
            at += 1
            continue
        match = _TOKEN.match(expression, at)
        if not match:
            raise ToolError(f"The calculator cannot read {expression[at]!r} at character {at + 1}.")
        if abs(int(match["exponent"] or 0)) > _EXPONENT_LIMIT:
            raise ToolError(f"Powers of ten go up to {_EXPONENT_LIMIT}.")
        kind = "number" if match["number"] else "name" if match["name"] else "operator"
        text = _SPELLINGS.get(match[0], match[0])
        tokens.append(_Token("name" if text.isalpha() else kind, text, at + 1))
        at = match.end()
    tokens.append(_Token("end", "", at + 1))
    return tokens


class _Parser:
    """Reads and computes in one pass."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Fraction:
        value = self._sum()
        if self._next.kind != "end":
            raise self._unexpected("an operator")
        return value

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> str:
        """The next token's text when it is one of `texts`, which moves on; otherwise empty."""
        text = self._next.text
        if text not in texts:
            return ""
        self._at += 1
        return text

    def _unexpected(self, wanted: str) -> ToolError:
        found = f"{self._next.text[:20]!r} at character {self._next.place}" if self._next.text else "the end"
        return ToolError(f"The calculator expected {wanted} and found {found}.")

    def _sum(self) -> Fraction:
        value = self._product()
        while operator := self._take("+", "-"):
            right = self._product()
            value = _bounded(value + right if operator == "+" else value - right)
        return value

    def _product(self) -> Fraction:
        value = self._signed()
        while operator := self._take("*", "of", "/", "//", "%"):
            value = _bounded(_PRODUCTS[operator](value, self._signed()))
        return value

    def _signed(self) -> Fraction:
        self._depth += 1
        if self._depth > _DEPTH_LIMIT:
            raise ToolError(f"The expression is nested deeper than {_DEPTH_LIMIT} levels; split it up.")
        sign = self._take("+", "-")
        value = self._signed() if sign else self._power()
        self._depth -= 1
        return -value if sign == "-" else value

    def _power(self) -> Fraction:
        base = self._postfix()
        return _power(base, self._signed()) if self._take("**") else base

    def _postfix(self) -> Fraction:
        value = self._atom()
        while self._next.text == "!" or (self._next.text == "%" and not self._remainder_follows()):
            value = _factorial(value) if self._take("!", "%") == "!" else value / 100
        return value

    def _remainder_follows(self) -> bool:
        after = self._tokens[self._at + 1]
        return after.kind == "number" or after.text == "(" or (after.kind == "name" and after.text != "of")

    def _atom(self) -> Fraction:
        token = self._next
        self._at += 1
        if token.kind == "number":
            return Fraction(token.text.replace("_", ""))
        if token.kind == "name":
            return self._named(token.text)
        if token.text == "(":
            value = self._sum()
            if not self._take(")"):
                raise self._unexpected("a closing bracket")
            return value
        self._at -= 1
        raise self._unexpected("a number")

    def _named(self, name: str) -> Fraction:
        name = name.lower()
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name not in _FUNCTIONS:
            known = ", ".join([*_FUNCTIONS, *_CONSTANTS])
            raise ToolError(f"The calculator does not know {name[:20]!r}. It knows {known}.")
        if not self._take("("):
            raise self._unexpected(f"a bracket after {name}")
        values = [self._sum()]
        while self._take(","):
            values.append(self._sum())
        if not self._take(")"):
            raise self._unexpected("a comma or a closing bracket")
        return _bounded(_apply(name, values))


# --- numbers ------------------------------------------------------------------------------------------------------


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _bounded(value: Fraction) -> Fraction:
    """`value`, rounded to a float once it has grown too long to stay exact."""
    if _bits(value) <= _EXACT_BITS:
        return value
    rounded = float(value)
    if rounded == 0:
        raise ToolError("The result is too close to zero for the calculator.")
    return _rough(rounded)


def _rough(value: float) -> Fraction:
    # Above 2**53 the digits after the shortest form are an artefact; below, showing 15 digits rounds them away.
    return Fraction(value) if abs(value) < 2**53 else Fraction(repr(value))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    whole = exponent.denominator == 1
    if whole and (abs(base) in {0, 1} or _bits(base) * abs(exponent) <= _EXACT_BITS):
        return base**exponent.numerator
    if base < 0 and not whole:
        raise ToolError("A broken power of a negative number is not a real number.")
    value = float(base) ** float(exponent)
    if value == 0 and base:
        raise ToolError("The result is too close to zero for the calculator.")
    return _rough(value)


def _sqrt(value: Fraction) -> Fraction:
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if top * top == value.numerator and bottom * bottom == value.denominator:
        return Fraction(top, bottom)
    return _rough(math.sqrt(value))


def _round(value: Fraction, digits: Fraction = Fraction(0)) -> Fraction:
    """Half away from zero, as people round; Python rounds half to even."""
    scale = Fraction(10) ** _whole(digits, "the digits to round to", _ROUND_LIMIT)
    rounded = math.floor(abs(value) * scale + Fraction(1, 2)) / scale
    return rounded if value >= 0 else -rounded


def _factorial(value: Fraction) -> Fraction:
    return Fraction(math.factorial(_whole(value, "what a factorial is taken of", _FACTORIAL_LIMIT)))


def _whole(value: Fraction, what: str, limit: int) -> int:
    if value.denominator != 1 or abs(value) > limit:
        raise ToolError(f"The calculator needs {what} to be a whole number of at most {limit}.")
    return value.numerator


def _log(value: Fraction, base: Fraction | None = None) -> Fraction:
    return _rough(math.log(value) if base is None else math.log(value) / math.log(base))


def _float(function: Callable[[float], float]) -> Callable[[Fraction], Fraction]:
    def applied(value: Fraction) -> Fraction:
        result = function(float(value))
        return Fraction(0) if abs(result) < _NOISE <= abs(value) else _rough(result)

    return applied


def _apply(name: str, values: list[Fraction]) -> Fraction:
    function, least, most = _FUNCTIONS[name]
    if not least <= len(values) <= most:
        raise ToolError(f"{name} takes {least if least == most else f'{least} to {most}'} numbers, not {len(values)}.")
    return function(*values)


_MANY = _LENGTH_LIMIT
_EXACT: dict[str, tuple[Callable[..., Fraction], int, int]] = {
    "sqrt": (_sqrt, 1, 1),
    "round": (_round, 1, 2),
    "abs": (abs, 1, 1),
    "floor": (lambda value: Fraction(math.floor(value)), 1, 1),
    "ceil": (lambda value: Fraction(math.ceil(value)), 1, 1),
    "min": (lambda *values: min(values), 1, _MANY),
    "max": (lambda *values: max(values), 1, _MANY),
    "sum": (lambda *values: sum(values, Fraction(0)), 1, _MANY),
    "mean": (lambda *values: sum(values, Fraction(0)) / len(values), 1, _MANY),
    "factorial": (_factorial, 1, 1),
    "ln": (_log, 1, 1),
    "log": (_log, 1, 2),
}
_FLOATING: dict[str, tuple[Callable[..., Fraction], int, int]] = {
    name: (_float(getattr(math, name)), 1, 1)
    for name in ("exp", "log10", "log2", "sin", "cos", "tan", "asin", "acos", "atan", "degrees", "radians")
}
_FUNCTIONS = MappingProxyType(_EXACT | _FLOATING)
_CONSTANTS = MappingProxyType({"pi": Fraction(math.pi), "e": Fraction(math.e), "tau": Fraction(math.tau)})
_PRODUCTS: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = MappingProxyType(
    {
        "*": lambda left, right: left * right,
        "of": lambda left, right: left * right,
        "/": lambda left, right: left / right,
        "//": lambda left, right: Fraction(left // right),
        "%": lambda left, right: left % right,
    }
)
