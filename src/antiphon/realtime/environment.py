"""Settings out of environment variables, for an application that runs by itself."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from antiphon.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def read_env(kind: type[Model], prefix: str, environ: Mapping[str, str]) -> Model:
    """The model that the variables with this prefix describe: `PREFIX_SECTION__FIELD`, lists and objects as JSON.

    Raises `ConfigError` for a variable that names no setting, or whose value is none.
    """
    found: dict[str, Any] = {}
    for name, text in sorted(environ.items()):  # a section that is given as a whole comes before what is in it
        if name.startswith(prefix):
            *sections, field = name.removeprefix(prefix).lower().split("__")
            place = found
            for section in sections:
                place = place.setdefault(section, {})
                if not isinstance(place, dict):
                    raise ConfigError(
                        f"{name} is in a section that another variable sets to no object: remove that one"
                    )
            place[field] = _value(text)
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        # The value itself may be a secret: only its name and what is wrong are told.
        raise ConfigError("; ".join(_told(prefix, problem) for problem in error.errors())) from None


def _told(prefix: str, problem: ErrorDetails) -> str:
    """A setting and what is wrong with it, or what is wrong with several, which it names itself."""
    name, wrong = "__".join(map(str, problem["loc"])).upper(), problem["msg"].removeprefix("Value error, ")
    return f"{prefix}{name}: {wrong}" if name else wrong


def _value(text: str) -> Any:
    if not text.startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
