"""What a model is shown of a function, and what it is told when it writes something else."""

import json
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Optional, Protocol

import pytest
from pydantic import BaseModel, Field

from antiphon.errors import ConfigError
from antiphon.runtime.container import ServiceContainer
from antiphon.tools._signature import Docstring
from antiphon.tools.base import ToolContext, tool


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    x: int
    next: Optional["Point"] = None


class Notes(Protocol):
    async def all(self) -> list[str]: ...


class Opaque:
    pass


SENTINEL = object()


# --- schema -------------------------------------------------------------------------------------------------------


def test_every_kind_of_type_becomes_json_schema() -> None:
    @tool
    def zoo(
        text: str,
        count: int = 3,
        unit: Literal["c", "f"] = "c",
        colour: Colour = Colour.RED,
        points: list[Point] | None = None,
        when: datetime | None = None,
        *,
        ratio: float = 0.5,
    ) -> None:
        """Everything."""

    schema = zoo.parameters
    properties = schema["properties"]
    assert schema["type"] == "object"
    assert schema["required"] == ["text"]
    assert schema["additionalProperties"] is False
    assert list(properties) == ["text", "count", "unit", "colour", "points", "when", "ratio"]
    assert properties["text"] == {"type": "string"}
    assert properties["count"] == {"type": "integer", "default": 3}
    assert properties["unit"]["enum"] == ["c", "f"]
    assert schema["$defs"]["Colour"]["enum"] == ["red", "blue"]
    assert schema["$defs"]["Point"]["properties"]["x"] == {"type": "integer"}
    assert properties["when"]["anyOf"][0] == {"type": "string", "format": "date-time"}
    json.dumps(schema)


def test_a_tool_without_arguments_has_an_empty_object() -> None:
    @tool
    def ping() -> str:
        """Pings."""
        return "pong"

    assert ping.parameters == {"type": "object", "properties": {}, "additionalProperties": False}


@pytest.mark.parametrize("name", ["json", "schema", "copy", "model_config", "model_fields", "_hidden", "title", "self"])
async def test_names_that_pydantic_keeps_for_itself_are_ordinary_arguments(name: str, context: ToolContext) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def echo({name}: int) -> int:\n    'Echoes.'\n    return {name}", namespace)  # noqa: S102
    echo = tool(namespace["echo"])
    assert list(echo.parameters["properties"]) == [name]
    assert (await echo.call(json.dumps({name: 7}), context)).text == "7"


async def test_the_schema_is_made_once(context: ToolContext) -> None:
    @tool
    async def once(value: int) -> int:
        """Returns it."""
        return value

    first = once.parameters
    await once.call('{"value": 1}', context)
    assert once.parameters is first


def test_descriptions_come_from_docstring_annotated_and_field_with_the_nearest_winning() -> None:
    @tool
    def described(
        a: int,
        b: Annotated[int, "from Annotated"],
        c: Annotated[int, Field(description="from Field", ge=1)],
        d: int = Field(4, description="from default"),
        e: int = 5,
    ) -> None:
        """Describes.

        Args:
            a: from the docstring
            b: not used
            c: not used
            d: not used
        """

    properties = described.parameters["properties"]
    assert {name: value.get("description") for name, value in properties.items()} == {
        "a": "from the docstring",
        "b": "from Annotated",
        "c": "from Field",
        "d": "from default",
        "e": None,
    }
    assert properties["c"]["minimum"] == 1
    assert described.description == "Describes."
    assert described.parameters["required"] == ["a", "b", "c"]


GOOGLE = """The weather.

    In any city.

    Args:
        city (str): Where it is,
            in English.
        days: How many: 1 to 7.
    Returns:
        Text: with a colon.
    """
SPHINX = """The weather.

    In any city.

    :param city: Where it is,
        in English.
    :param int days: How many: 1 to 7.
    :returns: Text: with a colon.
    :raises ToolError: never
    """


@pytest.mark.parametrize("text", [GOOGLE, SPHINX], ids=["google", "sphinx"])
def test_docstrings_of_both_styles_read_alike(text: str) -> None:
    read = Docstring.of(text)
    assert read.summary == "The weather.\n\nIn any city."
    assert read.arguments == {"city": "Where it is, in English.", "days": "How many: 1 to 7."}


def test_prose_that_only_looks_like_a_section_stays_prose() -> None:
    assert Docstring.of("Note: this is prose.\n\nArguments: a war of words").summary.endswith("a war of words")
    assert Docstring.of(None) == Docstring("", {})


# --- what is not a tool -------------------------------------------------------------------------------------------


def without_annotation(city) -> None:  # type: ignore[no-untyped-def]
    """Weather."""


def without_docstring(city: str) -> None: ...


def with_rest(*cities: str) -> None:
    """Weather."""


def with_keywords(**cities: str) -> None:
    """Weather."""


def positional(city: str, /) -> None:
    """Weather."""


def generator(city: str) -> Any:
    """Weather."""
    yield city


def wetter_für_alle(city: str) -> None:  # noqa: PLC2401 - that is the point
    """Weather."""


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (without_annotation, ["without_annotation", "'city'", "annotate"]),
        (without_docstring, ["without_docstring", "docstring"]),
        (with_rest, ["with_rest", "'cities'"]),
        (with_keywords, ["with_keywords", "'cities'"]),
        (positional, ["positional", "'city'"]),
        (generator, ["generator", "returns"]),
        (wetter_für_alle, ["wetter_für_alle", "name="]),
        (Opaque, ["Opaque"]),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused_by_name(function: Callable[..., Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        tool(function)
    assert all(word in str(caught.value) for word in words)


def test_a_type_without_json_form_is_named_with_its_argument() -> None:
    @tool
    def opaque(fine: int, bad: Opaque) -> None:
        """Takes what nobody can write."""

    with pytest.raises(ConfigError, match=r"opaque: argument 'bad'"):
        _ = opaque.parameters


def test_a_callable_argument_is_named_too() -> None:
    @tool
    def takes_code(fine: int, code: Callable[[], None]) -> None:
        """Takes code."""

    with pytest.raises(ConfigError, match=r"takes_code: argument 'code'"):
        takes_code.check(ServiceContainer())


def test_a_name_that_cannot_be_resolved_is_told() -> None:
    @tool
    def unresolved(place: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821
        """Points nowhere."""

    with pytest.raises(ConfigError, match=r"unresolved.*Nowhere"):
        unresolved.check(ServiceContainer())


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"timeout": -1}, {"output_limit": 0}, {"name": ""}, {"name": "a b"}]
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        tool(**options)(positional_free)


def positional_free() -> None:
    """Nothing."""


# --- arguments ----------------------------------------------------------------------------------------------------


@tool
async def plan(city: str, days: int = 1, unit: Literal["c", "f"] = "c", stops: list[Point] | None = None) -> str:
    """Plans a trip."""
    return f"{city} {days} {unit} {stops}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ["city", "required"]),
        ("{", ["not valid JSON", "line 1"]),
        ("null", ["object"]),
        ("[]", ["object"]),
        ('"Rome"', ["object"]),
        ('{"city": "Rome", "town": 1}', ["town", "not permitted"]),
        ('{"city": 3}', ["city", "valid string"]),
        ('{"city": "Rome", "days": "soon"}', ["days", "valid integer"]),
        ('{"city": "Rome", "unit": "k"}', ["unit", "'c' or 'f'"]),
        ('{"city": "Rome", "stops": [{"x": 1, "next": {"x": "a"}}]}', ["stops.0.next.x", "valid integer"]),
        ('{"city": "\\ud800"}', []),
        ("[" * 100_000, ["not valid JSON"]),
        ('{"argument_0": "Rome"}', ["argument_0", "not permitted"]),
    ],
)
async def test_wrong_arguments_are_explained_to_the_model(
    arguments: str, words: list[str], context: ToolContext
) -> None:
    result = await plan.call(arguments, context)
    assert result.failed
    assert "plan" in result.text
    assert '"properties"' in result.text  # what was expected
    assert "Traceback" not in result.text
    assert not [word for word in words if word not in result.text]


async def test_a_thousand_wrong_keys_make_a_short_answer(context: ToolContext) -> None:
    result = await plan.call(json.dumps({f"key{n}" * 50: n for n in range(1_000)}), context)
    assert result.failed
    assert "996 more" in result.text
    assert len(result.text) < 4_500


async def test_models_become_objects_and_defaults_stay_the_functions_own(context: ToolContext) -> None:
    seen: list[Any] = []

    @tool
    def keep(point: Point, colour: Colour, other: Any = SENTINEL, field: int = Field(4)) -> None:
        """Keeps."""
        seen.extend([point, colour, other, field])

    result = await keep.call('{"point": {"x": "1"}, "colour": "blue"}', context)
    assert result.text == "done"
    assert seen == [Point(x=1), Colour.BLUE, SENTINEL, 4]


# --- injection ----------------------------------------------------------------------------------------------------


class RealNotes:
    def __init__(self, *notes: str) -> None:
        self.notes = list(notes)

    async def all(self) -> list[str]:
        return self.notes


@tool
async def recall(prefix: str, notes: Notes, context: ToolContext) -> str:
    """Recalls notes."""
    found = [note for note in await notes.all() if note.startswith(prefix)]
    return f"{context.person_id}: {', '.join(found)}"


async def test_services_and_context_are_injected_and_invisible(make_context: Callable[..., ToolContext]) -> None:
    assert list(recall.parameters["properties"]) == ["prefix"]
    assert recall.requires == {"notes": Notes}
    context = make_context(7, {Notes: RealNotes("milk", "meat", "salt")})
    recall.check(context.services)
    result = await recall.call('{"prefix": "m"}', context)
    assert result.text == "person-7: milk, meat"


async def test_a_model_cannot_fill_in_what_is_injected(make_context: Callable[..., ToolContext]) -> None:
    context = make_context(1, {Notes: RealNotes("secret")})
    result = await recall.call('{"prefix": "", "context": {"person_id": "someone else"}}', context)
    assert result.failed
    assert "secret" not in result.text


async def test_a_missing_service_is_named(context: ToolContext) -> None:
    with pytest.raises(ConfigError, match="Tool recall needs Notes for 'notes', which nobody provides"):
        recall.check(context.services)
    result = await recall.call('{"prefix": "m"}', context)
    assert result.failed
    assert "Notes" in result.text
