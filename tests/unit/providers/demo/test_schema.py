"""Arguments out of a text, and only such as fit."""

from typing import Any

import pytest

from antiphon.providers.demo.schema import conforms, fill


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@pytest.mark.parametrize(
    ("value", "schema", "fits"),
    [
        ("a", {"type": "string"}, True),
        (1, {"type": "string"}, False),
        (True, {"type": "integer"}, False),
        (True, {"type": "boolean"}, True),
        (1.5, {"type": "integer"}, False),
        (1, {"type": "number", "minimum": 1, "exclusiveMaximum": 2}, True),
        (2, {"type": "number", "exclusiveMaximum": 2}, False),
        (None, {"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        (None, {"type": ["string", "null"]}, True),
        ("x", {"enum": ["on", "off"]}, False),
        (["a"], {"type": "array", "items": {"type": "string"}, "minItems": 2}, False),
        ({"a": 1}, {"type": "object", "properties": {"b": {}}, "additionalProperties": False}, False),
        ("2026-13-01", {"type": "string", "format": "date"}, False),
        ("2026-12-01", {"type": "string", "format": "date"}, True),
        ("x", {"type": "string", "format": "hostname"}, False),
        ("aaa", {"type": "string", "pattern": "^a+$"}, False),
        ("x", {"$ref": "#/$defs/Missing"}, False),
        ("x", {"allOf": []}, False),
        ("x", None, False),
    ],
)
def test_what_fits(value: Any, schema: Any, fits: bool) -> None:
    assert conforms(value, schema) is fits


def test_a_schema_that_refers_to_itself_fits_nothing() -> None:
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert not conforms("x", schema)
    assert (
        fill({"type": "object", "properties": {"a": schema}, "required": ["a"], "$defs": schema["$defs"]}, "x", "x")
        is None
    )


@pytest.mark.parametrize(
    ("schema", "text", "arguments"),
    [
        (_object(city={"type": "string"}), "the weather in New York tomorrow", {"city": "New York"}),
        (_object(city={"type": "string"}), 'city="San José"', {"city": "San José"}),
        (_object(title={"type": "string"}), 'add "Buy milk"', {"title": "Buy milk"}),
        (_object(url={"type": "string"}), "open https://example.com/a?b=c now", {"url": "https://example.com/a?b=c"}),
        (_object(email={"type": "string"}), "write to a.b@example.com.", {"email": "a.b@example.com"}),
        (_object(date={"type": "string", "format": "date"}), "on 2026-11-21", {"date": "2026-11-21"}),
        (_object(count={"type": "integer"}), "roll it 3 times", {"count": 3}),
        (_object(a={"type": "integer"}, b={"type": "integer"}), "between 3 and 7", {"a": 3, "b": 7}),
        (_object(b={"type": "integer"}, a={"type": "integer"}), "a=3 b=7", {"a": 3, "b": 7}),
        (_object(price={"type": "number"}), "for -2.5 euros", {"price": -2.5}),
        (_object(on={"type": "boolean"}), "on: yes", {"on": True}),
        (_object(level={"enum": [1, 2, 3]}), "level 2 please", {"level": 2}),
        (_object(text={"type": "string"}), "say something nice", {"text": "something nice"}),
        (_object(items={"type": "array", "items": {"type": "string"}}), "x", {"items": ["something nice"]}),
        (_object(), "anything", {}),
        (_object(city={"type": "string"}), "the weather", None),
        (_object(count={"type": "integer", "maximum": 6}), "roll 7", None),
        (_object(payload={"type": "object"}), "send it", None),
    ],
)
def test_arguments_are_found_in_the_text(schema: Any, text: str, arguments: dict[str, Any] | None) -> None:
    assert fill(schema, text, "something nice") == arguments


def test_what_is_optional_is_left_out_unless_it_is_said() -> None:
    schema = _object(city={"type": "string"}, days={"anyOf": [{"type": "integer"}, {"type": "null"}]})
    schema["required"] = ["city"]
    assert fill(schema, "in Oslo", "") == {"city": "Oslo"}
    assert fill(schema, "in Oslo for 3 days", "") == {"city": "Oslo", "days": 3}
