"""Which values are secrets, so that the files that hold them can be looked at."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from antiphon.settings import schema
from antiphon.settings.files import Leaf
from antiphon.telemetry.redaction import redact_text


def hold_secrets(kind: type[BaseModel], leaves: Iterable[Leaf]) -> bool:
    """Whether one of these values is for the eyes of the operator alone: a key, or a URL with a password in it."""
    return any(_is_secret(schema.at(kind, path), value) for path, value, _ in leaves)


def _is_secret(kind: Any, value: Any) -> bool:
    if not isinstance(value, str) or not value:
        return False
    return redact_text(value) != value if "://" in value else kind is not None and schema.is_secret(kind)
