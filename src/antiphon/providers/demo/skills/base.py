"""The contract of a skill: a sentence and its request in, a plan out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from antiphon.providers.demo.reading import Reading, ToolAnswer, Wish

Results = Sequence[ToolAnswer | None]
"""One for each wish, in order; None when that call was never answered."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do about a sentence: think, call (all wishes at once), then say.

    `aside` is small talk: said only when nothing else is to be said.
    """

    thought: str
    say: Callable[[Results], str]
    wishes: tuple[Wish, ...] = ()
    aside: bool = False


Skill = Callable[[str, Reading], Plan | None]


def answer(thought: str, text: str, *, aside: bool = False) -> Plan:
    """A plan that needs no tool."""
    return Plan(thought=thought, say=lambda _: text, aside=aside)


def asking(thought: str, wish: Wish, say: Callable[[str], str]) -> Plan:
    """A plan of one call: `say` words what the tool answered; why it brought nothing is told as it is."""

    def told(results: Results) -> str:
        result = results[0]
        failure = trouble(result, wish.name)
        return say(result.text.strip()) if result and not failure else failure or ""

    return Plan(thought=thought, wishes=(wish,), say=told)


def trouble(result: ToolAnswer | None, name: str) -> str | None:
    """The sentence to say when a call brought no answer, None when it did."""
    if result is None:
        return f"`{name}` was called, but no answer of it has reached me."
    if result.failed:
        return f"`{name}` could not do it: {result.text.strip()[:500]}"
    return None
