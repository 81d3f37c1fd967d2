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
from antiphon.providers.protocols.ollama.codec import Ollama

CLOCK = ToolSpec(name="clock", description="The time.", parameters={"type": "object", "properties": {}})
SUMS = ToolSpec(name="sums", description="Sums.", parameters={"type": "object", "properties": {}})


def sent(request: ModelRequest) -> Any:
    return msgspec.json.decode(Ollama().encode(request))


def one(message: ChatMessage) -> Any:
    return sent(ModelRequest(model="m", messages=(message,)))["messages"][0]


def window(*messages: ChatMessage, **fields: Any) -> int:
    size = sent(ModelRequest(model="m", messages=messages, **fields))["options"]["num_ctx"]
    assert isinstance(size, int)
    return size


def test_a_plain_request_names_its_window() -> None:
    messages = (ChatMessage(role="system", text="Be brief."), ChatMessage(role="user", text="Grüß dich 😀"))
    assert sent(ModelRequest(model="llama3.2", messages=messages)) == {
        "model": "llama3.2",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüß dich 😀"}],
        "stream": True,
        "options": {"num_ctx": 8192},
    }


def test_the_window_grows_by_doubling_with_what_must_fit() -> None:
    assert window(ChatMessage(role="user", text="x" * 18_000)) == 8_192
    assert window(ChatMessage(role="user", text="x" * 19_000)) == 16_384
    assert window(ChatMessage(role="user", text="x" * 90_000)) == 32_768
    assert window(ChatMessage(role="user", text="hi"), max_tokens=20_000) == 32_768
    huge = ToolSpec(name="a", description="x" * 50_000, parameters={})
    assert window(ChatMessage(role="user", text="hi"), tools=(huge,)) == 32_768


def test_a_picture_takes_what_a_picture_takes_however_long_its_file_is() -> None:
    picture = File(name="a.png", media_type="image/png", data=b"x" * 1_000_000)
    assert window(ChatMessage(role="user", text="hi", files=(picture,))) == 8_192
    assert window(ChatMessage(role="user", text="hi", files=(picture,) * 5)) == 16_384


def test_tools_and_limits() -> None:
    body = sent(ModelRequest(model="m", messages=(), tools=(CLOCK,), temperature=0.0, max_tokens=7))
    function = {"name": "clock", "description": "The time.", "parameters": {"type": "object", "properties": {}}}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["options"] == {"num_ctx": 8192, "temperature": 0.0, "num_predict": 7}


def test_calls_have_objects_for_arguments_and_results_the_name_of_their_tool() -> None:
    call = ToolCall(id="c1", name="clock", arguments='{"zone": "UTC"}')
    assert one(ChatMessage(role="assistant", calls=(call,), reasoning="hm")) == {
        "role": "assistant",
        "content": "",
        "thinking": "hm",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "clock", "arguments": {"zone": "UTC"}}}],
    }
    assert one(ChatMessage(role="tool", text="12:00", call_id="c1", name="clock")) == {
        "role": "tool",
        "content": "12:00",
        "tool_name": "clock",
        "tool_call_id": "c1",
    }


@pytest.mark.parametrize("arguments", ['{"zone": "U', "", "[1]", "null", pytest.param("[" * 100_000, id="deep")])
def test_invalid_arguments_of_the_past_do_not_spoil_the_conversation(arguments: str) -> None:
    call = ToolCall(id="c1", name="clock", arguments=arguments)
    wire = one(ChatMessage(role="assistant", calls=(call,)))
    assert wire["tool_calls"][0]["function"]["arguments"] == {"invalid": arguments}


def test_reasoning_is_not_said_again_once_it_is_answered() -> None:
    assert one(ChatMessage(role="assistant", text="Yes.", reasoning="hm", opaque={"anthropic": []})) == {
        "role": "assistant",
        "content": "Yes.",
    }


def test_pictures_are_shown_texts_are_read_and_the_rest_is_named() -> None:
    files = (
        File(name="cat.png", media_type="image/png", data=b"png"),
        File(name="note.txt", media_type="text/plain", data=b"Milk."),
        File(name="bill.pdf", media_type="application/pdf", data=b"pdf"),
        File(name="dog.jpg", media_type="image/jpeg", url="https://pictures.example/dog.jpg"),
    )
    wire = one(ChatMessage(role="user", text="What is this?", files=files))
    assert wire["images"] == ["cG5n"]
    assert wire["content"].startswith("What is this?\n\nFile note.txt:\nMilk.\n\n")
    assert "bill.pdf" in wire["content"]
    assert "dog.jpg" in wire["content"]
    assert "images" not in one(ChatMessage(role="user", text="x", files=files[1:]))


@pytest.mark.parametrize(
    ("choice", "tools", "words"),
    [
        ("auto", ["clock", "sums"], ""),
        ("none", None, ""),
        ("required", ["clock", "sums"], "Call at least one of your tools now."),
        (ToolName("sums"), ["sums"], "Call the tool sums now."),
    ],
)
def test_what_must_be_done_with_tools_is_said_in_words(choice: Any, tools: list[str] | None, words: str) -> None:
    body = sent(ModelRequest(model="m", messages=(), tools=(CLOCK, SUMS), tool_choice=choice))
    offered = [tool["function"]["name"] for tool in body["tools"]] if "tools" in body else None
    assert offered == tools
    assert "".join(message["content"] for message in body["messages"]) == words


def test_an_answer_for_programs_has_a_schema() -> None:
    output = OutputSchema(name="bill", schema={"type": "object"})
    assert sent(ModelRequest(model="m", messages=(), output=output))["format"] == {"type": "object"}


def test_effort_is_a_level_only_where_all_versions_know_levels() -> None:
    assert sent(ModelRequest(model="gpt-oss:20b", messages=(), effort="low"))["think"] == "low"
    assert sent(ModelRequest(model="qwen3:8b", messages=(), effort="low"))["think"] is True
    assert "think" not in sent(ModelRequest(model="qwen3:8b", messages=()))


def test_models() -> None:
    listing = {"models": [{"name": "a"}, {"name": "b", "capabilities": ["completion"]}, {"name": 5}, "junk"]}
    assert Ollama().read_models(msgspec.json.encode(listing)) == (ModelInfo(id="a"), ModelInfo(id="b", tools=False))
    for junk in (b"{}", b"[]", b'{"models": {}}'):
        with pytest.raises(ValueError):
            Ollama().read_models(junk)
