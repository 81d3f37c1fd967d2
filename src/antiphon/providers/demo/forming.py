"""An answer as data: a JSON Schema filled with what a text holds, by name and by kind.

What the text says nothing about is empty (no text, 0, false, an empty list, or null where that may be); where a rule
allows nothing empty, it is the least that the rule allows. Nothing is made up.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from antiphon.providers.demo.schema import candidates, conforms, plain
from antiphon.providers.demo.words import stems

_DEEPEST = 8
_MOST_ITEMS = 50
_NUMBER = r"(?P<n>-?\d{1,15}(?:\.\d{1,15})?)"
_EMPTY: Mapping[str, str] = MappingProxyType(
    {
        "date": "1970-01-01",
        "date-time": "1970-01-01T00:00:00Z",
        "time": "00:00:00Z",
        "duration": "P0D",
        "email": "nobody@example.invalid",
        "uri": "about:blank",
        "uuid": "00000000-0000-0000-0000-000000000000",
    }
)
"""What stands for nothing where a format wants something."""
_WHOLE = frozenset({"answer", "reply", "response", "result", "summary", "text", "message", "content"})
"""Names of fields for the answer in words."""
_SEPARATOR = re.compile(r"\s*[,;\n]\s*|\s+and\s+")


def formed(schema: Mapping[str, Any], text: str, said: str) -> Any:
    """A value of `schema`, as far as `text` holds it. `said` is what would be the answer in words: a field for it gets
    it whole."""
    if schema.get("type") == "object" and not schema.get("properties"):
        return {} if schema.get("additionalProperties") is False else {"answer": said}
    return _Form(schema, text, said).value("", schema, required=True)


class _Form:
    """One filling: what was taken for one field is not taken for another."""

    def __init__(self, schema: Mapping[str, Any], text: str, said: str) -> None:
        self._root = schema
        self._text = text
        self._said = said
        self._taken: set[str] = set()

    def value(self, name: str, rule: Any, *, required: bool, depth: int = 0) -> Any:
        """What the text holds for a field; None where it holds nothing and nothing is needed."""
        kind, simple = self._kind(rule)
        if "const" in simple:
            return simple["const"]
        if depth > _DEEPEST:
            return None
        if kind == "object":
            return self._object(simple, depth)
        if kind == "array":
            return self._array(name, simple, depth)
        found = next(self._found(name, kind, simple, rule, required), None)
        if found is not None:
            return found
        return None if not required or self._may_be_null(rule) else _least(kind, simple, self._text)

    def _object(self, rule: Mapping[str, Any], depth: int) -> dict[str, Any]:
        needed = rule.get("required") or ()
        values = {
            name: self.value(name, each, required=name in needed, depth=depth + 1)
            for name, each in (rule.get("properties") or {}).items()
        }
        return {name: value for name, value in values.items() if name in needed or value is not None}

    def _array(self, name: str, rule: Mapping[str, Any], depth: int) -> list[Any]:
        items = rule.get("items") or {}
        kind, _ = self._kind(items)
        most = min(rule.get("maxItems", _MOST_ITEMS), _MOST_ITEMS)
        if kind in {"object", "array"}:
            pieces = [piece for piece in self._text.splitlines() if piece.strip()][:most]
            values = [self._of(piece).value(name, items, required=True, depth=depth + 1) for piece in pieces]
        else:
            pieces = [piece for piece in _SEPARATOR.split(_behind(name, self._text)) if piece]
            found = [self._of(piece).value("", items, required=False) for piece in pieces]
            values = [each for each in found if each is not None][:most]
        while len(values) < rule.get("minItems", 0) <= _MOST_ITEMS:
            values.append(self.value("", items, required=True, depth=depth + 1))
        return values

    def _of(self, piece: str) -> "_Form":
        return _Form(self._root, piece, piece.strip())

    def _found(
        self, name: str, kind: str, simple: Mapping[str, Any], rule: Any, required: bool
    ) -> Iterator[str | int | float | bool]:
        for value in self._candidates(name, kind, simple, required):
            if str(value) not in self._taken and conforms(value, rule, self._root):
                self._taken.add(str(value))
                yield value

    def _candidates(self, name: str, kind: str, rule: Mapping[str, Any], required: bool) -> Sequence[Any]:
        written = [*candidates(name, rule, self._text, self._text.strip(), required=required)]
        if kind == "boolean":
            return written or ([True] if _says(name, self._text) else [])
        if kind in {"integer", "number"}:
            as_kind = int if kind == "integer" else float
            near = [as_kind(found) for found in _near(name, self._text) if kind == "number" or "." not in found]
            return [*near, *written]
        if kind != "string":
            return written
        whole = [self._said] if not name or (required and set(name.lower().split("_")) & _WHOLE) else []
        return [*_stated(name, self._text), *whole, *written]

    def _kind(self, rule: Any) -> tuple[str, Mapping[str, Any]]:
        simple = plain(rule, self._root)
        kind = simple.get("type", "object" if "properties" in simple else "")
        kinds = [kind] if isinstance(kind, str) else [each for each in kind if each != "null"]
        kind = kinds[0] if kinds else "null"
        return kind, {**simple, "type": kind}

    def _may_be_null(self, rule: Any) -> bool:
        return conforms(None, rule, self._root)


def _least(kind: str, rule: Mapping[str, Any], text: str) -> Any:
    """What stands for nothing."""
    if rule.get("enum"):
        return rule["enum"][0]
    if kind in {"integer", "number"}:
        return _least_number(kind, rule)
    if kind == "string":
        padded = _EMPTY.get(rule.get("format", ""), "")
        return padded or (text.strip() or "-").ljust(rule["minLength"], "-") if rule.get("minLength") else padded
    return {"boolean": False}.get(kind)


def _least_number(kind: str, rule: Mapping[str, Any]) -> int | float:
    low = rule.get("minimum", rule.get("exclusiveMinimum", 0))
    least = max(0, low + (1 if "exclusiveMinimum" in rule and rule["exclusiveMinimum"] >= 0 else 0))
    least = min(least, rule.get("maximum", least))
    return int(least) if kind == "integer" else least


def _near(name: str, text: str) -> list[str]:
    """Numbers that stand beside the name of a field: "3 days", "days: 3", "a budget of 200"."""
    words = [re.escape(word.rstrip("s")) for word in name.lower().split("_") if len(word) > 2]
    if not words:
        return []
    said = rf"(?:{'|'.join(words)})\w{{0,3}}"
    beside = [rf"(?<![\w.]){_NUMBER}\s+{said}\b", rf"\b{said}\s*(?:of|is|are|was|[:=])?\s*{_NUMBER}(?![\w])"]
    return [found["n"] for pattern in beside for found in re.finditer(pattern, text, re.IGNORECASE)]


def _stated(name: str, text: str) -> list[str]:
    """What a text says a field is: "the colour is green", "title: Plans"."""
    said = re.escape(name.lower().replace("_", " "))
    found = re.finditer(rf"(?i)\b{said}\s*(?::|=|\bis\b|\bwas\b)\s*\"?(?P<is>[^\",.;?!\n]{{1,200}})", text)
    return [each["is"].strip() for each in found] if name else []


def _behind(name: str, text: str) -> str:
    """What a text says of a list behind its name ("items: a, b"), else all of it."""
    found = re.search(rf"(?is)\b{re.escape(name.replace('_', ' '))}\s*(?::|=|are|is)\s*(?P<rest>[^.\n]+)", text)
    return found["rest"] if name and found else text


def _says(name: str, text: str) -> bool:
    """Whether every word of a field's name is said, and not denied."""
    wanted = set(stems(name.replace("_", " ")))
    denied = re.search(rf"(?i)\b(?:not|no|never|n't|without)\s+{re.escape(name.replace('_', ' '))}", text)
    return bool(wanted) and wanted <= set(stems(text)) and not denied
