"""Everything else is a question: looked up in the manual, the notes and the conversations, and quoted."""

import re
from collections.abc import Sequence

from antiphon.providers.demo.evidence import Excerpt, best, passages, quote
from antiphon.providers.demo.reading import Reading, Wish
from antiphon.providers.demo.skills.base import Plan, Results, answer
from antiphon.providers.demo.words import content_words

_PERSONAL = re.compile(
    r"(?i)\b(?:my|mine|our|ours|am i|do i (?!get|use|make|write|add|set|run|start|install|connect|change))\b"
)
_PLACES = {
    "search_manual": "the manual",
    "recall": "your notes",
    "search_conversations": "your conversations",
}
_LONGEST_QUERY = 12


def plan(sentence: str, reading: Reading) -> Plan:
    """A search in what is offered: the manual for questions at large, notes and conversations for personal ones."""
    topic = " ".join(content_words(sentence[:2000])[:_LONGEST_QUERY])
    if not topic:
        return answer(
            "No word to go by.",
            "I did not understand that: I go by words such as *time* or *remember*. `help` shows what I can do.",
        )
    places = (
        ("recall", "search_conversations", "search_manual")
        if _PERSONAL.search(sentence[:2000])
        else ("search_manual", "recall")
    )
    asked = [wish for place in places if (wish := reading.wish(place, query=topic))]
    if not asked:
        return Plan(
            thought="A question, and nothing to look it up in.",
            say=lambda _: (
                "I know nothing by myself and no search tool is offered to me here, so I have no answer to that."
            ),
        )
    where = " and ".join(_PLACES[wish.name] for wish in asked)
    return Plan(
        thought=f"A question about *{topic}*: I look in {where}.",
        wishes=tuple(asked),
        say=lambda results: _say(results, tuple(asked), topic),
    )


def _say(results: Results, asked: Sequence[Wish], query: str) -> str:
    parts: list[str] = []
    for wish, result in zip(asked, results, strict=True):
        if result is None or result.failed:
            continue
        found = best(query, passages(result.text), strict=wish.name == "search_manual")
        if found and wish.name == "search_manual":
            # What the user said of themselves answers "my …" better than the manual does.
            parts += [] if parts else [_manual(query, found)]
        elif found:
            lines = [f"- {' '.join(hit.text.split())[:300]}{_from(hit)}" for hit in found[:5]]
            parts.append(f"In {_PLACES[wish.name]}:\n\n" + "\n".join(lines))
    failed = [f"`{result.name}`" for result in results if result and result.failed]
    if failed:
        parts.append(f"{' and '.join(failed)} reported an error, so this may not be all.")
    return "\n\n".join(parts) if any(parts) and len(parts) > len(failed[:1]) else _nothing(asked, query, bool(failed))


def _manual(query: str, found: Sequence[Excerpt]) -> str:
    """The best section quoted, its code as it stands, and where to read on."""
    top = found[0]
    quoted = "\n".join(f"> {sentence}" for sentence in quote(query, top))
    shown = top.code or top.table
    source = f"— manual{', ' + top.label if top.label else ''}"
    more = list(dict.fromkeys(f"*{hit.heading}*" for hit in found[1:4] if hit.heading and hit.heading != top.heading))
    also = "See also: " + " · ".join(more) if more else ""
    return "\n\n".join(filter(None, (quoted, shown, source, also)))


def _from(hit: Excerpt) -> str:
    return f" ({hit.label})" if hit.label else ""


def _nothing(asked: Sequence[Wish], query: str, failed: bool) -> str:
    where = " or ".join(_PLACES[wish.name] for wish in asked)
    if failed:
        return (
            f"I found nothing about *{query}*: the search in {where} reported an error. Please ask again in a moment."
        )
    return (
        f"I found nothing about *{query}* in {where}, and I make nothing up.\n\n"
        "- Other words may find it: I match words, not meaning.\n"
        "- For questions about the world a real model is needed: ask me *how do I connect a model?*\n"
        "- `help` shows what I can do."
    )
