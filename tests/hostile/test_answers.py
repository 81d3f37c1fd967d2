"""Vendors that send anything: whatever is put into an answer, and however it is cut, it comes to one end."""

import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import msgspec
import pytest

from antiphon.providers.base import Error, Event, Finish, ReasoningDelta, TextDelta, ToolCallDelta
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.anthropic.codec import AnthropicMessages
from antiphon.providers.protocols.base import Codec
from antiphon.providers.protocols.google.codec import GoogleGenerate
from antiphon.providers.protocols.ollama.codec import Ollama
from antiphon.providers.protocols.openai_chat.codec import OpenAIChat
from antiphon.providers.protocols.openai_responses.codec import OpenAIResponses
from tests.hostile.effort import EFFORT

EXAMPLES = 400 * EFFORT
REQUEST = b'{"model":"m"}'
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e300,
    10**30,
    "",
    "x" * 10,
    [],
    {},
    [None],
    {"a": None},
    "\ud83d",
    0,
    [[]],
    {"type": "x"},
)
JUNK = (
    b"\0", b"\xff", b"{", b"}", b'"', b"null", b"NaN", b"1e999", b"\r", b"\n\n", b"data:", b"data: {}\n\n", b":\n",
    b"event: error\n", b"\\ud83d", b"\xef\xbb\xbf", b"{}", b"[]", b"data: [DONE]\n\n", b'{"error":"x"}\n',
)  # fmt: skip


def lines(*documents: Mapping[str, Any], begin: str = "data: ", end: str = "\n\n") -> bytes:
    return "".join(f"{begin}{json.dumps(each)}{end}" for each in documents).encode()


CALL = {"function": {"name": "x", "arguments": {"a": 1}}}
ANSWERS: Mapping[str, tuple[Codec, bytes]] = {
    "anthropic": (
        AnthropicMessages(),
        lines(
            {"type": "message_start", "message": {"model": "claude", "usage": {"input_tokens": 25}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hmä"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "abc"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hällo 😀"}},
            {"type": "content_block_stop", "index": 1},
            {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "x"}},
            {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
            {"type": "content_block_stop", "index": 2},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
            {"type": "message_stop"},
        ),
    ),
    "google": (
        GoogleGenerate(),
        lines(
            {"candidates": [{"content": {"parts": [{"text": "hm", "thought": True}, {"text": "Hä"}]}}]},
            {"candidates": [{"content": {"parts": [{"functionCall": {"name": "x", "args": {"a": 1}}}]},
                             "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3}},
        ),
    ),
    "ollama": (
        Ollama(),
        lines(
            {"message": {"role": "assistant", "content": "Hä", "thinking": "x"}, "done": False},
            {"message": {"content": "", "tool_calls": [CALL]}, "done": False},
            {"message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 3},
            begin="", end="\n",
        ),
    ),
    "chat": (
        OpenAIChat(),
        lines(
            {"choices": [{"delta": {"role": "assistant", "content": "Hä", "reasoning_content": "x"}}]},
            {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "x"}}]}}]},
            {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
                          "finish_reason": "tool_calls"}]},
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
        ) + b"data: [DONE]\n\n",
    ),
    "responses": (
        OpenAIResponses("openai"),
        lines(
            {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "i"}},
            {"type": "response.output_text.delta", "output_index": 0, "delta": "Hä"},
            {"type": "response.output_item.added", "output_index": 1,
             "item": {"type": "function_call", "id": "f", "call_id": "c", "name": "x", "arguments": ""}},
            {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{}"},
            {"type": "response.completed", "response": {"status": "completed", "usage": {"input_tokens": 3}}},
        ),
    ),
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from places(part, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def damaged(data: bytes, random: Random) -> bytes:
    """With another value somewhere, with junk in between, without a piece of it, or cut off."""
    way, at = random.random(), random.randrange(len(data) + 1)
    if way < 0.6:
        whole = data.split(b"\n")
        number = random.choice([number for number, line in enumerate(whole) if b"{" in line])
        before, brace, rest = whole[number].partition(b"{")
        document = json.loads(brace + rest)
        changed = replaced(document, random.choice(list(places(document))), random.choice(VALUES))
        whole[number] = before + json.dumps(changed).encode()
        return b"\n".join(whole)
    if way < 0.8:
        return data[:at] + random.choice(JUNK) + data[at:]
    return data[:at] + data[at + random.randrange(1, 20) :] if way < 0.9 else data[:at]


def read(codec: Codec, data: bytes, cuts: list[int], *, broken: bool) -> list[Event]:
    decoder = codec.decoder(Failures("acme"), REQUEST, wait=None)
    events: list[Event] = []
    for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        events += [] if decoder.done else decoder.feed(data[begin:end])
    if not decoder.done:
        events += decoder.cut() if broken else decoder.end()
    return events


def told(events: list[Event]) -> tuple[str, str, list[Event]]:
    """What does not depend on how the bytes came: the texts, and all events that are no pieces."""
    said = "".join(event.text for event in events if isinstance(event, TextDelta))
    thought = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    whole: list[Event] = [
        event for event in events if not isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta)
    ]
    return said, thought, whole


@pytest.mark.parametrize("name", ANSWERS)
def test_whatever_a_vendor_sends_comes_to_one_end_however_it_is_cut(name: str) -> None:
    codec, answer = ANSWERS[name]
    for seed in range(EXAMPLES):
        random, data = Random(f"{name} {seed}"), answer
        for _ in range(random.randrange(3)):
            try:
                data = damaged(data, random)
            except (ValueError, IndexError):  # nothing is left of it that could be damaged more
                break
        broken = random.random() < 0.5
        events = read(codec, data, [], broken=broken)
        assert [event for event in events if isinstance(event, Finish | Error)] == events[-1:], (seed, data)
        msgspec.json.encode(told(events))  # it can be stored and passed on
        cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.randrange(10)))
        for other in (cuts, list(range(1, len(data)))):
            assert told(read(codec, data, other, broken=broken)) == told(events), (seed, data)
