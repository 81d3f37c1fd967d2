"""The checks by rule: each is a coroutine that asks the room something and raises `Mismatch` at a wrong answer."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from antiphon.testing.conformance import checks
from antiphon.testing.conformance.room import Room
from antiphon.testing.conformance.rules import FAMILIES, RULES

Ask = Callable[[Room], Awaitable[None]]
Level = Literal["must", "ours"]
Part = Literal["long-poll", "presence"]


class Check(msgspec.Struct, frozen=True):
    """`must` rules are Phoenix's own; `ours` are decisions where Phoenix has none or another, and fail nobody else.

    A `slow` check takes longer than a minute. One of a part that a server does not offer is not asked.
    """

    rule: str
    level: Level
    part: Part | None
    slow: bool
    ask: Ask

    @property
    def statement(self) -> str:
        """The rule in one sentence."""
        return RULES[self.rule]


def check(rule: str, level: Level = "must", *, part: Part | None = None, slow: bool = False) -> Callable[[Ask], Ask]:
    """Marks a coroutine as the check of one rule."""

    def mark(ask: Ask) -> Ask:
        ask.__dict__["__check__"] = Check(rule, level, part, slow, ask)
        return ask

    return mark


def all_checks() -> list[Check]:
    """Every check, in the order of the rules; one for a rule."""
    found: dict[str, Check] = {}
    for module in pkgutil.iter_modules(checks.__path__):
        for value in vars(importlib.import_module(f"{checks.__name__}.{module.name}")).values():
            one = getattr(value, "__check__", None)
            if one is None:
                continue
            if one.rule in found or one.rule not in RULES:
                raise ValueError(f"{one.rule} is checked twice, or is no rule")
            found[one.rule] = one
    return [found[rule] for rule in RULES if rule in found]


def chosen(words: str) -> list[Check]:
    """The checks named by IDs or families, such as `JN-6,LV`. Raises `ValueError` for a word that names none."""
    known, wanted = all_checks(), [word.strip().upper() for word in words.split(",") if word.strip()]
    nothing = [word for word in wanted if word not in FAMILIES and all(word != each.rule for each in known)]
    if nothing:
        raise ValueError(f"no check is called {', '.join(nothing)}: --list shows them all")
    return [each for each in known if each.rule in wanted or each.rule.partition("-")[0] in wanted]
