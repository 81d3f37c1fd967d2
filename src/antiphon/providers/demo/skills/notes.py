"""Notes about the user: kept with `remember`, found again with `recall`, deleted with `forget`."""

import re

from antiphon.providers.demo.evidence import best, passages
from antiphon.providers.demo.reading import Reading
from antiphon.providers.demo.skills.base import Plan, answer, asking
from antiphon.providers.demo.words import content_words

_KEEP = re.compile(
    r"(?is)^(?:please\s+|can you\s+|could you\s+|ok,?\s+)*"
    r"(?:remember|note(?: down)?|keep in mind|(?:don't|do not) forget|(?:save|make|take) a note|write down)"
    r"\s*(?:,|:|that\b:?|this:?|the following:?)?\s+(?P<fact>.+)$"
)
_ABOUT_ME = re.compile(
    r"(?i)\b(?:what|which|tell me|show|list)\b.*\b(?:you (?:know|remember|learn(?:ed|t)?|saved|noted)|"
    r"(?:my|your) (?:notes|memory|memories))\b|^\s*(?:who am i|do you (?:know|remember) me)\b"
)
_SELF = re.compile(r"(?i)\babout (?:me|myself|us)\b|\bof me\b|\b(?:my|your) (?:notes|memory|memories)\b")
_ASIDE = frozenset(
    {"know", "remember", "notes", "memory", "memories", "learned", "learnt", "saved", "noted", "show", "list"}
)
_NAMED = re.compile(
    r"^\s*(?:hi|hello|hey)?[\s,!.]*(?i:my name is|i am called|call me)\s+"
    r"(?P<name>[^\W\d_][\w'’-]*(?:\s[A-Z][\w'’-]*)?)[\s.!]*$"
)
_OWN = re.compile(
    r"(?i)^\s*(?:i (?:am|like|love|hate|live|work|prefer|feel|was born)|i'm|i’m|"
    r"my [\w' -]{1,40} (?:is|are))\b[^?]{2,200}$"
)
_FORGET = re.compile(
    r"(?is)^(?:please\s+|can you\s+|could you\s+|ok,?\s+)*"
    r"(?:forget|(?:delete|erase|remove)(?=.*\b(?:notes?|facts?|memor(?:y|ies)|you (?:know|remember))\b))"
    r"\s+(?:(?:the|my)\s+(?:note|fact)s?\s+)?(?:(?:about|that)\b:?\s*)?(?P<what>.+)$"
)
_EVERYTHING = re.compile(
    r"(?i)^(?:everything|all(?: of it)?|me|(?:all )?(?:of )?(?:my |your |the )?(?:notes|facts|memory|memories))\b"
)
_NOTHING_NAMED = re.compile(r"(?i)^(?:it|this|that|about it|never mind)$")


def plan(sentence: str, reading: Reading) -> Plan | None:
    """ "Remember that …", "what do you know about me?", "my name is …"."""
    if found := _KEEP.match(sentence):
        return None if sentence.rstrip().endswith("?") else _keep(found["fact"].strip().rstrip(".!"), reading)
    if _ABOUT_ME.search(sentence[:300]):
        return _recall(sentence, reading)
    if named := _NAMED.match(sentence):
        name = named["name"]
        return answer(
            "An introduction. Nothing is kept unless I am asked to.",
            f"Nice to meet you, {name}. I keep nothing on my own: say *remember that my name is {name}* and I will "
            "know it in every conversation.",
        )
    if _OWN.match(sentence[:300]):
        fact = " ".join(sentence.split()).rstrip(".!")
        return answer(
            "A remark about yourself. Nothing is kept unless I am asked to.",
            f"I keep nothing on my own. If I should know it later, say: *remember that {fact}*.",
        )
    if found := _FORGET.match(sentence[:1000]):
        return _forget(found["what"].strip().rstrip("?.!"), reading)
    return None


def _forget(what: str, reading: Reading) -> Plan:
    if _NOTHING_NAMED.match(what):
        return answer("Nothing is named that I could forget.", "Tell me what: *forget that my dog is called Argos*.")
    everything = bool(_EVERYTHING.match(what))
    wish = reading.wish("forget", everything=True) if everything else reading.wish("forget", text=what)
    if wish is None:
        return answer("A wish to forget. No tool of mine does that.", "No tool to delete notes is offered to me here.")
    return asking("Something to forget: that is for you to allow, then I delete it.", wish, lambda said: said[:1000])


def _keep(fact: str, reading: Reading) -> Plan:
    wish = reading.wish("remember", text=fact)
    if wish is None:
        return answer(
            "Something to remember. There is no tool for it.",
            "I cannot keep that: no `remember` tool is offered to me here. I only see what is in this conversation.",
        )
    return asking("Something to remember: I write it into your notes.", wish, _kept)


def _kept(said: str) -> str:
    """The tool's own words: only it knows whether the note was kept."""
    return f"{said[:1000] or 'Done.'}\n\nAsk me *what do you know about me?*, here or in another conversation."


def _recall(sentence: str, reading: Reading) -> Plan:
    topic = (
        "" if _SELF.search(sentence[:300]) else " ".join(w for w in content_words(sentence[:300]) if w not in _ASIDE)
    )
    wish = reading.wish("recall", query=topic)
    if wish is None:
        return answer(
            "A question about your notes. There is no tool to read them.",
            "I cannot look: no `recall` tool is offered to me here. I know only what is in this conversation.",
        )
    thought = f"You ask what I know{' about ' + topic if topic else ''}: I read your notes."
    return asking(thought, wish, lambda found: _say(found, topic))


def _say(found: str, topic: str) -> str:
    notes = best(topic, passages(found))
    if not notes:
        about = f" about *{topic}*" if topic else ""
        return f"Your notes hold nothing{about}. Tell me something: *remember that my favourite colour is green*."
    return "Your notes say:\n\n" + "\n".join(f"- {note.text.replace(chr(10), ' ')[:500]}" for note in notes[:20])
