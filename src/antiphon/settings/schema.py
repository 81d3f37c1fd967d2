"""What may be set where, read from the types of the sections."""

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, SecretStr

Path = tuple[str, ...]
"""The steps of a setting's name: `server.port` is `("server", "port")`."""

_COMPOSED = (dict, list, tuple, set, frozenset)


def members(kind: Any) -> list[Any]:
    """The kinds that a value may be of: the members of a union, or `kind` alone; never None."""
    if get_origin(kind) is Annotated:
        return members(get_args(kind)[0])
    if isinstance(kind, type) or get_origin(kind) in _COMPOSED:
        return [kind]
    inner = [member for member in get_args(kind) if isinstance(member, type) or get_args(member)]
    return [found for member in inner if member is not NoneType for found in members(member)] or [kind]


def section(kind: Any) -> type[BaseModel] | None:
    """The model behind `kind`, None when it is a single value."""
    return next((kind for kind in members(kind) if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def child(kind: Any, name: str) -> Any:
    """The kind of what is called `name` inside `kind`, None when there is no such thing."""
    if (model := section(kind)) is not None:
        if name in model.model_fields:
            return model.model_fields[name].annotation
        return _free(model)
    mapping = next((member for member in members(kind) if get_origin(member) is dict), None)
    return get_args(mapping)[1] if mapping else None


def _free(model: type[BaseModel]) -> Any:
    """The kind of sections with names of one's own, where a model takes them."""
    if model.model_config.get("extra") != "allow":
        return None
    return get_args(get_type_hints(model, include_extras=True)["__pydantic_extra__"])[1]


def at(kind: Any, path: Path) -> Any:
    """The kind of what a path leads to, None when it leads nowhere."""
    for step in path:
        kind = child(kind, step) if kind is not None else None
    return kind


def names(kind: Any) -> set[str]:
    """The names that are known inside `kind`."""
    model = section(kind)
    return set(model.model_fields) if model else set()


def is_json(kind: Any) -> bool:
    """Whether a text that sets it is JSON: a section, a list or a mapping."""
    return any(get_origin(member) in _COMPOSED or member in _COMPOSED for member in members(kind)) or bool(
        section(kind)
    )


def takes_text(kind: Any) -> bool:
    """Whether it may be a plain text as well, such as `same-host` where a list may stand."""
    return any(not (get_origin(member) in _COMPOSED or section(member)) for member in members(kind))


def is_secret(kind: Any) -> bool:
    """Whether it is never shown."""
    return SecretStr in members(kind)


def live_part(kind: type[BaseModel], path: Path) -> Path | None:
    """The part of a path that a running server takes as a whole, None when a change of it needs a restart. A field is
    declared so with `json_schema_extra={"live": True}`."""
    inside: Any = kind
    for length, step in enumerate(path, 1):
        model = section(inside)
        field = model.model_fields.get(step) if model else None
        extra = field.json_schema_extra if field else None
        if isinstance(extra, dict) and extra.get("live"):
            return path[:length]
        inside = child(inside, step)
    return None


def leaves(tree: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value of a nested mapping with its path; an empty mapping is a value."""
    for name, value in tree.items():
        here = (*path, str(name))
        if isinstance(value, Mapping) and value:
            yield from leaves(value, here)
        else:
            yield here, value


def shown(text: str) -> str:
    """A name that somebody else wrote, fit to stand in a sentence."""
    fit = "".join(letter if letter.isprintable() else "�" for letter in text[:80])
    return fit + "…" if len(text) > 80 else fit
