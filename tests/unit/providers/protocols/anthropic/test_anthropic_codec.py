"""What is asked of Claude, as each of its generations takes it."""

from typing import Any

import msgspec
import pytest

from antiphon.providers.base import (
    ChatMessage,
    File,
    ModelInfo,
    ModelRequest,
    OutputSchema,
    ReasoningDelta,
    ToolCall,
    ToolName,
    ToolSpec,
)
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.anthropic.codec import AnthropicMessages
from antiphon.providers.protocols.anthropic.schema import accepted

OLD, FOUR_FIVE, FOUR_SIX, FOUR_SEVEN, FIVE, LATEST = (
    "claude-3-5-haiku-20241022",
    "claude-sonnet-4-5-20250929",
    "claude-opus-4-6",
    "claude-opus-4-7",
    "claude-sonnet-5",
    "claude-sonnet-5-5",
)
CLOCK = ToolSpec(name="clock", description="The time.", parameters={"type": "object", "properties": {}})
HI = ChatMessage(role="user", text="hi")
EPHEMERAL = {"type": "ephemeral"}


def sent(*messages: ChatMessage, model: str = LATEST, **fields: Any) -> dict[str, Any]:
    request = ModelRequest(model=model, messages=messages or (HI,), **fields)
    body: dict[str, Any] = msgspec.json.decode(AnthropicMessages().encode(request))
    return body


def said(text: str, **fields: Any) -> ChatMessage:
    return ChatMessage(role="assistant", text=text, **fields)


def call(call_id: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(id=call_id, name="clock", arguments=arguments)


def result(call_id: str, text: str) -> ChatMessage:
    return ChatMessage(role="tool", text=text, call_id=call_id, name="clock")


def kept(block: dict[str, Any], maker: str = "claude") -> dict[str, Any]:
    return {"anthropic": [{"maker": maker, "block": block}]}


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **fields}


def test_the_headers_name_the_version_and_hold_the_key() -> None:
    headers = AnthropicMessages().headers("k3y")
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("k3y", "2023-06-01")
    assert "x-api-key" not in AnthropicMessages().headers(None)


def test_the_system_stands_apart_and_turns_alternate() -> None:
    body = sent(
        ChatMessage(role="system", text="Be brief."),
        HI,
        ChatMessage(role="user", text="there"),
        said("Looking.", calls=(call("a"), call("b!c"))),
        result("a", "12:00"),
        result("b!c", "Error: closed"),
        ChatMessage(role="user", text="and now?"),
        max_tokens=7,
    )
    assert body["system"] == [text("Be brief.")]
    assert body["max_tokens"] == 7
    assert body["messages"] == [
        {"role": "user", "content": [text("hi"), text("there")]},
        {
            "role": "assistant",
            "content": [
                text("Looking."),
                {"type": "tool_use", "id": "a", "name": "clock", "input": {}},
                {"type": "tool_use", "id": "b_c", "name": "clock", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [text("12:00")]},
                {
                    "type": "tool_result",
                    "tool_use_id": "b_c",
                    "content": [text("Error: closed")],
                    "is_error": True,
                },
                text("and now?"),
            ],
        },
    ]


def test_a_limit_is_always_sent_because_the_protocol_wants_one() -> None:
    assert sent()["max_tokens"] > 1000


def test_thoughts_go_back_as_they_came_and_in_their_place() -> None:
    first, second = ({"type": "thinking", "thinking": name, "signature": f"s{name}"} for name in "ab")
    body = sent(
        HI,
        said("Looking.", reasoning="a", opaque=kept(first)),
        said("", reasoning="b", opaque=kept(second), calls=(call("1"),)),
        result("1", ""),
    )
    assert body["messages"][1]["content"] == [
        first,
        text("Looking."),
        second,
        {"type": "tool_use", "id": "1", "name": "clock", "input": {}},
    ]
    assert body["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "1", "content": []}]


def test_thoughts_go_back_to_who_can_read_them() -> None:
    thought = {"type": "thinking", "thinking": "a", "signature": "s"}

    def back(model: str, opaque: Any) -> bool:
        return thought in sent(HI, said("Yes.", opaque=opaque), model=model)["messages"][1]["content"]

    assert back(LATEST, kept(thought))
    assert back(FOUR_FIVE, kept(thought))
    assert back("kimi-k3", kept(thought, "kimi-k3"))
    assert not back("kimi-k3", kept(thought))
    assert not back(LATEST, kept(thought, "kimi-k3"))
    for junk in ([thought], [5], {"maker": "claude"}, [{"maker": "claude", "block": 5}], None):
        assert not back(LATEST, {"anthropic": junk})


def test_the_decoder_knows_who_answers() -> None:
    request = ModelRequest(model="kimi-k3", messages=(HI,))
    codec = AnthropicMessages()
    decoder = codec.decoder(Failures("acme"), codec.encode(request), wait=None)
    block = {"type": "redacted_thinking", "data": "x"}
    start = {"type": "content_block_start", "index": 0, "content_block": block}
    data = b"data: " + msgspec.json.encode(start) + b"\n\n"
    assert decoder.feed(data) == [ReasoningDelta("", kept(block, "kimi-k3"))]


def test_a_turn_of_thinking_alone_is_left_out_and_its_neighbours_are_one() -> None:
    thought = kept({"type": "redacted_thinking", "data": "x"})
    body = sent(HI, said("", opaque=thought), ChatMessage(role="user", text="there"))
    assert body["messages"] == [{"role": "user", "content": [text("hi"), text("there")]}]


@pytest.mark.parametrize("marks", [1, 4, 7])
def test_no_more_than_four_places_are_kept(marks: int) -> None:
    system = ChatMessage(role="system", text="0", keep=True)
    talk = [ChatMessage(role="user" if n % 2 else "assistant", text=f"{n}", keep=n < marks) for n in range(1, 9)]
    body = sent(system, *talk)
    blocks = [*body["system"], *(block for turn in body["messages"] for block in turn["content"])]
    kept = [block["text"] for block in blocks if block.get("cache_control") == EPHEMERAL]
    assert kept == (["0", "4", "5", "6"] if marks == 7 else [str(n) for n in range(marks)])


def test_a_mark_never_lies_on_a_thought() -> None:
    thought = {"type": "thinking", "thinking": "a", "signature": "s"}
    body = sent(HI, said("Yes.", opaque=kept(thought), keep=True))
    assert body["messages"][1]["content"] == [thought, text("Yes.", cache_control=EPHEMERAL)]


def test_files() -> None:
    files = (
        File(name="cat.png", media_type="image/png", data=b"png"),
        File(name="dog.jpg", media_type="image/jpeg", url="https://pictures.example/dog.jpg"),
        File(name="bill.pdf", media_type="application/pdf", data=b"pdf"),
        File(name="far.pdf", media_type="application/pdf", url="https://papers.example/far.pdf"),
        File(name="notes.md", media_type="text/markdown", data="Grüße".encode()),
    )
    *sources, question = sent(ChatMessage(role="user", text="What?", files=files))["messages"][0]["content"]
    assert question == text("What?")
    assert [(block["type"], block["source"]) for block in sources] == [
        ("image", {"type": "base64", "media_type": "image/png", "data": "cG5n"}),
        ("image", {"type": "url", "url": "https://pictures.example/dog.jpg"}),
        ("document", {"type": "base64", "media_type": "application/pdf", "data": "cGRm"}),
        ("document", {"type": "url", "url": "https://papers.example/far.pdf"}),
        ("document", {"type": "text", "media_type": "text/plain", "data": "Grüße"}),
    ]
    with pytest.raises(ValueError, match="audio/wav"):
        sent(ChatMessage(role="user", files=(File(name="w.wav", media_type="audio/wav", data=b"w"),)))


# --- generations --------------------------------------------------------------------------------------------------

SHOWN = {"type": "adaptive", "display": "summarized"}
BOUND = {**SHOWN, "block_binding": {"prefix_mismatch_behavior": "drop_block"}}


@pytest.mark.parametrize(
    ("model", "unasked", "asked", "effort"),
    [
        (OLD, None, {"type": "enabled", "budget_tokens": 8192}, None),
        (FOUR_FIVE, None, {"type": "enabled", "budget_tokens": 8192}, None),
        (FOUR_SIX, None, SHOWN, "medium"),
        (FOUR_SEVEN, None, SHOWN, "medium"),
        (FIVE, SHOWN, SHOWN, "medium"),
        (LATEST, BOUND, BOUND, "medium"),
        ("anthropic/claude-opus-5.5", BOUND, BOUND, "medium"),
        ("claude-fable-5", SHOWN, SHOWN, "medium"),
        ("claude-fable-5-2", BOUND, BOUND, "medium"),
        ("kimi-k3", None, {"type": "enabled", "budget_tokens": 8192}, None),
    ],
)
def test_how_long_it_thinks(model: str, unasked: Any, asked: Any, effort: str | None) -> None:
    assert sent(model=model).get("thinking") == unasked
    body = sent(model=model, effort="medium", max_tokens=100)
    assert body["thinking"] == asked
    assert body.get("output_config", {}).get("effort") == effort
    assert body["max_tokens"] == (100 if effort else 8292)


@pytest.mark.parametrize(
    ("model", "taken"),
    [(OLD, 0.7), (FOUR_FIVE, 0.7), (FOUR_SIX, 0.7), (FOUR_SEVEN, None), (FIVE, None), (LATEST, None)],
)
def test_a_temperature_where_it_is_taken(model: str, taken: float | None) -> None:
    assert sent(model=model, temperature=0.7).get("temperature") == taken
    assert "temperature" not in sent(model=model, temperature=0.7, effort="low")
    assert sent(model=OLD, temperature=2.0)["temperature"] == 1.0


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        ("auto", None),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        (ToolName("clock"), {"type": "tool", "name": "clock"}),
    ],
)
def test_tools_and_their_choice(choice: Any, wire: Any) -> None:
    body = sent(model=FOUR_FIVE, tools=(CLOCK,), tool_choice=choice)
    assert body.get("tool_choice") == wire
    assert body["tools"] == [
        {"name": "clock", "description": "The time.", "input_schema": {"type": "object", "properties": {}}}
    ]


@pytest.mark.parametrize(("choice", "words"), [("required", "a call of a tool"), (ToolName("clock"), "the tool clock")])
def test_the_newest_are_told_in_words_to_call_a_tool(choice: Any, words: str) -> None:
    body = sent(ChatMessage(role="system", text="Be brief."), HI, tools=(CLOCK,), tool_choice=choice)
    assert "tool_choice" not in body
    assert body["system"][0] == text("Be brief.")
    assert words in body["system"][1]["text"]
    assert "system" not in sent(tools=(CLOCK,), tool_choice="none")


def test_calls_of_the_past_need_tools_that_cannot_be_called() -> None:
    assert "tools" not in sent()
    body = sent(HI, said("", calls=(call("a"), call("b"))), result("a", "x"), result("b", "y"))
    assert body["tools"] == [{"name": "clock", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


def test_a_forced_call_goes_before_thinking_where_both_are_refused() -> None:
    assert "thinking" not in sent(model=FOUR_FIVE, tools=(CLOCK,), tool_choice="required", effort="high")


# --- forms --------------------------------------------------------------------------------------------------------


def test_an_answer_for_programs_has_a_schema() -> None:
    output = OutputSchema(name="bill", schema={"type": "object", "properties": {"sum": {"type": "number"}}})
    assert sent(output=output, effort="low")["output_config"] == {
        "effort": "low",
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {"sum": {"type": "number"}},
                "additionalProperties": False,
            },
        },
    }


def test_who_takes_no_schema_is_told_in_words() -> None:
    output = OutputSchema(name="bill", schema={"type": "object"})
    body = sent(model="kimi-k3", output=output)
    assert "output_config" not in body
    assert '{"type":"object"}' in body["system"][0]["text"]


def test_what_a_schema_may_not_hold_is_said_in_words() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"day": {"type": "string", "enum": ["mon", "tue"], "maxLength": 3}},
        "properties": {
            "maximum": {"type": "integer", "minimum": 1, "description": "How much."},
            "days": {"type": "array", "items": {"$ref": "#/$defs/day"}, "minItems": 1, "maxItems": 7},
            "many": {"type": "array", "items": {"type": "object"}, "minItems": 2},
            "kind": {"const": {"minimum": 1}},
        },
    }
    assert accepted(schema) == {
        "$defs": {"day": {"type": "string", "enum": ["mon", "tue"], "description": "(maxLength: 3)"}},
        "properties": {
            "maximum": {"type": "integer", "description": "How much. (minimum: 1)"},
            "days": {"type": "array", "items": {"$ref": "#/$defs/day"}, "minItems": 1, "description": "(maxItems: 7)"},
            "many": {
                "type": "array",
                "items": {"type": "object", "additionalProperties": False},
                "description": "(minItems: 2)",
            },
            "kind": {"const": {"minimum": 1}},
        },
        "additionalProperties": False,
    }


def test_models() -> None:
    listing = {"data": [{"id": "claude-sonnet-5-5", "max_input_tokens": 1_000_000}, {"id": "b"}, {"id": 5}, "junk"]}
    assert AnthropicMessages().read_models(msgspec.json.encode(listing)) == (
        ModelInfo(id="claude-sonnet-5-5", context=1_000_000),
        ModelInfo(id="b"),
    )
    for wrong in (b"[]", b'{"data": 5}', b"{"):
        with pytest.raises(ValueError, match=r"no list|truncated"):
            AnthropicMessages().read_models(wrong)
