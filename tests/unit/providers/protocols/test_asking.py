from typing import Any

import pytest

from antiphon.providers.protocols.asking import fitting_id, is_strict

POINT = {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (POINT, True),
        ({"type": "string"}, True),
        ({"type": "array", "items": POINT}, True),
        ({**POINT, "properties": {"x": POINT}}, True),
        ({**POINT, "properties": {"properties": POINT}, "required": ["properties"]}, True),
        ({**POINT, "$defs": {"Point": POINT}}, True),
        ({"type": "object"}, False),
        ({**POINT, "additionalProperties": True}, False),
        ({**POINT, "required": []}, False),
        ({**POINT, "required": None}, False),
        ({**POINT, "properties": {"x": {"type": "object"}}}, False),
        ({"anyOf": [POINT, {"type": "object"}]}, False),
        ({"type": "array", "items": {"properties": {"x": {}}}}, False),
        ({**POINT, "$defs": {"Point": {"type": "object"}}}, False),
    ],
)
def test_only_a_schema_that_leaves_nothing_open_is_strict(schema: Any, strict: bool) -> None:
    assert is_strict(schema) is strict


def test_an_id_that_fits_stays() -> None:
    assert fitting_id("call_1") == "call_1"
    assert fitting_id("Ab3dE6gH9", nine=True) == "Ab3dE6gH9"


@pytest.mark.parametrize("known", ["toolu_" + "x" * 60, "call_1", "", None, "Ab3dE6g-9"])
def test_any_other_is_made_to_fit_and_stays_the_same(known: str | None) -> None:
    short, nine = fitting_id(known), fitting_id(known, nine=True)
    assert len(short) <= 40
    assert len(nine) == 9
    assert nine.isalnum()
    assert (short, nine) == (fitting_id(known), fitting_id(known, nine=True))
    assert nine != fitting_id(f"{known}!", nine=True)
