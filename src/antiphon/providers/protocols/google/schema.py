"""JSON Schema as far as Google takes it.

https://ai.google.dev/gemini-api/docs/structured-output names the keywords that `responseJsonSchema` and
`parametersJsonSchema` know; any other may be refused.
"""

from collections.abc import Mapping
from typing import Any

_KNOWN = frozenset(
    {
        "$anchor", "$defs", "$id", "$ref", "additionalProperties", "anyOf", "default", "description", "enum", "format",
        "items", "maxItems", "maximum", "minItems", "minimum", "nullable", "oneOf", "prefixItems", "properties",
        "propertyOrdering", "required", "title", "type",
    }
)  # fmt: skip
_NAMED = frozenset({"$defs", "properties"})
_VERBATIM = frozenset({"default", "enum", "propertyOrdering", "required", "type"})


def accepted(schema: Any) -> Any:
    """The schema, or the part of one, that can be sent."""
    if isinstance(schema, list):
        return [accepted(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    taken: dict[str, Any] = {}
    for field, value in schema.items():
        if field == "const":
            taken["enum"] = [value]
        elif field in _NAMED and isinstance(value, Mapping):
            taken[field] = {name: accepted(part) for name, part in value.items()}
        elif field in _KNOWN:
            taken[field] = value if field in _VERBATIM else accepted(value)
    return taken
