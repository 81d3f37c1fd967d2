"""How much of a running text a regular expression has to see before it is certain what it matches in it."""

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any

# By name: whether a checker of types knows these two differs between versions of Python.
op: Any = import_module("re._constants")
_parser: Any = import_module("re._parser")

_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_LOOKING = (op.ASSERT, op.ASSERT_NOT)
_EDGES = (op.AT_BOUNDARY, op.AT_NON_BOUNDARY)
_CHARACTERS = (op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY)


def reach_of(expression: str, before: int) -> float:
    """Characters from where a match begins; infinite where only the whole text tells. `before` is how many in front of
    it are seen anyway. Raises `re.error`.

    A match of which one kind of character is repeated at the end counts with the fewest of them: more of them make it
    longer, and do not make it.
    """
    return _reach(_parser.parse(expression), before, ends=True)


def _reach(parsed: Sequence[tuple[Any, Any]], before: int, *, ends: bool) -> float:
    last = len(parsed) - 1
    return sum(_reach_of_one(kind, value, before, ends and at == last) for at, (kind, value) in enumerate(parsed))


def _reach_of_one(kind: Any, value: Any, before: int, ends: bool) -> float:
    if kind in _CHARACTERS:
        return 1
    if kind is op.SUBPATTERN:
        return _reach(value[-1], before, ends=ends)
    if kind is op.ATOMIC_GROUP:
        return _reach(value, before, ends=ends)
    if kind is op.BRANCH:
        return max(_reach(each, before, ends=ends) for each in value[1])
    if kind in _REPEATS:
        fewest, most, repeated = value
        if ends and repeated.getwidth() == (1, 1):
            return float(fewest)
        if most is op.MAXREPEAT:
            return math.inf
        return most * _reach(repeated, before, ends=False) if most else 0
    if kind in _LOOKING:
        ahead, seen = value
        if ahead > 0:
            return _reach(seen, before, ends=False)
        return 0 if seen.getwidth()[1] <= before else math.inf
    if kind is op.AT and value in _EDGES:
        return 1
    return math.inf  # the beginning and the end of the text, what a group has matched, and whatever is new
