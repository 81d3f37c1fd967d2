"""Estimates of tokens: cheap, never negative, about right in any script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.assistants.estimate import MESSAGE_BYTES, message_size, request_size, size, tokens
from antiphon.providers.base import ChatMessage, ModelRequest, ToolCall, ToolSpec


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_has_a_size_also_one_that_cannot_be_encoded(text: str) -> None:
    assert len(text) <= size(text) <= 4 * len(text)


@pytest.mark.parametrize(
    ("text", "least", "most"), [("", 0, 0), ("a", 1, 1), ("word " * 100, 100, 150), ("汉字" * 50, 70, 110)]
)
def test_tokens_are_about_right(text: str, least: int, most: int) -> None:
    assert least <= tokens(size(text)) <= most


def test_everything_that_is_sent_weighs() -> None:
    call = ToolCall(id="1", name="look", arguments="{}")
    message = ChatMessage(role="assistant", text="abc", calls=(call,), reasoning="hm")
    assert message_size(message) == MESSAGE_BYTES + 3 + 4 + 2 + 2
    spec = ToolSpec(name="look", description="Looks.", parameters={"type": "object"})
    bare, full = (ModelRequest(model="m", messages=(message,), tools=tools) for tools in ((), (spec,)))
    assert request_size(full) > request_size(bare) == message_size(message)
