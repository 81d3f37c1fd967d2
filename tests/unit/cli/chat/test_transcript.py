"""What a client was told is told once, whatever the connection does."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from antiphon.cli.chat.events import Event, HouseSaid, OtherSaid, TurnBegan, TurnNotice, TurnOver, TurnSaid, TurnTool
from antiphon.cli.chat.transcript import Transcript
from antiphon.cli.printable import printable

WORDS = ["The ", "answer ", "is ", "forty-", "two."]


def message(position: int, role: str, text: str, **more: Any) -> dict[str, Any]:
    parts = [] if role == "user" else [{"type": "text", "text": text}]
    return {
        "id": f"m{position}",
        "turn_id": "t1",
        "role": role,
        "text": text,
        "parts": parts,
        "status": "accepted" if role == "user" else "answered",
        "position": position,
        "ticket": 1,
        "cursor": str(position),
        **more,
    }


def delta(seq: int, text: str, **more: Any) -> dict[str, Any]:
    return {"turn_id": "t1", "seq": seq, "text": text, **more}


def tool(seq: int, status: str) -> dict[str, Any]:
    call = {"call_id": "c", "name": "clock", "arguments": "{}", "status": status}
    return {"turn_id": "t1", "seq": seq, **call}


def end(status: str = "answered", **more: Any) -> dict[str, Any]:
    facts = {"usage": {"output_tokens": 5}, "model": "demo", "reason": None, "elapsed_ms": 10.0, "message_id": "m2"}
    return {"turn_id": "t1", "status": status, **facts, **more}


def reply(*messages: dict[str, Any], running: bool = False, recovered: bool = True) -> dict[str, Any]:
    turns = [{"turn_id": "t1", "status": "running"}] if running else []
    cursor = str(max((each["position"] for each in messages), default=0))
    return {"messages": list(messages), "turns": turns, "cursor": cursor, "recovered": recovered}


def asked() -> Transcript:
    """A conversation in which we have asked something, and the receipt has come."""
    transcript = Transcript()
    assert transcript.joined(reply(recovered=False)) == []
    transcript.own("m1", "t1")
    assert transcript.take("message", message(1, "user", "How many?")) == []
    return transcript


def said(events: Iterable[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TurnSaid))


def test_a_turn_as_it_should_be() -> None:
    transcript = asked()
    events = transcript.take("turn_start", {"turn_id": "t1"})
    for seq, word in enumerate(WORDS, 1):
        events += transcript.take("delta", delta(seq, word))
    events += transcript.take("message", message(2, "assistant", "".join(WORDS)))
    events += transcript.take("turn_end", end())
    assert events[0] == TurnBegan(turn_id="t1")
    assert said(events) == "The answer is forty-two."
    assert events[-1] == TurnOver(turn_id="t1", status="answered", model="demo", tokens=5, elapsed_ms=10.0)
    assert transcript.since == "2"


@given(st.integers(0, 5), st.integers(0, 5), st.booleans(), st.booleans())
def test_a_break_anywhere_neither_loses_nor_doubles(heard: int, spoken: int, recovered: bool, finished: bool) -> None:
    """Cut after `heard` pieces; when we are back, `spoken` were said, or the turn has ended."""
    spoken = max(heard, spoken)
    transcript, events = asked(), []
    for seq in range(1, heard + 1):
        events += transcript.take("delta", delta(seq, WORDS[seq - 1]))
    question, answer = message(1, "user", "How many?"), message(2, "assistant", "".join(WORDS))
    if finished:
        events += transcript.joined(reply(question, answer, recovered=recovered))
    else:
        since = transcript.since
        assert since == ({"turn_id": "t1", "seq": heard} if heard else "1")
        events += transcript.joined(reply(question, running=True, recovered=recovered))
        begin = heard if recovered else 0
        if spoken > begin:
            events += transcript.take("delta", delta(spoken, "".join(WORDS[begin:spoken])))
        for seq in range(spoken + 1, 6):
            events += transcript.take("delta", delta(seq, WORDS[seq - 1]))
        events += transcript.take("message", answer)
        events += transcript.take("turn_end", end())
    assert said(events) == "The answer is forty-two."
    assert [type(event) for event in events].count(TurnOver) == 1
    assert not [event for event in events if isinstance(event, OtherSaid)]


def test_every_event_twice_is_told_once() -> None:
    transcript, events = asked(), []
    log: list[tuple[str, dict[str, Any]]] = [
        ("delta", delta(1, "", reasoning="Hm.")),
        ("tool", tool(2, "running")),
        ("tool", tool(3, "done")),
        ("delta", delta(4, "Noon.")),
        ("message", message(2, "assistant", "Noon.")),
        ("turn_end", end()),
    ]
    for name, payload in log:
        events += transcript.take(name, payload) + transcript.take(name, payload)
    kinds = [type(event) for event in events]
    assert kinds == [TurnSaid, TurnTool, TurnTool, TurnSaid, TurnOver]


def test_a_crash_that_stored_less_than_was_told_adds_only_its_notice() -> None:
    transcript = asked()
    transcript.take("delta", delta(1, "One two three"))
    partial = message(2, "assistant", "One two", status="interrupted")
    partial["parts"] = [{"type": "text", "text": "One two"}, {"type": "notice", "code": "stopped", "text": "Stopped."}]
    events = transcript.joined(reply(message(1, "user", "How many?", status="interrupted"), partial))
    assert events == [
        TurnNotice(turn_id="t1", text="Stopped."),
        TurnOver(turn_id="t1", status="interrupted"),
    ]


def test_an_end_that_was_missed_is_read_from_the_next_join() -> None:
    transcript = asked()
    transcript.take("delta", delta(1, "Yes."))
    transcript.take("message", message(2, "assistant", "Yes."))
    assert transcript.joined(reply()) == [TurnOver(turn_id="t1", status="answered")]


def test_a_turn_that_ends_while_the_join_is_answered_is_not_given_up() -> None:
    transcript = asked()
    assert transcript.joined(reply()) == []
    events = transcript.take("message", message(2, "assistant", "Yes.")) + transcript.take("turn_end", end())
    assert [type(event) for event in events] == [TurnSaid, TurnOver]


def test_an_answer_that_is_only_in_the_record_is_told_in_its_order() -> None:
    transcript = asked()
    answer = message(2, "assistant", "Noon.")
    call = {"type": "tool", **tool(0, "done"), "result": "12:00", "elapsed_ms": 1.0}
    answer["parts"] = [{"type": "reasoning", "text": "Hm."}, call, {"type": "text", "text": "Noon."}]
    events = transcript.take("message", answer)
    assert [type(event) for event in events] == [TurnSaid, TurnTool, TurnSaid]
    assert said(events) == "Noon."


def test_the_house_and_others_are_told_apart() -> None:
    transcript = asked()
    assert transcript.take("message", message(2, "system", "No such command.", status="refused")) == [
        HouseSaid(turn_id="t1", text="No such command.", status="refused")
    ]
    assert transcript.take("message", message(3, "user", "Me too", turn_id="t2")) == [OtherSaid(text="Me too")]


def test_an_outcome_that_could_not_be_stored_still_has_its_sentence() -> None:
    transcript = asked()
    events = transcript.take("turn_end", end("refused", message_id=None, reason="The disk is full."))
    assert events[0] == TurnNotice(turn_id="t1", text="The disk is full.")


def test_the_past_is_not_told_again() -> None:
    transcript = Transcript()
    old = message(1, "user", "How many?"), message(2, "assistant", "Two.")
    assert transcript.joined(reply(*old, recovered=False)) == []
    assert transcript.joined(reply(*old, recovered=False)) == []


@given(st.text())
def test_nothing_that_is_told_can_drive_a_terminal(text: str) -> None:
    shown = printable(f"\x1b]0;x\x07{text}\x9b2J")
    assert not any((ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in shown)
    assert printable("a\tb\n") == "a\tb\n"
