"""What was said: in this conversation (read from the request), or in any other (`search_conversations`)."""

import re

from antiphon.providers.demo.evidence import Excerpt, best, passages
from antiphon.providers.demo.reading import Reading
from antiphon.providers.demo.skills.base import Plan, answer, asking
from antiphon.providers.demo.words import content_words, listed

_SAID = re.compile(
    r"(?i)\b(?:what|when|where)\b.*\b(?:i|we|you)\b.*\b(?:said|asked|talked|discussed|told|mentioned|wrote)\b|"
    r"\bdid (?:i|we|you)\b.*\b(?:say|ask|talk|discuss|tell|mention|write)\b|"
    r"\b(?:search|find|look)\b.*\b(?:conversations?|chats?|history|messages?)\b"
)
_SEARCH = listed(
    """say said ask asked talk talked discuss discussed told mention mentioned write wrote search conversation
    conversations chat chats history message messages last time yesterday before earlier today ago previously"""
)
_LAST = re.compile(
    r"(?i)\bwhat (?:did i|have i|was it i|i) (?:just |last )?(?:say|said|ask|asked|write|wrote)\b"
    r"(?: (?:just )?(?:now|before|last))?[\s?.!]*$|\bmy (?:last|previous) (?:message|question)\b"
)
_FIRST = re.compile(r"(?i)\b(?:my|the) first (?:message|question|thing)\b")
_SUMMARY = re.compile(
    r"(?i)\b(?:summari[sz]e|sum up|recap|overview of)\b.*\b(?:conversation|chat|discussion|so far|we|this)\b|"
    r"^\s*(?:summary|recap|tl;?dr)[\s?.!]*$"
)


def plan(sentence: str, reading: Reading) -> Plan | None:
    """ "What did I say about tea?", "what was my first question?", "summarise this conversation"."""
    sentence = sentence[:300]
    if _SUMMARY.search(sentence):
        return _summary(reading)
    if _LAST.search(sentence) or _FIRST.search(sentence):
        return _quoted(reading, first=bool(_FIRST.search(sentence)))
    if not _SAID.search(sentence):
        return None
    topic = " ".join(word for word in content_words(sentence) if word not in _SEARCH)
    return _search(topic, reading) if topic else _summary(reading)


def _quoted(reading: Reading, *, first: bool) -> Plan:
    if not reading.earlier:
        return answer("The conversation begins here.", "This is the first message of yours that I can see.")
    text = reading.earlier[0 if first else -1]
    which = "first message I can see" if first else "message before this one"
    return answer("I read back in this conversation.", f"Your {which}:\n\n{_block(text)}")


def _summary(reading: Reading) -> Plan:
    if not reading.earlier and not reading.summary:
        return answer(
            "The conversation begins here.", "There is nothing to sum up yet: this is your first message here."
        )
    said = [*reading.summary, *reading.earlier[-15:]]
    lines = [f"{number}. {_line(text)}" for number, text in enumerate(said, 1)]
    return answer(
        "I read back in this conversation.",
        "I cannot put it in words of my own (that needs a real model), but this is what you said:\n\n"
        + "\n".join(lines),
    )


def _search(topic: str, reading: Reading) -> Plan:
    wish = reading.wish("search_conversations", query=topic)
    if wish is None and reading.summary:
        found = best(topic, [Excerpt(text=text) for text in (*reading.summary, *reading.earlier)])
        lines = "\n".join(f"- {_line(hit.text)}" for hit in found[:8])
        return answer("I look into the summary of what was said.", f"About *{topic}*:\n\n{lines or '- nothing'}")
    if wish is None:
        return answer(
            "A question about earlier conversations. There is no tool to search them.",
            "I cannot search: no `search_conversations` tool is offered to me here. I see only this conversation.",
        )
    thought = f"You ask what was said about *{topic}*: I search your conversations."
    return asking(thought, wish, lambda text: _say(text, topic))


def _say(text: str, topic: str) -> str:
    found = best(topic, passages(text))
    if not found:
        return f"I found nothing about *{topic}* in your conversations. Fewer or other words may find more."
    lines = [f"- {_line(hit.text)}" + (f" ({hit.label})" if hit.label else "") for hit in found[:8]]
    return f"About *{topic}*, in your conversations:\n\n" + "\n".join(lines)


def _line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 240 else flat[:239] + "…"


def _block(text: str) -> str:
    return "\n".join(f"> {line}" for line in text[:2000].splitlines() or [""])
