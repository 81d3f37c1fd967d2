"""Answers for programs: of the form that is wanted, mended by the model, or not at all."""

import json
import re
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.dialogue import AssistantReply, Dialogue
from antiphon.assistants.guardrails import pattern
from antiphon.assistants.output import AnswerForm
from antiphon.domain import NoticePart, Usage
from antiphon.errors import ConfigError, ValidationError
from antiphon.providers.base import (
    Event,
    Finish,
    ModelRequest,
    TextDelta,
    ToolCall,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from antiphon.testing.models import ScriptedModel
from antiphon.tools.base import tool


class City(BaseModel):
    name: str
    people: int


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "enum": ["Oslo", "Rome"]},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "note": {"type": ["string", "null"]},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@tool
def count() -> int:
    """Counts."""
    return 700


async def ask(model: ScriptedModel, output: Any = City, **options: Any) -> AssistantReply:
    return await Dialogue(Assistant("guide", output=output, **options), model, "m").process_message("Oslo?")


async def test_the_answer_is_data() -> None:
    model = ScriptedModel().says('{"name": "Os', 'lo", "people": 700}')
    reply = await ask(model)
    assert reply.output == City(name="Oslo", people=700)
    assert reply.text == '{"name": "Oslo", "people": 700}'
    wanted = model.requests[0].output
    assert wanted is not None
    assert (wanted.name, wanted.schema["required"]) == ("City", ["name", "people"])


async def test_a_model_is_told_what_is_wrong_and_mends_it() -> None:
    model = (
        ScriptedModel()
        .says("Oslo, of course")
        .says('{"name": "Oslo"}')
        .says('```json\n{"name":"Oslo","people":1}\n```')
    )
    reply = await ask(model)
    assert reply.output == City(name="Oslo", people=1)
    second, third = model.requests[1:]
    assert [message.role for message in third.messages[1:]] == ["user", "assistant", "user", "assistant", "user"]
    assert "JSON" in second.messages[-1].text
    assert "people: Field required" in third.messages[-1].text


async def test_what_three_attempts_cost_is_added_up_and_their_text_is_not() -> None:
    model = ScriptedModel()
    for text in ("no", "{}", '{"name": "Rome", "people": 3}'):
        model.plays(TextDelta(text), UsageReport(Usage(input_tokens=10, output_tokens=1)), Finish("stop"))
    reply = await ask(model)
    assert reply.text == '{"name": "Rome", "people": 3}'
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (30, 3)


async def test_a_model_that_never_gets_it_right_is_given_up() -> None:
    reply = await ask(ScriptedModel().says("no").says("no").says("no").says('{"name": "Oslo", "people": 1}'))
    assert (reply.status, reply.output) == ("refused", None)
    assert reply.reason == "The model did not answer in the form that is wanted. Ask again."


async def test_tools_may_be_called_before() -> None:
    model = ScriptedModel().calls("count").says('{"name": "Oslo", "people": 700}')
    reply = await ask(model, tools=[count])
    assert reply.output == City(name="Oslo", people=700)
    assert [call.result for call in reply.calls] == ["700"]


async def test_what_was_said_before_a_tool_is_no_part_of_the_data() -> None:
    call = ToolCall(id="1", name="count", arguments="{}")
    model = ScriptedModel().plays(TextDelta("Let me count."), ToolCallStart(0, "1", "count"), ToolCallEnd(0, call),
                                  Finish("tool_calls"))  # fmt: skip
    reply = await ask(model.says('{"name": "Oslo", "people": 700}'), tools=[count])
    assert reply.text.startswith("Let me count.")
    assert reply.output == City(name="Oslo", people=700)


async def test_an_answer_that_was_cut_off_is_no_data() -> None:
    reply = await ask(ScriptedModel().plays(TextDelta('{"name": "Os'), Finish("length")))
    assert (reply.status, reply.output) == ("answered", None)
    assert isinstance(reply.parts[-1], NoticePart)
    assert reply.parts[-1].code == "length"


async def test_an_answer_that_never_ends_is_stopped_though_nothing_of_it_is_out() -> None:
    class Endless(ScriptedModel):
        pieces = 0

        async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
            while True:
                self.pieces += 1
                yield TextDelta("[" * 1_000)

    model = Endless()
    reply = await ask(model)
    assert isinstance(reply.parts[-1], NoticePart)
    assert (reply.status, reply.output, reply.parts[-1].code) == ("answered", None, "length")
    assert model.pieces < 1_100


async def test_data_that_a_guardrail_has_changed_is_none() -> None:
    reply = await ask(
        ScriptedModel().says('{"name": "Oslo", "people": 700}'), guardrails=[pattern("n", "700", action="mask")]
    )
    assert (reply.text, reply.output) == ('{"name": "Oslo", "people": [removed]}', None)


@pytest.mark.parametrize("text", ["```\n" + "\n" * 200_000, "```json\n" + " \n" * 100_000 + "x", "[" * 200_000])
def test_an_answer_made_to_take_long_does_not(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(ValidationError):
        AnswerForm(SCHEMA).read(text)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("text", ["[1]", " ```json\n[1]\n``` ", "```\n[1]```", "\n```JSON \n\n[1]\n\n```\n"])
def test_a_fence_around_data_is_taken_away(text: str) -> None:
    assert AnswerForm(list[int]).read(text) == [1]


async def test_a_failure_of_the_vendor_stays_what_it_is() -> None:
    reply = await ask(ScriptedModel().fails("quota"))
    assert (reply.status, reply.output) == ("refused", None)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"name": "Bern"}', 'name: the value is not one of "Oslo" or "Rome"'),
        ('{"sizes": []}', 'it: "name" is a required property'),
        ('{"name": "Rome", "sizes": [1, "2"]}', 'sizes.1: the value is not of type "integer"'),
        ('{"name": "Rome", "sizes": [true]}', 'sizes.0: the value is not of type "integer"'),
        ('{"name": "Rome", "note": 3}', 'note: the value is not of types "null", "string"'),
        ('{"name": "Rome", "colour": 3}', "it: Additional properties are not allowed"),
        ('{"name": "Bern", "note": 3}', '"Oslo" or "Rome"; note: '),
        ("[]", 'it: the value is not of type "object"'),
        ("{", "is not JSON"),
        ('{"name": ' + "[" * 500 + "]" * 500 + "}", "is not JSON that can be read"),
    ],
)
def test_a_schema_is_held_to(text: str, wrong: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(wrong)):
        AnswerForm(SCHEMA).read(text)
    assert AnswerForm(SCHEMA).read('{"name": "Rome", "sizes": [1], "note": null}')["sizes"] == [1]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int | None


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str] = []


class Home(BaseModel):
    city: City
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]]
    guest: Cat | Dog | None = None


@pytest.mark.parametrize("form", [Home, Home.model_json_schema()], ids=["model", "its schema"])
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"city": {"name": "Oslo"}, "pets": []}', "city"),
        ('{"city": {"name": "Oslo", "people": 1}, "pets": [{"kind": "cat", "lives": "9"}, {"kind": "cow"}]}', "pets.1"),
        ('{"city": {"name": "Oslo", "people": 1}, "pets": [{"kind": "dog", "tricks": [{}]}]}', "pets.0"),
        ('{"city": {"name": "Oslo", "people": 1}, "pets": [], "guest": {"kind": "cat", "lives": []}}', "guest"),
        ('{"city": null, "pets": []}', "city"),
    ],
)
def test_a_form_in_a_form_is_held_to_however_it_was_wanted(form: Any, text: str, wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        AnswerForm(form).read(text)
    fitting = '{"city": {"name": "Oslo", "people": 1}, "pets": [{"kind": "cat", "lives": null}], "guest": null}'
    read = AnswerForm(form).read(fitting)
    assert (read.model_dump(mode="json") if form is Home else read) == json.loads(fitting)


def test_where_no_form_fits_the_innermost_is_told() -> None:
    form = AnswerForm(Home.model_json_schema())
    with pytest.raises(ValidationError) as raised:
        form.read('{"city": {"name": "O", "people": 1}, "pets": [], "guest": {"kind": "cat", "lives": "a secret"}}')
    assert "guest.lives: the value is not of type" in str(raised.value)
    assert "a secret" not in str(raised.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"properties": {"a": {"$ref": "#/$defs/missing"}}},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"pattern": "("},
        {"enum": [object()]},
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_when_it_is_given(schema: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="JSON Schema that is wanted of an answer cannot be used"):
        Assistant("guide", output=schema)


def test_what_has_no_json_form_is_refused() -> None:
    assert AnswerForm(list[int]).read("[1]") == [1]
    with pytest.raises(ConfigError, match="has no JSON form"):
        Assistant("guide", output=object())
