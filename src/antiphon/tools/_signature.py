"""How a Python signature becomes what a model sees: a JSON Schema, and a check of what the model wrote."""

import cmath
import inspect
import re
import typing
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from antiphon.errors import ConfigError, ToolError
from antiphon.runtime.base import Injected

_SECTION = re.compile(r"^(args|arguments|parameters|returns?|yields?|raises|examples?|notes?)\s*:\s*$", re.IGNORECASE)
_GOOGLE = re.compile(r"^(?P<name>\w+)\s*(?:\([^)]*\))?\s*:\s*(?P<text>.*)$")
_SPHINX = re.compile(r"^:(?P<field>\w+)\s*(?:[^:]*?\b(?P<name>\w+))?\s*:\s*(?P<text>.*)$")
_UNUSABLE = (PydanticUserError, NameError, TypeError)  # what pydantic raises for a type it has no schema for
_CONFIG = ConfigDict(extra="forbid")
_SHOWN_ERRORS = 5
_SHOWN_SCHEMA = 2_000


class _Schema(GenerateJsonSchema):
    """Titles repeat the names and cost tokens; a default that JSON cannot say is Python's own business."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - pydantic declares it so

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's hook
        return False


@dataclass(frozen=True)
class Docstring:
    """The prose of a docstring without its sections, and what it says of each argument (Google or Sphinx style)."""

    summary: str
    arguments: Mapping[str, str]

    @classmethod
    def of(cls, text: str | None) -> "Docstring":
        summary: list[str] = []
        arguments: dict[str, list[str]] = {}
        section, entry, entry_indent = "", None, 0
        for line in inspect.cleandoc(text or "").splitlines():
            bare, indent = line.strip(), len(line) - len(line.lstrip())
            if not indent and (heading := _SECTION.match(bare)):
                section, entry = heading[1].lower(), None
            elif not indent and (field := _SPHINX.match(bare)):
                entry = field["name"] if field["field"] in {"param", "parameter", "arg", "argument"} else None
                section, entry_indent = ":", 0
                if entry:
                    arguments[entry] = [field["text"]]
            elif not section:
                summary.append(line)
            elif entry and indent > entry_indent:
                arguments[entry].append(bare)
            elif section in {"args", "arguments", "parameters"} and indent and (found := _GOOGLE.match(bare)):
                entry, entry_indent = found["name"], indent
                arguments[entry] = [found["text"]]
            elif bare and not indent:
                section, entry = "", None
                summary.append(line)
        return cls(
            "\n".join(summary).strip(), {name: " ".join(filter(None, lines)) for name, lines in arguments.items()}
        )


class Signature:
    """The arguments of a function, split into those a model fills in and those the house injects.

    Making one reads only the names, so a decorator costs little at import. Types are resolved at the first use,
    which raises `ConfigError` naming the argument when one cannot be.
    """

    def __init__(self, function: Callable[..., Any], name: str, context_type: type) -> None:
        self._function = function
        self._name = name
        self._context_type = context_type
        self._parameters = inspect.signature(function).parameters
        for parameter in self._parameters.values():
            if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
                raise ConfigError(f"Tool {name}: argument {parameter.name!r} must be one that can be passed by name.")
            if parameter.annotation is parameter.empty:
                raise ConfigError(f"Tool {name}: argument {parameter.name!r} has no type; annotate it.")

    @cached_property
    def _types(self) -> dict[str, Any]:
        try:
            hints = typing.get_type_hints(self._function, include_extras=True)
        except (NameError, TypeError, SyntaxError, AttributeError) as error:
            written = ", ".join(f"{name}: {p.annotation}" for name, p in self._parameters.items())
            raise ConfigError(
                f"Tool {self._name}: the types of ({written}) cannot be resolved: {error}. Define them at module level."
            ) from error
        return {name: hints[name] for name in self._parameters}

    @cached_property
    def services(self) -> dict[str, type[Any]]:
        """Arguments that a model never sees: services, asked for by their Protocol class, and what a turn has."""
        return {
            name: hint
            for name, hint in self._types.items()
            if isinstance(hint, type) and (getattr(hint, "_is_protocol", False) or issubclass(hint, Injected))
        }

    @cached_property
    def contexts(self) -> tuple[str, ...]:
        """Arguments that are the context of the call, which a model never sees either."""
        return tuple(name for name, hint in self._types.items() if hint is self._context_type)

    @cached_property
    def _visible(self) -> dict[str, str]:
        """Field of the model by argument: neutral field names, because `json` or `_x` may not be fields themselves."""
        names = [name for name in self._parameters if name not in self.services and name not in self.contexts]
        return {name: f"argument_{position}" for position, name in enumerate(names)}

    @cached_property
    def _model(self) -> type[BaseModel]:
        try:
            return self._build(self._visible)
        except _UNUSABLE as error:
            raise ConfigError(
                f"Tool {self._name}: argument {self._culprit()} has a type that JSON cannot hold."
            ) from error

    def _build(self, arguments: Mapping[str, str]) -> type[BaseModel]:
        documented = Docstring.of(self._function.__doc__).arguments
        fields: dict[str, Any] = {
            field: _field(name, self._types[name], self._parameters[name].default, documented.get(name))
            for name, field in arguments.items()
        }
        model: type[BaseModel] = create_model("Arguments", __config__=_CONFIG, **fields)
        model.model_json_schema(schema_generator=_Schema)
        return model

    def _culprit(self) -> str:
        for name, field in self._visible.items():
            try:
                self._build({name: field})
            except _UNUSABLE:
                return repr(name)
        return "list"

    @cached_property
    def schema(self) -> dict[str, Any]:
        schema = self._model.model_json_schema(schema_generator=_Schema)
        del schema["title"]
        return schema

    def read(self, arguments: str) -> dict[str, Any]:
        """The model's JSON text as keyword arguments. Raises `ToolError` saying what was wrong and what is expected."""
        try:
            found = self._model.model_validate_json(arguments.strip() or "{}")
        except ValidationError as error:
            raise ToolError(self._complaint(error)) from None
        for name, field in self._visible.items():
            if field in found.model_fields_set and not _finite(getattr(found, field)):
                raise ToolError(self._refusal(f"{name}: JSON has no NaN and no infinite numbers"))
        # A default of the function stays the function's own object; one inside `Field(...)` only pydantic knows.
        return {
            name: getattr(found, field)
            for name, field in self._visible.items()
            if field in found.model_fields_set or isinstance(self._parameters[name].default, FieldInfo)
        }

    def complete(self, arguments: str) -> dict[str, Any]:
        """As `read`, with what the function itself puts for what the model left out."""
        left_out = {
            name: self._parameters[name].default
            for name in self._visible
            if self._parameters[name].default is not inspect.Parameter.empty
        }
        return left_out | self.read(arguments)

    def _complaint(self, error: ValidationError) -> str:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        if details[0]["type"] == "json_invalid":
            return f"The arguments of {self._name} are not valid JSON. {details[0]['msg']}. {self._expected()}"
        lines = [f"{'.'.join(map(str, d['loc'])) or 'arguments'}: {d['msg']}"[:300] for d in details[:_SHOWN_ERRORS]]
        if len(details) > _SHOWN_ERRORS:
            lines.append(f"and {len(details) - _SHOWN_ERRORS} more")
        return self._refusal("; ".join(lines))

    def _refusal(self, why: str) -> str:
        return f"The arguments of {self._name} are not acceptable: {why}. {self._expected()}"

    def _expected(self) -> str:
        schema = msgspec.json.encode(self.schema).decode()
        return f"Expected a JSON object of this schema: {schema[:_SHOWN_SCHEMA]}"


class GivenSchema(Signature):
    """The arguments of a function by a schema that came with it, which is not checked here."""

    def __init__(self, function: Callable[..., Any], name: str, schema: Mapping[str, Any]) -> None:
        self._function = function
        self._name = name
        self.__dict__.update(schema=dict(schema), services={}, contexts=())

    def complete(self, arguments: str) -> dict[str, Any]:
        return self.read(arguments)

    def read(self, arguments: str) -> dict[str, Any]:
        try:
            return msgspec.json.decode(arguments.strip() or "{}", type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeError):
            raise ToolError(f"The arguments of {self._name} are no JSON object. {self._expected()}") from None


def _finite(value: Any) -> bool:
    """Whether each number in it that a model wrote is one: NaN is neither more nor less than any limit of a rule.
    What a type puts for what was left out is its own."""
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, float | complex):
        return cmath.isfinite(value)
    if isinstance(value, BaseModel):
        return all(_finite(getattr(value, name)) for name in value.model_fields_set)
    if is_dataclass(value):
        return all(_finite(found) for each in fields(value) if (found := getattr(value, each.name)) is not each.default)
    if isinstance(value, Mapping):
        return all(map(_finite, value)) and all(map(_finite, value.values()))
    return all(map(_finite, value)) if isinstance(value, list | tuple | set | frozenset | deque) else True


def _field(name: str, hint: Any, default: Any, documented: str | None) -> tuple[Any, Any]:
    """A pydantic field definition; a description in `Annotated` or `Field` wins over the docstring's."""
    written = [*getattr(hint, "__metadata__", ()), default]
    texts = [note.description if isinstance(note, FieldInfo) else note for note in written[:-1]]
    if isinstance(default, FieldInfo):
        texts.append(default.description)
    description = next((text for text in texts if isinstance(text, str)), documented)
    value = ... if default is inspect.Parameter.empty else default
    return Annotated[hint, Field(alias=name, description=description)], value
