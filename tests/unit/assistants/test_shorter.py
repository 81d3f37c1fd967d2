"""Prompts made shorter: whole exchanges, the oldest first, and never half of a call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from antiphon.assistants.estimate import messages_size
from antiphon.assistants.shorter import CUT, SHORT, shorter
from antiphon.providers.base import ChatMessage, Excess, File, ToolCall

SYSTEM = ChatMessage(role="system", text="Be kind.")


def said(text: str) -> ChatMessage:
    return ChatMessage(role="user", text=text)


def looked(number: int, result: str) -> tuple[ChatMessage, ...]:
    call = ToolCall(id=f"c{number}", name="look", arguments="{}")
    return (
        ChatMessage(role="assistant", calls=(call,)),
        ChatMessage(role="tool", text=result, call_id=call.id, name="look"),
        ChatMessage(role="assistant", text="Found."),
    )


exchanges = st.lists(
    st.tuples(st.text(max_size=300), st.none() | st.text(max_size=300)).map(
        lambda drawn: (said(drawn[0]), *(() if drawn[1] is None else looked(len(drawn[0]), drawn[1])))
    ),
    max_size=12,
)
excesses = st.none() | st.builds(lambda most, over: Excess(most=most, asked=most + over), *[st.integers(1, 10**6)] * 2)


@given(exchanges, st.text(max_size=100), excesses)
def test_what_is_left_is_an_end_of_it_that_a_question_begins(
    past: list[tuple[ChatMessage, ...]], question: str, excess: Excess | None
) -> None:
    whole = (SYSTEM, *(message for exchange in past for message in exchange), said(question))
    less = shorter(whole, excess)
    if less is None:
        assert not past
        return
    assert less[0] == SYSTEM
    assert less[1:] == whole[len(whole) - len(less) + 1 :]
    assert less[1].role == "user"
    assert messages_size(less) < messages_size(whole)
    asked = {call.id for message in less for call in message.calls}
    assert {message.call_id for message in less if message.role == "tool"} <= asked


def test_as_much_goes_as_the_vendor_says() -> None:
    past = [
        message for number in range(100) for message in (said("x" * 84), ChatMessage(role="assistant", text="y" * 84))
    ]
    whole = (SYSTEM, *past, said("?"))
    half = shorter(whole, None)
    most = shorter(whole, Excess(most=100, asked=1_000))
    little = shorter(whole, Excess(most=999, asked=1_000))
    assert half is not None
    assert most is not None
    assert little is not None
    assert 0.45 < messages_size(half) / messages_size(whole) <= 0.5
    assert 0.05 < messages_size(most) / messages_size(whole) <= 0.09
    assert 0.85 < messages_size(little) / messages_size(whole) <= 0.9


@pytest.mark.parametrize("facts", ["", "Likes tea."])
def test_a_summary_stands_in_front_of_the_oldest_that_is_left(facts: str) -> None:
    past = [each for number in range(10) for each in (said(f"{number} {'x' * 84}"), *looked(number, "y" * 84))]
    past[0] = structs.replace(past[0], notes="The railway is green.")
    for excess in (None, Excess(most=100, asked=1_000), Excess(most=1, asked=10**6)):
        less = shorter((SYSTEM, *past, structs.replace(said("?"), notes=facts)), excess)
        assert less is not None
        assert less[1].role == "user"
        assert [message.notes for message in less if "railway" in message.notes] == [less[1].notes]
        assert less[1].notes.startswith("The railway is green.")
        assert less[-1].notes.endswith(facts)


def test_results_of_this_turn_are_cut_where_no_past_is_left() -> None:
    whole = (SYSTEM, said("earlier"), said("?"), *looked(1, "ü" * 50_000)[:2])
    less = shorter(whole, Excess(most=1_000, asked=20_000))
    assert less is not None
    assert [message.role for message in less] == ["system", "user", "assistant", "tool"]
    assert less[1] == said("?")
    assert less[-1].text.endswith(f"ü{CUT}")
    assert less[-1].call_id == "c1"
    assert len(less[-1].text.encode()) > SHORT
    assert shorter(less[:3], None) is None


def test_what_a_person_says_last_is_never_cut() -> None:
    assert shorter((SYSTEM, said("x" * 10**6)), Excess(most=1, asked=10**6)) is None
    assert shorter((), None) is None


@pytest.mark.parametrize("excess", [None, Excess(most=100), Excess(most=999, asked=1_000)])
def test_files_of_the_past_go_first_and_those_of_the_question_stay(excess: Excess | None) -> None:
    shown = structs.replace(said("Look"), files=(File(name="a.png", media_type="image/png", data=b"a"),))
    whole = (SYSTEM, *[said("word " * 100), ChatMessage(role="assistant", text="Well.")] * 8, shown, shown)
    less = shorter(whole, excess)
    assert less is not None
    assert less[-1] is shown
    assert (less[-2].text, less[-2].files) == ("Look\n\n[image: a.png]", ())
    assert (len(less) == len(whole)) == (excess is None or excess.asked is None)
    again = shorter(less, None)
    assert again is not None
    assert len(again) < len(less)
