"""Estimates of tokens: cheap, never negative, about right in any script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.assistants.estimate import MESSAGE_BYTES, PICTURE, file_tokens, message_size, request_size, size, tokens
from antiphon.providers.base import ChatMessage, File, ModelRequest, ToolCall, ToolSpec
from tests.attached import PDF, png


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


@pytest.mark.parametrize(
    ("vendor", "width", "height", "expected"),
    [
        ("anthropic", 200, 200, 54),
        ("anthropic", 1_000, 1_000, 1_334),
        ("anthropic", 4_000, 3_000, PICTURE),
        ("openai", 100, 100, 255),
        ("openai", 1_024, 1_024, 765),
        ("azure", 2_048, 4_096, 1_105),
        ("google", 384, 384, 258),
        ("google", 960, 540, 516),
        ("google", 4_000, 3_000, PICTURE),
        ("acme", 750, 100, 100),
    ],
)
def test_pictures_weigh_what_their_vendor_says(vendor: str, width: int, height: int, expected: int) -> None:
    picture = File(name="a.png", media_type="image/png", data=png(width, height))
    assert file_tokens(picture, vendor) == expected


@pytest.mark.parametrize(
    ("media_type", "data", "expected"),
    [
        ("image/png", None, PICTURE),
        ("image/webp", b"RIFF\0\0\0\0WEBPVP8 ", PICTURE),
        ("image/png", png()[:16] + bytes(16), PICTURE),
        ("application/pdf", None, 20_000),
        ("application/pdf", PDF, 2_000),
        ("audio/mpeg", None, 8_000),
        ("text/plain", None, 250_000),
    ],
)
def test_other_files_weigh_by_their_bytes(media_type: str, data: bytes | None, expected: int) -> None:
    assert file_tokens(File(name="a", media_type=media_type, data=data, size=1_000_000), "openai") == expected


@given(st.sampled_from(["openai", "google", "anthropic"]), st.integers(1, 2**31), st.integers(1, 2**31))
def test_no_picture_weighs_nothing_or_more_than_a_few_thousand(vendor: str, width: int, height: int) -> None:
    head = png()[:16] + width.to_bytes(4) + height.to_bytes(4)
    assert 0 < file_tokens(File(name="a.png", media_type="image/png", data=head), vendor) <= 2_000
