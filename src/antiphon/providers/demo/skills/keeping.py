"""Summing up for whoever goes on with a conversation: sentences of it, sorted by what they are, none of its own."""

import re
from collections.abc import Iterable

from antiphon.providers.demo.skills.base import Plan, answer
from antiphon.providers.demo.words import sentences

HEADINGS = ("Facts", "Decisions", "Open tasks", "What was talked about")
_ASKED = re.compile(r"(?is)\A\s*you keep the memory of a conversation\b")
_PART = re.compile(r"<(summary|messages)>\n(.*?)\n?</\1>", re.DOTALL)
_SAID = re.compile(r"^\[(person|assistant|tool)[^\]\n]{0,200}\] (.*)$", re.MULTILINE)
_DECIDED = re.compile(r"(?i)\b(?:decid\w+|agree[ds]?|settled|we (?:will|take|go)|let's|chose[n]?)\b")
_OPEN = re.compile(
    r"(?i)\b(?:to-?do|must|need(?:s)? to|have to|remind|don't forget|remember to|still open|by tomorrow)\b"
)
_MOST = 12
"""Lines under one heading."""

_LONGEST = 200


def is_wanted(system: str) -> bool:
    """Whether the instructions want what was said summed up."""
    return _ASKED.match(system) is not None


def plan(text: str) -> Plan:
    """The summary of the material in `text`: lines of an earlier one first, because they are older."""
    parts = dict(_PART.findall(text))
    lines: dict[str, list[str]] = {heading: [] for heading in HEADINGS}
    heading = HEADINGS[0]
    for line in parts.get("summary", "").splitlines():
        heading = next((each for each in HEADINGS if line.strip() == f"## {each}"), heading)
        if line.startswith("- "):
            lines[heading].append(line[2:])
    for who, said in _SAID.findall(parts.get("messages", "")):
        if who == "person" and not said.startswith(("!", "/")):
            for sentence in sentences(said):
                lines[_heading(sentence)].append(sentence[:_LONGEST])
    written = [f"## {heading}\n\n{_list(found)}" for heading, found in lines.items()]
    return answer("I was asked to sum up what was said.", "\n\n".join(written))


def _heading(sentence: str) -> str:
    if sentence.rstrip().endswith("?"):
        return HEADINGS[3]
    if _DECIDED.search(sentence):
        return HEADINGS[1]
    return HEADINGS[2] if _OPEN.search(sentence) else HEADINGS[0]


def _list(found: Iterable[str]) -> str:
    """The oldest and the newest, each once."""
    once = list(dict.fromkeys(found))
    kept = once if len(once) <= _MOST else [*once[: _MOST // 2], *once[-_MOST // 2 :]]
    return "\n".join(f"- {line}" for line in kept) or "- none"
