"""Noting what a person says about themselves: their own sentences, where a rule knows what they begin with."""

import json
import re

from antiphon.providers.demo.words import sentences

MOST = 3
_ASKED = re.compile(r"(?is)\A\s*you note what a person says about themselves\b")
_MESSAGES = re.compile(r"<messages>\n(.*?)\n?</messages>", re.DOTALL)
_NUMBERED = re.compile(r"^\[(\d{1,3})\] (.*)$", re.MULTILINE)
_LASTING = re.compile(
    r"(?i)(?:i (?:live|work|like|love|hate|prefer|have|play|speak|study|don't (?:like|eat|drink)) |"
    r"i(?:'m| am) (?:from|called|allergic|a|an) |i was born |my [\w' -]{1,40} (?:is|are) )[^?]{2,160}\Z"
)


def is_wanted(system: str) -> bool:
    """Whether the instructions want that noted."""
    return _ASKED.match(system) is not None


def noted(text: str) -> str:
    """The facts of the newest message of the material in `text`, as JSON."""
    material = _MESSAGES.search(text)
    said = _NUMBERED.findall(material[1]) if material else []
    number, newest = said[-1] if said else ("0", "")
    lasting = [sentence.rstrip(" .!") for sentence in sentences(newest) if _LASTING.match(sentence)]
    facts = [{"message": int(number), "text": sentence} for sentence in lasting[:MOST]]
    return json.dumps({"facts": facts}, ensure_ascii=False)
