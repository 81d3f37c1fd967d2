"""Parts as they grow, and the messages that made them."""

from hypothesis import given
from hypothesis import strategies as st

from antiphon.assistants.answer import Answer, replay, text_of
from antiphon.domain import AnyPart, NoticePart, ReasoningPart, TextPart, ToolPart
from antiphon.providers.base import ChatMessage, ToolCall


def done(call_id: str, result: str = "ok") -> ToolPart:
    return ToolPart(call_id=call_id, name="look", arguments="{}", status="done", result=result)


PARTS: st.SearchStrategy[list[AnyPart]] = st.lists(
    st.one_of(
        st.builds(TextPart, text=st.sampled_from(["", " ", "a", "b"])),
        st.builds(ReasoningPart, text=st.sampled_from(["", "r"]), opaque=st.sampled_from([None, "sig"])),
        st.builds(
            ToolPart,
            call_id=st.uuids().map(str),
            name=st.just("look"),
            arguments=st.just("{}"),
            status=st.sampled_from(["running", "done", "failed", "cancelled"]),
            result=st.sampled_from([None, "ok"]),
        ),
        st.builds(NoticePart, code=st.just("length"), text=st.just("cut")),
    ),
    max_size=12,
)


def test_a_signature_that_comes_after_the_text_signs_the_reasoning_of_its_round() -> None:
    answer = Answer()
    answer.mark()
    answer.reasoning("hm")
    answer.text("hello")
    answer.reasoning("", opaque="sig")
    answer.text(" world")
    assert answer.parts() == (ReasoningPart(text="hm", opaque="sig"), TextPart(text="hello world"))


def test_a_signature_never_signs_the_reasoning_of_an_earlier_round() -> None:
    answer = Answer()
    answer.reasoning("hm")
    answer.tool(done("1"))
    answer.mark()
    answer.reasoning("", opaque="sig")
    assert answer.parts()[0] == ReasoningPart(text="hm")
    assert answer.parts()[2] == ReasoningPart(text="", opaque="sig")


def test_parts_can_be_read_while_the_answer_grows() -> None:
    answer = Answer()
    answer.text("a")
    first = answer.parts()
    place = answer.tool(ToolPart(call_id="1", name="look", arguments="{}", status="running"))
    assert (first, answer.parts()[1]) == (
        (TextPart(text="a"),),
        ToolPart(call_id="1", name="look", arguments="{}", status="cancelled"),
    )
    answer.settle(place, done("1"))
    assert answer.parts() == (TextPart(text="a"), done("1"))


def test_text_around_tools_is_in_paragraphs() -> None:
    assert text_of([TextPart(text="Looking. "), done("1"), TextPart(text=" \n"), TextPart(text="\nFound.")]) == (
        "Looking.\n\nFound."
    )
    assert text_of([TextPart(text=" as it is\n")]) == " as it is\n"
    assert text_of([done("1")]) == ""


def test_rounds_of_one_answer_become_messages_again() -> None:
    parts: list[AnyPart] = [
        ReasoningPart(text="hm", opaque="sig"),
        TextPart(text="Looking."),
        done("1", "one"),
        done("2", "two"),
        TextPart(text="More."),
        ToolPart(call_id="3", name="look", arguments="{}", status="failed", result="closed"),
        ToolPart(call_id="4", name="look", arguments="{}", status="cancelled"),
        TextPart(text="Done."),
        NoticePart(code="length", text="cut"),
    ]
    first, one, two, second, three, four, last = replay(parts)
    assert first.calls == tuple(ToolCall(id=call_id, name="look", arguments="{}") for call_id in "12")
    assert (first.text, first.reasoning, first.opaque) == ("Looking.", "hm", "sig")
    assert (one.call_id, one.text, two.call_id, two.text) == ("1", "one", "2", "two")
    assert (second.text, second.reasoning, len(second.calls)) == ("More.", None, 2)
    assert three.text == "Error: closed"
    assert four.text == "Error: The call was cancelled before it had a result."
    assert last == ChatMessage(role="assistant", text="Done.")


def test_thoughts_that_follow_each_other_come_back_together_and_in_their_order() -> None:
    parts: list[AnyPart] = [
        ReasoningPart(text="a", opaque={"anthropic": ["A"]}),
        ReasoningPart(text="", opaque={"anthropic": ["hidden"]}),
        TextPart(text="Looking."),
        ReasoningPart(text="b", opaque={"anthropic": ["B"]}),
        done("1"),
        ReasoningPart(text="c", opaque={"anthropic": ["C"]}),
        done("2"),
        ReasoningPart(text="d", opaque={"anthropic": ["D"]}),
    ]
    told = [(message.text, message.opaque, len(message.calls)) for message in replay(parts) if message.role != "tool"]
    assert told == [
        ("Looking.", {"anthropic": ["A", "hidden"]}, 0),
        ("", {"anthropic": ["B"]}, 1),
        ("", {"anthropic": ["C"]}, 1),
    ]


@given(PARTS)
def test_replayed_calls_and_results_always_belong_together(parts: list[AnyPart]) -> None:
    messages = replay(parts)
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            assert waiting, "a result without its call"
            assert message.call_id == waiting.pop(0)
        else:
            assert not waiting, "a call without its result"
            assert message.text.strip() or message.calls
            waiting = [call.id for call in message.calls]
    assert not waiting
    assert sum(len(message.calls) for message in messages) == sum(isinstance(part, ToolPart) for part in parts)
    said = "".join(message.text for message in messages if message.role == "assistant")
    written = "".join(part.text for part in parts if isinstance(part, TextPart))
    assert said.replace(" ", "") == written.replace(" ", "")
