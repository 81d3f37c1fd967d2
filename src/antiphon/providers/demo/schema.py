"""JSON Schema, as far as tools use it: does a value fit, and which values does a text hold for it.

Knows type, enum, const, bounds, the commonest formats, arrays, objects, anyOf and `$ref` into `$defs`: what typed
Python functions become. A schema with any other rule fits nothing, so a call is never made on a guess.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": (list, tuple),
    "object": Mapping,
    "null": type(None),
}
_NOTES = frozenset({"title", "description", "default", "examples", "$defs", "$schema", "deprecated", "readOnly"})
_DEEPEST = 12

_FORMATS: Mapping[str, re.Pattern[str]] = {
    "date": re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"),
    "email": re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"),
    "uri": re.compile(r"https?://[^\s<>\"']{1,2000}"),
}

Rule = Callable[[Any, Any], bool]
_RULES: Mapping[str, Rule] = {
    "format": lambda value, name: isinstance(value, str) and name in _FORMATS and bool(_FORMATS[name].fullmatch(value)),
    "enum": lambda value, allowed: value in allowed,
    "const": lambda value, wanted: value == wanted,
    "minimum": lambda value, bound: not _number(value) or value >= bound,
    "maximum": lambda value, bound: not _number(value) or value <= bound,
    "exclusiveMinimum": lambda value, bound: not _number(value) or value > bound,
    "exclusiveMaximum": lambda value, bound: not _number(value) or value < bound,
    "minLength": lambda value, bound: not isinstance(value, str) or len(value) >= bound,
    "maxLength": lambda value, bound: not isinstance(value, str) or len(value) <= bound,
    "minItems": lambda value, bound: not isinstance(value, list) or len(value) >= bound,
    "maxItems": lambda value, bound: not isinstance(value, list) or len(value) <= bound,
}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def conforms(value: Any, schema: Any, root: Any = None, depth: int = 0) -> bool:
    """Whether `value` fits `schema`; False too for a schema this module does not fully understand."""
    root = schema if root is None else root
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return False
    return all(_keeps(value, schema, rule, root, depth) for rule in schema if rule not in _NOTES)


def _keeps(value: Any, schema: Mapping[str, Any], rule: str, root: Any, depth: int) -> bool:
    wanted = schema[rule]
    match rule:
        case "type":
            return any(_is(value, name) for name in ([wanted] if isinstance(wanted, str) else wanted))
        case "anyOf" | "oneOf":
            return any(conforms(value, choice, root, depth + 1) for choice in wanted)
        case "$ref":
            return conforms(value, _resolve(wanted, root), root, depth + 1)
        case "items":
            return not isinstance(value, list) or all(conforms(item, wanted, root, depth + 1) for item in value)
        case "required":
            return not isinstance(value, Mapping) or all(name in value for name in wanted)
        case "properties":
            return _properties_fit(value, wanted, root, depth)
        case "additionalProperties":
            known = schema.get("properties") or {}
            return wanted is not False or not isinstance(value, Mapping) or all(name in known for name in value)
        case _:
            return rule in _RULES and _RULES[rule](value, wanted)


def _is(value: Any, name: Any) -> bool:
    kind = _TYPES.get(name)
    return kind is not None and isinstance(value, kind) and (name == "boolean" or not isinstance(value, bool))


def _properties_fit(value: Any, properties: Mapping[str, Any], root: Any, depth: int) -> bool:
    if not isinstance(value, Mapping):
        return True
    return all(conforms(value[name], rule, root, depth + 1) for name, rule in properties.items() if name in value)


def _resolve(reference: Any, root: Any) -> Any:
    name = reference.removeprefix("#/$defs/") if isinstance(reference, str) else ""
    return root.get("$defs", {}).get(name) if isinstance(root, Mapping) else None


# --- filling ------------------------------------------------------------------------------------------------------

_QUOTED = re.compile(r"\"([^\"]{1,2000})\"|“([^”]{1,2000})”|'([^']{1,2000})'(?!\w)|`([^`]{1,2000})`")
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,15}(?:\.\d{1,15})?(?!\w)")
_BY_NAME: Sequence[tuple[frozenset[str], re.Pattern[str]]] = (
    (frozenset({"url", "link", "address"}), re.compile(r"(https?://[^\s<>\"']{1,2000})")),
    (frozenset({"email", "mail"}), re.compile(r"([\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,63}\w)")),
    (frozenset({"date", "day"}), re.compile(r"(\d{4}-\d{2}-\d{2})")),
    (
        frozenset({"city", "place", "location", "country", "town", "where", "region"}),
        re.compile(r"(?i:\b(?:in|at|near|for)\s+(?:the\s+)?)([^\W\d_][\w'’.-]*(?:\s+[A-Z][\w'’.-]*)*)"),
    ),
    (
        frozenset({"name", "title", "person", "user", "who"}),
        re.compile(r"(?i:\b(?:named|called|name is|for|to)\s+)([^\W\d_][\w'’-]*(?:\s+[A-Z][\w'’-]*)*)"),
    ),
)
_FREE = frozenset({"text", "query", "message", "content", "question", "input", "prompt", "note", "body", "q"})


def fill(schema: Any, text: str, rest: str) -> dict[str, Any] | None:
    """The arguments that `text` holds for an object schema, None when a required one is missing.

    A value is taken when it is written `name=value`, quoted, or is the only kind of thing that fits (a number for
    a number, a place after "in" for a city). `rest` is the text without the words that named the tool.
    """
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    required = tuple(schema.get("required") or ()) if isinstance(schema, Mapping) else ()
    found: dict[str, Any] = {}
    taken: set[str] = set()
    for name, rule in (properties or {}).items():
        for value in candidates(name, plain(rule, schema), text, rest, required=name in required):
            if str(value) not in taken and conforms(value, rule, schema):
                found[name] = value
                taken.add(str(value))
                break
    return found if all(name in found for name in required) and conforms(found, schema) else None


def plain(rule: Any, root: Any) -> Mapping[str, Any]:
    """The rule behind a reference or an optional value."""
    if not isinstance(rule, Mapping):
        return {}
    if "$ref" in rule:
        return plain(_resolve(rule["$ref"], root), None) if root is not None else {}
    for choice in rule.get("anyOf") or ():
        if isinstance(choice, Mapping) and choice.get("type") != "null":
            return plain(choice, root)
    return rule


def candidates(name: str, rule: Mapping[str, Any], text: str, rest: str, *, required: bool) -> Iterator[Any]:
    """What `text` may hold for a field of this name and rule, the likeliest first."""
    said = re.search(rf"(?i)\b{re.escape(name)}\s*[=:]\s*(\"[^\"]*\"|[^\s,;]+)", text)
    if said:
        yield from _read(said[1].strip('"'), rule)
    for option in rule.get("enum") or ():
        if re.search(rf"(?i)(?<!\w){re.escape(str(option))}(?!\w)", text):
            yield option
    kind = rule.get("type")
    if kind in {"integer", "number"}:
        for number in _NUMBER.findall(text):
            yield from _read(number, rule)
    elif kind == "string":
        yield from _strings(name, text, rest, required)
    elif kind == "array" and required:
        yield [piece for piece in re.split(r"\s*,\s*|\s+and\s+", rest) if piece]


def _read(word: str, rule: Mapping[str, Any]) -> Iterator[Any]:
    """A written word as the type that is asked for."""
    kind = rule.get("type")
    if kind == "integer" and re.fullmatch(r"-?\d{1,15}", word):
        yield int(word)
    elif kind == "number" and _NUMBER.fullmatch(word):
        yield float(word)
    elif kind == "boolean" and word.lower() in {"true", "yes", "on", "false", "no", "off"}:
        yield word.lower() in {"true", "yes", "on"}
    elif kind == "string":
        yield word


def _strings(name: str, text: str, rest: str, required: bool) -> Iterator[str]:
    parts = set(name.lower().split("_"))
    for names, pattern in _BY_NAME:
        if parts & names:
            yield from (match[1].rstrip(".") for match in pattern.finditer(text))
    if required:
        yield from (next(filter(None, match.groups())) for match in _QUOTED.finditer(text))
        if parts & _FREE and rest:
            yield rest
