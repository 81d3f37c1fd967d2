"""Answers with a form: filled by name and kind from what was said, and empty where nothing was."""

import json
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from pydantic import BaseModel, Field, TypeAdapter

from antiphon.providers.base import ChatMessage, ModelRequest, OutputSchema, TextDelta, ToolCallEnd
from antiphon.providers.demo.engine import perform
from antiphon.providers.demo.forming import formed
from antiphon.providers.protocols.asking import in_words

Begin = Callable[..., Any]


class Guest(BaseModel):
    name: str
    age: int | None = None


class Trip(BaseModel):
    city: str
    days: int = Field(ge=1, le=30)
    people: int = 1
    budget: float | None
    by: Literal["train", "plane"]
    urgent: bool
    tags: list[str] = []
    note: str | None = None


def filled(kind: Any, text: str, said: str = "") -> Any:
    """As an instance of the type: what does not fit it fails here."""
    adapter = TypeAdapter(kind)
    return adapter.validate_python(formed(adapter.json_schema(), text, said))


def answer(text: str, output: Any = None, system: str = "") -> str:
    schema = OutputSchema(name="answer", schema=output) if output else None
    first = (ChatMessage(role="system", text=system),) if system else ()
    messages = (*first, ChatMessage(role="user", text=text))
    events = perform(ModelRequest(model="demo", messages=messages, output=schema)).events
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_fields_are_found_by_their_names_and_kinds() -> None:
    trip = filled(
        Trip, "Plan 3 days in Oslo for 2 people by train with a budget of 450.5, it is urgent. Tags: snow, fjords"
    )
    assert (trip.city, trip.days, trip.people, trip.budget) == ("Oslo", 3, 2, 450.5)
    assert (trip.by, trip.urgent, trip.tags) == ("train", True, ["snow", "fjords"])


def test_what_was_not_said_is_empty_and_never_made_up() -> None:
    trip = filled(Trip, "Somewhere warm, not urgent.")
    assert (trip.city, trip.days, trip.budget, trip.urgent, trip.note) == ("", 1, None, False, None)
    assert filled(Guest, "").name == ""


def test_lists_of_things_have_one_for_each_line() -> None:
    guests = filled(list[Guest], "name: Ada, age: 36\nname: Alan, age: 41")
    assert [(guest.name, guest.age) for guest in guests] == [("Ada", 36), ("Alan", 41)]
    assert filled(list[int], "7, 8 and 9") == [7, 8, 9]


def test_a_field_for_the_answer_in_words_gets_it_whole() -> None:
    assert (
        formed({"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}, "q", "A b.")[
            "answer"
        ]
        == "A b."
    )
    assert formed({"type": "object"}, "q", "said") == {"answer": "said"}
    assert formed({"type": "object", "additionalProperties": False}, "q", "said") == {}
    assert formed({"type": "string"}, "q", "said") == "said"


@pytest.mark.parametrize("depth", [1, 50])
def test_a_form_inside_itself_ends(depth: int) -> None:
    node: dict[str, Any] = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}, "required": ["next"]}
    assert "next" in formed({"$ref": "#/$defs/N", "$defs": {"N": node}}, "a " * depth, "")


_LEAVES = st.one_of(
    st.fixed_dictionaries({"type": st.just("integer")}, optional={"minimum": st.integers(-9, 9)}),
    st.fixed_dictionaries({"type": st.just("number")}, optional={"maximum": st.integers(-9, 9)}),
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": st.integers(0, 9)}),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"const": 7}, {"type": "string", "format": "email"}]),
    st.sampled_from([{"type": "string", "enum": ["red", "green"]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}]),
)
_NAMES = st.sampled_from(["city", "days", "name", "answer", "is_urgent", "tags", "x"])
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"minItems": st.integers(0, 3)}),
        st.dictionaries(_NAMES, inner, max_size=4).map(
            lambda fields: {
                "type": "object",
                "properties": fields,
                "required": [*fields],
                "additionalProperties": False,
            }
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(_SCHEMAS, st.one_of(st.text(max_size=80), st.just("3 days in Oslo, red, -4.5; name: Ada\nurgent 12")))
def test_whatever_is_wanted_is_what_comes(schema: dict[str, Any], text: str) -> None:
    fits(formed(schema, text, text), schema)


def fits(value: Any, schema: dict[str, Any]) -> None:
    """Raises where the value does not have the form: by another reader of schemas than the one under test."""
    if "const" in schema:
        assert value == schema["const"]
        return
    if "anyOf" in schema:
        assert value is None or isinstance(value, int)
        return
    kinds: dict[str, Any] = {"integer": int, "number": (int, float), "string": str, "boolean": bool, "null": type(None)}
    match schema["type"]:
        case "array":
            assert isinstance(value, list)
            assert len(value) >= schema.get("minItems", 0)
            for item in value:
                fits(item, schema["items"])
        case "object":
            assert isinstance(value, dict)
            if schema["properties"]:
                assert value.keys() == schema["properties"].keys()
            for name, each in schema["properties"].items():
                fits(value[name], each)
        case kind:
            assert isinstance(value, kinds[kind])
            assert value in schema.get("enum", [value])
            if kind in {"integer", "number"}:
                assert schema.get("minimum", value) <= value <= schema.get("maximum", value)
            if kind == "string":
                assert len(value) >= schema.get("minLength", 0)


def test_the_answer_is_the_data_and_nothing_around_it() -> None:
    assert json.loads(answer("3 days in Oslo by plane", Trip.model_json_schema()))["days"] == 3
    told = answer(
        "3 days in Oslo by plane",
        system=f"Be kind.\n\n{in_words(OutputSchema(name='t', schema=Trip.model_json_schema()))}",
    )
    assert json.loads(told)["city"] == "Oslo"
    assert "Oslo" in answer("!echo Oslo", Trip.model_json_schema())


def test_tools_are_asked_first_and_what_they_say_counts(talk: Begin) -> None:
    schema = {"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]}
    asked = ModelRequest(
        model="demo",
        messages=(ChatMessage(role="user", text="What is 6 * 7?"),),
        tools=talk().tools,
        output=OutputSchema(name="sum", schema=schema),
    )
    (call,) = [event.call for event in perform(asked).events if isinstance(event, ToolCallEnd)]
    assert call.name == "calculator"
    told = (
        ChatMessage(role="assistant", calls=(call,)),
        ChatMessage(role="tool", call_id=call.id, name=call.name, text="The result: 42"),
    )
    events = perform(structs.replace(asked, messages=(*asked.messages, *told))).events
    assert json.loads("".join(event.text for event in events if isinstance(event, TextDelta))) == {"result": 42}
