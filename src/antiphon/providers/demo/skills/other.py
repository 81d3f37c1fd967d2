"""Any other tool: found by its own description, called when the sentence holds all it needs."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from antiphon.providers.base import ToolSpec
from antiphon.providers.demo.reading import Reading, Wish
from antiphon.providers.demo.schema import fill
from antiphon.providers.demo.skills.base import Plan, answer, asking
from antiphon.providers.demo.words import STOP, content_stems, content_words, rank, stems

KNOWN = frozenset(
    {
        "search_manual",
        "search_conversations",
        "people_present",
        "recall",
        "remember",
        "forget",
        "calculator",
        "clock",
    }
)
_EXPLAIN = re.compile(r"(?i)^\s*(?:how|why|where|what is an?|what are)\b(?!.*\b(?:long|many|much|cold|warm|hot)\b)")
_LEAD = re.compile(
    r"(?i)^(?:please|can|could|would|you|use|call|run|the|tool|a|an|with|for|on|to|me|and|then|:|,|-|\s)+\b"
)


def plan(sentence: str, reading: Reading) -> Plan | None:
    """The call of an offered tool that the sentence clearly asks for."""
    sentence = sentence[:2000]
    candidates = [tool for name, tool in reading.tools.items() if name not in KNOWN]
    named = next((tool for tool in candidates if re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", sentence)), None)
    if not candidates or (named is None and _EXPLAIN.match(sentence)):
        return None
    tool = named or _chosen(sentence, candidates)
    if tool is None:
        return None
    rest = _rest(sentence, tool)
    arguments = fill(tool.parameters, sentence, rest)
    if arguments is None:
        return _missing(tool) if named or _named(sentence, tool) else None
    shown = msgspec.json.encode(arguments).decode()[:300]
    thought = f"`{tool.name}` does that: I call it with `{shown}`."
    return asking(thought, Wish(name=tool.name, arguments=arguments), lambda text: _say(text, tool.name))


def _chosen(sentence: str, candidates: list[ToolSpec]) -> ToolSpec | None:
    """The best tool by BM25; None unless its name is said, or two words of its description."""
    documents = [f"{' '.join(stems(tool.name))} {tool.name} {tool.description[:2000]}" for tool in candidates]
    query = content_stems(sentence)
    scores = rank(" ".join(content_words(sentence)), documents)
    at = max(range(len(candidates)), key=lambda position: scores[position])
    clear = _named(sentence, candidates[at]) or len(set(query) & set(stems(documents[at]))) >= 2
    return candidates[at] if clear and scores[at] > 0 else None


def _named(sentence: str, tool: ToolSpec) -> bool:
    """Whether every telling word of the tool's name is said."""
    telling = {word for word in stems(tool.name) if word not in STOP and len(word) > 2}
    return bool(telling) and telling <= set(stems(sentence))


def _rest(sentence: str, tool: ToolSpec) -> str:
    """The sentence without the words that name the tool: what a free text argument gets."""
    named = re.sub(
        rf"(?i)^.*?(?<!\w){re.escape(tool.name)}(?!\w)(?:\s+tool)?\s*[:,]?\s*", "", sentence, count=1, flags=re.DOTALL
    )
    if named != sentence:
        return named.strip()
    telling = set(stems(tool.name))
    kept = [word for word in sentence.split() if not telling.intersection(stems(word))]
    return _LEAD.sub("", " ".join(kept)).strip()


def _missing(tool: ToolSpec) -> Plan:
    required = tool.parameters.get("required") or ()
    properties: Mapping[str, Any] = tool.parameters.get("properties") or {}
    needs = ", ".join(f"`{name}`{_kind(properties.get(name))}" for name in required) or "other arguments"
    example = " ".join(f"{name}=…" for name in required)
    return answer(
        f"`{tool.name}` would do that, but I do not find all it needs in your words.",
        f"I can call `{tool.name}`, and it needs {needs}. Write them like this: `{tool.name} {example}`.",
    )


def _kind(rule: Any) -> str:
    kind = rule.get("type") if isinstance(rule, Mapping) else None
    return f" ({kind})" if isinstance(kind, str) else ""


def _say(text: str, name: str) -> str:
    if text[:1] in {"{", "["}:
        return f"`{name}` answers:\n\n```json\n{text[:5000]}\n```"
    return f"`{name}` answers:\n\n{text[:5000]}" if text else f"`{name}` is done and has nothing to add."
