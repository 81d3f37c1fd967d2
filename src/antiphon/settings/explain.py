"""What is wrong with settings, each thing as one sentence: which setting, where it stands, and what to write."""

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from antiphon.runtime.spelling import did_you_mean
from antiphon.settings import schema

_EXPECTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text (in quotes, if it looks like anything else)",
}
_TYPE_ERRORS = ("_type", "_parsing", "_from_float", "literal_error", "_error_bool")


def explain(error: ValidationError, kind: type[BaseModel], places: Mapping[schema.Path, str]) -> Iterator[str]:
    """A sentence for each setting that is wrong. No value is repeated: it may be a secret."""
    told = set[schema.Path]()
    for problem in error.errors(include_url=False):
        path = _path(kind, problem["loc"])
        if path in told:
            continue
        told.add(path)
        yield _sentence(kind, path, problem, _place(path, places))


def _path(kind: Any, steps: tuple[int | str, ...]) -> schema.Path:
    """The steps that people wrote, without those that pydantic adds for the members of a union and for keys."""
    path: list[str] = []
    for step in steps:
        name = str(step)
        if isinstance(step, str) and kind is None and path:
            break
        if name == "[key]" or (isinstance(step, str) and _is_member(kind, name)):
            break
        path.append(name)
        kind = schema.child(kind, name) if isinstance(step, str) else None
    return tuple(path)


def _is_member(kind: Any, name: str) -> bool:
    """Whether pydantic speaks of one of several forms that a value may have."""
    members = schema.members(kind)
    return len(members) > 1 and schema.section(kind) is None and schema.child(kind, name) is None


def _place(path: schema.Path, places: Mapping[schema.Path, str]) -> str:
    """Where it was found: itself, what is around it, or the first thing in it."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return f" ({places[path[:length]]})"
    inside = next((place for known, place in places.items() if known[: len(path)] == path), None)
    return f" ({inside})" if inside and path else ""


def _sentence(kind: type[BaseModel], path: schema.Path, problem: Any, place: str) -> str:
    name = schema.shown(".".join(path))
    if problem["type"] == "extra_forbidden":
        prefix = "".join(f"{schema.shown(step)}." for step in path[:-1])
        known = schema.names(schema.at(kind, path[:-1]))
        return f"{name} is no setting{place}.{did_you_mean(path[-1], known, prefix=prefix)}"
    expected = schema.at(kind, path)
    several = expected is not None and len(schema.members(expected)) > 1
    if expected is not None and (several or problem["type"].endswith(_TYPE_ERRORS)):
        return f"{name}{place} must be {_expectation(expected)}.{_meant(expected, problem['input'])}"
    return f"{name}{place} {_words(problem)}." if name else f"{_words(problem)}."


def _words(problem: Any) -> str:
    """pydantic's message as the rest of a sentence that begins with the setting."""
    text = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    given = problem["input"]
    if isinstance(given, str) and problem["type"] in {
        "too_short",
        "too_long",
    }:  # of a secret, which pydantic only counts
        text = text.partition(" after validation")[0].replace("items", "characters")
    if isinstance(given, str) and len(given) > 7 and given in text:
        return "is not acceptable"
    for kind in ("Input", "String", "Dictionary", "Tuple", "List", "Data", "Value"):
        text = text.replace(f"{kind} should", "must").replace(f"{kind} must", "must")
    return text[:1].lower() + text[1:]


def _expectation(kind: Any) -> str:
    """What may be written for `kind`."""
    if schema.section(kind) is not None:
        return "a section of settings, written as `name: value`"
    told = [_member(member) for member in _alternatives(kind)]
    return " or ".join(dict.fromkeys(told))


def _alternatives(kind: Any) -> list[Any]:
    if get_origin(kind) is Literal:
        return [kind]
    arguments = [member for member in get_args(kind) if member is not NoneType]
    unions = get_origin(kind) is not None and kind not in schema.members(kind)
    return [inner for member in arguments for inner in _alternatives(member)] if unions and arguments else [kind]


def _member(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f"“{choice}”" for choice in get_args(kind))
    if get_origin(kind) is dict:
        return "a mapping, written as `name: value`"
    if get_origin(kind) in {tuple, list, set, frozenset}:
        return "a list, written as [one, two]"
    return _EXPECTED.get(kind, "text")


def _meant(kind: Any, given: Any) -> str:
    choices = {choice for member in _alternatives(kind) for choice in get_args(member) if get_origin(member) is Literal}
    return did_you_mean(given, map(str, choices)) if isinstance(given, str) else ""
