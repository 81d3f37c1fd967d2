"""What models take: who is believed, how reports correct the estimate, and that nobody corrects it into nonsense."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.assistants.config import AssistantSettings
from antiphon.assistants.windows import ANSWER, FAMILIES, HEAVIEST, HELD, KNOWN, LEAST, LIGHTEST, MARGIN, MOST, Windows
from antiphon.domain import Usage
from antiphon.providers.base import Excess


def windows(told: dict[str, int] | None = None, **settings: Any) -> Windows:
    return Windows(AssistantSettings(**settings), (told or {}).get)


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("openai:gpt-4", 8_192),
        ("openai:gpt-4o-mini", 128_000),
        ("openai:gpt-4.1-nano", 1_000_000),
        ("openai:ft:gpt-4.1-mini-2025-04-14:house:mine:Ab1", 1_000_000),
        ("ollama:llama3:8b", 8_192),
        ("ollama:llama3.1:8b", 128_000),
        ("openrouter:meta-llama/Llama-3.3-70B", 128_000),
        ("anthropic:claude-sonnet-4-5", 200_000),
        ("acme:something", None),
        ("demo", None),
    ],
)
def test_families_are_known_by_the_longest_beginning(model: str, window: int | None) -> None:
    assert windows().window(model) == window


def test_the_operator_counts_before_the_list_and_the_list_before_the_family() -> None:
    told = {"openai:gpt-4": 10_000}
    assert windows(told).window("openai:gpt-4") == 10_000
    assert windows(told, model_context_tokens={"openai:gpt-4": 5_000}).window("openai:gpt-4") == 5_000
    assert all(each >= 4_096 for each in FAMILIES.values())


def test_room_is_what_the_house_wants_and_the_model_can() -> None:
    made = windows({"a:small": 8_000, "a:large": 900_000}, context_tokens=10_000)
    assert made.room("a:unknown") == 40_000
    assert made.room("a:large", tools=5_000) == 40_000
    assert made.room("a:small") == 4 * (MARGIN * 8_000 - 2_000)
    assert made.room("a:small", answer=100, tools=4_000) == 4 * (MARGIN * 8_000 - 100) - 4_000
    assert made.room("a:small", answer=1_000_000) == 4 * (MARGIN * 8_000 - 2_000)
    assert made.room("a:small", tools=10**9) == 0
    assert ANSWER > 2_000  # so a quarter of the small window was meant


def test_one_report_is_believed_and_later_ones_move_it_slowly() -> None:
    made = windows()
    made.learn("a:m", 10_000, Usage(input_tokens=5_000))
    assert made.bytes_per_token("a:m") == 2
    made.learn("a:m", 12_000, Usage(input_tokens=2_000))
    assert made.bytes_per_token("a:m") == 3
    assert made.bytes_per_token("a:other") == 4


@pytest.mark.parametrize(
    ("weight", "usage"),
    [
        (100, Usage(input_tokens=1)),
        (10_000, Usage(input_tokens=0)),
        (10_000, Usage(input_tokens=5_000, estimated=True)),
        (0, Usage(input_tokens=5_000)),
    ],
)
def test_what_tells_nothing_is_not_believed(weight: int, usage: Usage) -> None:
    made = windows()
    made.learn("a:m", weight, usage)
    assert made.bytes_per_token("a:m") == 4


def test_a_refusal_teaches_the_window_and_what_a_token_weighs() -> None:
    made = windows()
    made.refused("a:m", 40_000, Excess(most=8_000, asked=20_000))
    assert (made.window("a:m"), made.bytes_per_token("a:m")) == (8_000, 2)
    made.refused("a:n", 40_000, Excess(most=16_000))
    assert (made.window("a:n"), made.bytes_per_token("a:n")) == (16_000, 2.5)
    made.refused("a:o", 40_000, None)
    assert made.window("a:o") == 7_500
    assert all(made.room(model) < 40_000 for model in ("a:m", "a:n", "a:o"))


def test_a_refusal_of_little_text_teaches_no_more_than_the_vendor_says() -> None:
    made = windows()
    made.refused("a:m", 100, None)
    assert (made.window("a:m"), made.bytes_per_token("a:m")) == (None, 4)
    made.refused("a:m", 0, Excess(most=8_000, asked=20_000))
    assert (made.window("a:m"), made.bytes_per_token("a:m")) == (8_000, 4)


def test_a_refusal_of_files_teaches_what_they_weigh_and_nothing_of_words() -> None:
    made = windows()
    made.refused("a:m", 40_000, None, files=2_000)
    assert (made.window("a:m"), made.bytes_per_token("a:m"), made.files("a:m", 100)) == (None, 4, 100)
    made.refused("a:m", 4_000, Excess(most=8_000, asked=11_000), files=2_000)
    assert (made.window("a:m"), made.bytes_per_token("a:m"), made.files("a:m", 100)) == (8_000, 4, 500)


def test_a_window_that_a_refusal_taught_is_asked_for_again_after_an_hour() -> None:
    at = 1_000.0
    made = Windows(AssistantSettings(), {"a:m": 50_000}.get, clock=lambda: at)
    made.refused("a:m", 40_000, None)
    made.refused("a:unknown", 0, Excess(most=9_000))
    at += HELD - 1
    assert (made.window("a:m"), made.window("a:unknown")) == (7_500, 9_000)
    at += 1
    assert (made.window("a:m"), made.window("a:unknown")) == (50_000, None)
    made.refused("a:m", 40_000, None)
    assert made.window("a:m") == 7_500


def test_files_take_room_from_words_and_at_most_half_of_it() -> None:
    made = windows({"a:small": 8_000}, context_tokens=10_000)
    left = MARGIN * 8_000 - 2_000
    assert made.room("a:small", files=1_000) == 4 * (left - 1_000)
    assert made.room("a:small", files=10**6) == 4 * left / 2
    assert made.room("a:unknown", files=10**6) == 40_000
    assert made.room_for_files("a:small", 4_000) == left - 1_000
    assert made.room_for_files("a:small", 10**6) == 0


def test_reports_correct_what_files_weigh_and_leave_words_alone() -> None:
    made = windows({"a:m": 100_000})
    before = made.room("a:m")
    made.learn("a:m", 4_000, Usage(input_tokens=5_000), files=2_000)
    assert (made.asked("a:m", 4_000, 2_000), made.bytes_per_token("a:m")) == (5_000, 4)
    assert made.room("a:m") == before
    made.learn("a:m", 4_000, Usage(input_tokens=10**9), files=2_000)
    assert made.files("a:m", 100) == 100 * HEAVIEST
    made.learn("a:n", 4_000, Usage(input_tokens=10), files=2_000)
    assert made.files("a:n", 100) == 100 * LIGHTEST
    made.learn("a:o", 40_000, Usage(input_tokens=20_000), files=2_000)
    made.learn("a:o", 40, Usage(input_tokens=500), files=5)
    assert made.files("a:o", 100) == 100


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("learn"), st.integers(0, 10**9), st.integers(0, 10**9)),
            st.tuples(st.just("refused"), st.integers(0, 10**9), st.integers(1, 10**9)),
        )
    )
)
def test_no_report_makes_nonsense_of_it(reports: list[tuple[str, int, int]]) -> None:
    made = windows()
    for what, weight, count in reports:
        if what == "learn":
            made.learn("a:m", weight, Usage(input_tokens=count))
        else:
            made.refused("a:m", weight, Excess(most=count) if count % 2 else None)
        assert LEAST <= made.bytes_per_token("a:m") <= MOST
        assert 0 <= made.room("a:m") <= made.most


def test_models_that_people_make_up_do_not_fill_the_memory() -> None:
    made = windows()
    for number in range(KNOWN + 10):
        made.learn(f"a:{number}", 10_000, Usage(input_tokens=5_000))
    assert made.bytes_per_token("a:0") == 4
    assert made.bytes_per_token(f"a:{KNOWN + 9}") == 2
