"""JSON Schema as far as Anthropic's structured output takes it.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs, "JSON Schema limitations": objects are closed,
and bounds of numbers, texts and lists are refused. What is left out here is said to the model in words.
"""

from collections.abc import Mapping
from typing import Any

_REFUSED = frozenset(
    {
        "$schema", "exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength", "maxProperties", "maximum",
        "minLength", "minProperties", "minimum", "multipleOf", "uniqueItems",
    }
)  # fmt: skip
_NAMED = frozenset({"$defs", "definitions", "properties"})


def accepted(schema: Any) -> Any:
    """The schema, or the part of one, that can be sent."""
    if isinstance(schema, list):
        return [accepted(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    taken: dict[str, Any] = {}
    for field, value in schema.items():
        if field in _NAMED and isinstance(value, Mapping):
            taken[field] = {name: accepted(part) for name, part in value.items()}
        elif field not in _REFUSED and not (field == "minItems" and value not in (0, 1)):
            taken[field] = value if field in {"enum", "const", "default", "examples"} else accepted(value)
    if taken.get("type") == "object" or "properties" in taken:
        taken["additionalProperties"] = False
    left_out = ", ".join(f"{field}: {schema[field]}" for field in schema if field not in taken and field != "$schema")
    if left_out:
        taken["description"] = f"{taken.get('description', '')} ({left_out})".strip()
    return taken
