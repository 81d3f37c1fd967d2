"""Prompts that are too long, in the words of every vendor, and what is not one."""

from typing import Any

import pytest

from antiphon.providers.base import Excess
from antiphon.providers.failures import Failures


def error_of(status: int, message: str, **fields: Any) -> Any:
    body = {"error": {"message": message, **fields}}
    return Failures("acme").of_object(body, status=status)


@pytest.mark.parametrize(
    ("message", "excess"),
    [
        (
            (
                "This model's maximum context length is 4097 tokens. However, your messages resulted in 4294 tokens. "
                "Please reduce the length of the messages."
            ),
            Excess(most=4097, asked=4294),
        ),
        (
            (
                "This model's maximum context length is 262144 tokens. However, you requested 0 output tokens and your "
                "prompt contains at least 262145 input tokens, for a total of at least 262145 tokens."
            ),
            Excess(most=262_144, asked=262_145),
        ),
        ("prompt is too long: 210000 tokens > 200000 maximum", Excess(most=200_000, asked=210_000)),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            Excess(most=1_048_576, asked=1_200_000),
        ),
        ("The input token count exceeds the maximum number of tokens allowed 1048576.", Excess(most=1_048_576)),
        (
            (
                "Requested token count exceeds the model's maximum context length of 202,752 tokens. You requested a "
                "total of 202,941 tokens: 170941 tokens from the input messages and 32000 tokens for the completion."
            ),
            Excess(most=202_752, asked=202_941),
        ),
        ("Input length (265330) exceeds model's maximum context length (262144).", Excess(most=262_144, asked=265_330)),
        (
            "Input length 131393 exceeds the maximum allowed input length of 131040 tokens.",
            Excess(most=131_040, asked=131_393),
        ),
        ("Please reduce the length of the messages or completion.", None),
        ("the input length exceeds the context length", None),
    ],
)
def test_every_vendor_is_understood(message: str, excess: Excess | None) -> None:
    error = error_of(400, message)
    assert (error.kind, error.excess, error.retryable) == ("too_long", excess, False)
    assert "too long for this model" in error.public


def test_fields_count_before_words_whatever_the_status_is() -> None:
    fields = {"type": "exceed_context_size_error", "n_prompt_tokens": 1407, "n_ctx": 256}
    error = error_of(500, "the request exceeds the available context size.", **fields)
    assert (error.kind, error.excess) == ("too_long", Excess(most=256, asked=1407))
    for odd in ("many", -1, True, None, 1.5):
        assert error_of(400, "?", type="exceed_context_size_error", n_ctx=odd).excess is None


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (429, "Too many tokens in the context window, please wait before trying again.", "rate"),
        (400, "max_tokens: integer above maximum value, expected a value <= 32768", "invalid"),
        (404, "The model gpt-9-long-context-window does not exist", "invalid"),
        (400, "`title` is too long: 300 characters > 200", "invalid"),
        (401, "prompt is too long", "auth"),
    ],
)
def test_what_is_no_overlong_prompt_is_not_taken_for_one(status: int, message: str, kind: str) -> None:
    assert error_of(status, message).kind == kind


def test_hostile_words_take_no_time() -> None:
    for text in ("1" * 100_000, "token count " * 20_000, "context length " * 20_000, "request(" * 30_000):
        assert error_of(400, text).kind in {"invalid", "too_long"}
