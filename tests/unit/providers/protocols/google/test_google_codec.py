"""What is asked of Gemini, as each of its generations takes it."""

from typing import Any

import msgspec
import pytest

from antiphon.providers.base import (
    ChatMessage,
    File,
    ModelInfo,
    ModelRequest,
    OutputSchema,
    ToolCall,
    ToolName,
    ToolSpec,
)
from antiphon.providers.protocols.google.codec import GoogleGenerate
from antiphon.providers.protocols.google.schema import accepted

CLOCK = ToolSpec(name="clock", description="The time.", parameters={"type": "object", "properties": {}})
HI = ChatMessage(role="user", text="hi")
UNSIGNED = "skip_thought_signature_validator"


def sent(*messages: ChatMessage, model: str = "gemini-3.8-flash", **fields: Any) -> dict[str, Any]:
    request = ModelRequest(model=model, messages=messages or (HI,), **fields)
    body: dict[str, Any] = msgspec.json.decode(GoogleGenerate().encode(request))
    return body


def called(*ids: str, text: str = "", **fields: Any) -> ChatMessage:
    calls = tuple(ToolCall(id=each, name="clock", arguments='{"zone":"UTC"}') for each in ids)
    return ChatMessage(role="assistant", text=text, calls=calls, **fields)


def result(call_id: str, text: str, name: str | None = "clock") -> ChatMessage:
    return ChatMessage(role="tool", text=text, call_id=call_id, name=name)


def part(call_id: str, signature: str | None = None) -> dict[str, Any]:
    function = {"functionCall": {"id": call_id, "name": "clock", "args": {"zone": "UTC"}}}
    return function | ({"thoughtSignature": signature} if signature else {})


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3.8-flash", "models/gemini-3.8-flash"),
        ("models/gemini-3.8-flash", "models/gemini-3.8-flash"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
    ],
)
def test_where_it_is_asked(model: str, path: str) -> None:
    request = ModelRequest(model=model, messages=(HI,))
    assert GoogleGenerate().path(request) == f"{path}:streamGenerateContent?alt=sse"


@pytest.mark.parametrize("model", ["", "../v1/secrets", "a/b/c", "x?key=1", "models/", "x:countTokens"])
def test_a_name_that_is_none_leads_nowhere(model: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        GoogleGenerate().path(ModelRequest(model=model, messages=(HI,)))


def test_the_key_is_a_header() -> None:
    assert GoogleGenerate().headers("k3y") == {"x-goog-api-key": "k3y"}
    assert GoogleGenerate().headers(None) == {}


def test_the_system_stands_apart_and_neighbours_are_one() -> None:
    body = sent(
        ChatMessage(role="system", text="Be brief."),
        HI,
        ChatMessage(role="user", text="there"),
        called("a", "b", text="Looking.", opaque={"google": {"calls": {"0": "sa"}}}),
        result("a", "12:00"),
        result("b", "Error: closed", None),
        ChatMessage(role="user", text="and now?"),
    )
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "hi"}, {"text": "there"}]},
        {"role": "model", "parts": [{"text": "Looking."}, part("a", "sa"), part("b")]},
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "a", "name": "clock", "response": {"output": "12:00"}}},
                {"functionResponse": {"id": "b", "name": "clock", "response": {"error": "Error: closed"}}},
                {"text": "and now?"},
            ],
        },
    ]


def test_signatures_go_back_to_the_parts_they_came_with() -> None:
    signed = {"google": {"thought": "st", "text": "sx", "calls": {"1": "s1"}}}
    (_, said) = sent(HI, called("a", "b", text="So.", reasoning="hm", opaque=signed))["contents"]
    assert said["parts"] == [
        {"text": "hm", "thought": True, "thoughtSignature": "st"},
        {"text": "So.", "thoughtSignature": "sx"},
        part("a", UNSIGNED),
        part("b", "s1"),
    ]


@pytest.mark.parametrize("junk", [["s"], {"calls": ["s"]}, {"calls": {"0": 5}, "text": 5}, "s"])
def test_signatures_of_another_form_are_left_out(junk: Any) -> None:
    (_, said) = sent(HI, called("a", text="So.", opaque={"google": junk}), model="gemini-2.5-flash")["contents"]
    assert said["parts"] == [{"text": "So."}, part("a")]


@pytest.mark.parametrize(
    ("model", "signature"),
    [("gemini-3.8-flash", UNSIGNED), ("gemini-flash-latest", UNSIGNED), ("gemini-2.5-pro", None)],
)
def test_a_call_of_another_vendor_says_that_it_is_unsigned(model: str, signature: str | None) -> None:
    (_, said) = sent(HI, called("a", "b"), model=model)["contents"]
    assert said["parts"] == [part("a", signature), part("b")]


@pytest.mark.parametrize(
    ("model", "unasked", "asked"),
    [
        ("gemini-3.8-flash", {}, {"thinkingLevel": "high"}),
        ("models/gemini-3.1-pro-preview", {}, {"thinkingLevel": "high"}),
        ("gemini-flash-latest", {}, {"thinkingLevel": "high"}),
        ("gemini-2.5-flash", {}, {"thinkingBudget": 24576}),
        ("gemini-2.0-flash", None, None),
        ("gemma-4-27b-it", None, None),
    ],
)
def test_how_long_it_thinks(model: str, unasked: Any, asked: Any) -> None:
    def thinking(**fields: Any) -> Any:
        return sent(model=model, **fields).get("generationConfig", {}).get("thinkingConfig")

    shown = {"includeThoughts": True}
    assert thinking() == (None if unasked is None else shown | unasked)
    assert thinking(effort="high") == (None if asked is None else shown | asked)


def test_what_is_set() -> None:
    output = OutputSchema(name="bill", schema={"type": "object", "properties": {"sum": {"type": "number"}}})
    config = sent(model="demo", temperature=0.0, max_tokens=7, output=output)["generationConfig"]
    assert config == {
        "temperature": 0.0,
        "maxOutputTokens": 7,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "properties": {"sum": {"type": "number"}}},
    }


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (ToolName("clock"), {"mode": "ANY", "allowedFunctionNames": ["clock"]}),
    ],
)
def test_tools_and_their_choice(choice: Any, wire: Any) -> None:
    body = sent(tools=(CLOCK,), tool_choice=choice)
    assert body["toolConfig"] == {"functionCallingConfig": wire}
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "clock",
                    "description": "The time.",
                    "parametersJsonSchema": {"type": "object", "properties": {}},
                }
            ]
        }
    ]


def test_files() -> None:
    files = (
        File(name="cat.png", media_type="image/png", data=b"png"),
        File(name="bill.pdf", media_type="application/pdf", url="https://papers.example/bill.pdf"),
    )
    (turn,) = sent(ChatMessage(role="user", text="What?", files=files))["contents"]
    assert turn["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "cG5n"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://papers.example/bill.pdf"}},
        {"text": "What?"},
    ]


def test_a_schema_loses_what_google_does_not_know() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": ["object", "null"],
        "$defs": {"pattern": {"type": "string", "pattern": "^a", "minLength": 2}},
        "properties": {
            "pattern": {"$ref": "#/$defs/pattern"},
            "kind": {"const": "bill"},
            "sums": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0, "minimum": 1}, "maxItems": 3},
            "other": {"anyOf": [{"type": "string", "examples": ["x"]}, {"type": "null"}], "default": {"examples": 1}},
        },
        "required": ["kind"],
        "additionalProperties": False,
    }
    assert accepted(schema) == {
        "type": ["object", "null"],
        "$defs": {"pattern": {"type": "string"}},
        "properties": {
            "pattern": {"$ref": "#/$defs/pattern"},
            "kind": {"enum": ["bill"]},
            "sums": {"type": "array", "items": {"type": "number", "minimum": 1}, "maxItems": 3},
            "other": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": {"examples": 1}},
        },
        "required": ["kind"],
        "additionalProperties": False,
    }


def test_models_that_answer() -> None:
    listing = {
        "models": [
            {"name": "models/gemini-3.8-flash", "inputTokenLimit": 1_048_576,
             "supportedGenerationMethods": ["generateContent", "countTokens"]},
            {"name": "models/text-embedding-004", "supportedGenerationMethods": ["embedContent"]},
            {"name": "models/plain"},
            {"name": 5},
            "junk",
        ]
    }  # fmt: skip
    assert GoogleGenerate().read_models(msgspec.json.encode(listing)) == (
        ModelInfo(id="gemini-3.8-flash", context=1_048_576),
        ModelInfo(id="plain"),
    )
    for wrong in (b"[]", b'{"models": 5}'):
        with pytest.raises(ValueError, match="no list"):
            GoogleGenerate().read_models(wrong)
