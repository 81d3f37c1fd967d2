"""Histories that are kept: what fits, and never anything else than the store would give."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from antiphon.assistants import history as module
from antiphon.assistants.estimate import messages_size
from antiphon.assistants.history import Histories, History, newest
from antiphon.domain import (
    AnyPart,
    Conversation,
    Message,
    NoticePart,
    Role,
    Target,
    TextPart,
    Turn,
)
from tests.unit.assistants.conftest import TODAY, looked_up, texts

CONVERSATION = Conversation(
    id="c", title="", assistant="guide", created_at=TODAY, updated_at=TODAY, person_id="p", adapter="web", place="c"
)


def turn(ticket: int) -> Turn:
    return Turn(
        id=f"t{ticket}",
        conversation_id="c",
        message_id=f"m{ticket}",
        ticket=ticket,
        person_id="p",
        text="?",
        target=Target(adapter="web", place="c"),
        created_at=TODAY,
    )


def message(position: int, role: Role, text: str, parts: tuple[AnyPart, ...] = (), **fields: Any) -> Message:
    drawn: dict[str, Any] = {"ticket": position, "status": "answered", **fields}
    return Message(
        id=f"m{position}",
        conversation_id="c",
        position=position,
        role=role,
        text=text,
        turn_id=f"t{position}",
        created_at=TODAY,
        parts=parts,
        **drawn,
    )


def past(*messages: Message, most_bytes: float = 100_000) -> History:
    histories = Histories(60, most_bytes)
    now = turn(max((each.ticket for each in messages), default=0) + 1)
    return histories.extend(histories.of(CONVERSATION, now), now, messages)


# --- the budget ---------------------------------------------------------------------------------------------------


def test_the_newest_messages_that_fit_are_kept_in_order() -> None:
    history = past(message(1, "user", "a" * 100), message(2, "assistant", "b"), message(3, "user", "c"))
    assert texts(newest(history, 1000)) == [("user", "a" * 100), ("assistant", "b"), ("user", "c")]
    assert texts(newest(history, 60)) == [("user", "c")]
    assert newest(history, 0) == []


def test_an_answer_whose_tool_results_are_too_much_keeps_its_text() -> None:
    history = past(message(1, "user", "find it"), message(2, "assistant", "", looked_up("x" * 5000)))
    assert [chat.role for chat in newest(history, 6000)] == ["user", "assistant", "tool", "assistant"]
    assert texts(newest(history, 500)) == [("user", "find it"), ("assistant", "Looking.\n\nFound.")]


def test_an_interrupted_answer_is_given_with_its_partial_text_and_without_the_notice() -> None:
    parts = (TextPart(text="Once upon a"), NoticePart(code="cancelled", text="The answer was stopped."))
    history = past(message(1, "user", "a story"), message(2, "assistant", "Once upon a", parts))
    assert texts(newest(history, 1000))[1:] == [("assistant", "Once upon a")]


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(["user", "assistant"]),
        st.text("ab ", max_size=30),
        st.sampled_from([(), looked_up("short"), looked_up("long " * 40), (TextPart(text="plain"),)]),
    ),
    max_size=15,
)


@given(MESSAGES, st.integers(0, 1500))
def test_whatever_fits_begins_with_a_question_and_holds_no_orphan(
    drafts: list[tuple[Role, str, tuple[AnyPart, ...]]], budget: int
) -> None:
    messages = [
        message(number, role, text, parts if role == "assistant" else ())
        for number, (role, text, parts) in enumerate(drafts, 1)
    ]
    kept = newest(past(*messages), budget)
    assert kept == newest(past(*messages, most_bytes=budget), budget), "what was trimmed could not have been given"
    assert messages_size(kept) <= budget
    assert not kept or kept[0].role == "user"
    waiting: list[str] = []
    for chat in kept:
        if chat.role == "tool":
            assert chat.call_id == waiting.pop(0)
        else:
            assert not waiting
            waiting = [call.id for call in chat.calls]
    assert not waiting
    asked = [chat.text for chat in kept if chat.role == "user"]
    questions = [each.text for each in messages if each.role == "user"]
    assert asked == questions[len(questions) - len(asked) :]


# --- what is kept -------------------------------------------------------------------------------------------------


class Book:
    """A conversation as a store has it, and the histories of somebody who asks it."""

    def __init__(self, most_messages: int = 60) -> None:
        self.histories = Histories(most_messages, 100_000)
        self.messages: list[Message] = []
        self.read = 0

    def says(self, text: str, **fields: Any) -> Turn:
        self.messages.append(message(len(self.messages) + 1, "user", text, **fields))
        return turn(self.messages[-1].ticket)

    def hears(self, asked: Turn, text: str) -> None:
        at = next(number for number, each in enumerate(self.messages) if each.id == asked.message_id)
        self.messages[at] = structs.replace(self.messages[at], status="answered")
        self.messages.append(message(len(self.messages) + 1, "assistant", text, ticket=asked.ticket))

    def history(self, asked: Turn, conversation: Conversation = CONVERSATION) -> History:
        known = self.histories.of(conversation, asked)
        inside = [
            each
            for each in sorted(self.messages, key=lambda each: (each.ticket, each.position))
            if max(known.upto, conversation.context_from - 1) < each.ticket < asked.ticket
        ]
        news = (
            inside[len(inside) - self.histories.most_messages :]
            if len(inside) > self.histories.most_messages
            else inside
        )
        self.read += len(news)
        return self.histories.extend(known, asked, news)

    def fresh(self, asked: Turn, conversation: Conversation = CONVERSATION) -> History:
        kept, self.histories = self.histories, Histories(self.histories.most_messages, 100_000)
        try:
            return self.history(asked, conversation)
        finally:
            self.histories = kept


def test_the_next_turn_reads_what_is_new_only() -> None:
    book = Book()
    for number in range(20):
        asked = book.says(f"question {number}", status="accepted")
        assert book.history(asked) == book.fresh(asked)
        book.hears(asked, f"answer {number}")
    before = book.read
    last = book.says("last", status="accepted")
    assert len(newest(book.history(last), 100_000)) == 40
    assert book.read == before + 2


def test_a_question_that_waits_for_its_answer_is_read_again() -> None:
    book = Book()
    slow = book.says("slow", status="accepted")
    quick = book.says("quick", status="accepted")
    assert texts(newest(book.history(quick), 1000)) == [("user", "slow")]
    book.hears(slow, "at last")
    later = book.says("later", status="accepted")
    assert texts(newest(book.history(later), 1000)) == [("user", "slow"), ("assistant", "at last"), ("user", "quick")]


def test_an_earlier_turn_is_not_given_what_came_later() -> None:
    book = Book()
    first, second = book.says("first"), book.says("second")
    book.history(book.says("third"))
    assert newest(book.history(first), 1000) == []
    assert texts(newest(book.history(second), 1000)) == [("user", "first")]


def test_a_reset_forgets_what_was_kept() -> None:
    book = Book()
    book.says("old")
    book.history(book.says("older"))
    after = structs.replace(CONVERSATION, context_from=3)
    fresh = book.says("new")
    assert newest(book.history(fresh, after), 1000) == []
    assert texts(newest(book.history(book.says("newer"), after), 1000)) == [("user", "new")]


def test_only_the_newest_messages_are_kept() -> None:
    book = Book(most_messages=3)
    for number in range(10):
        asked = book.says(str(number))
        assert book.history(asked) == book.fresh(asked)
    assert texts(newest(book.history(asked), 1000)) == [("user", "6"), ("user", "7"), ("user", "8")]


def test_what_is_kept_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 3 * (module.HISTORY_BYTES + module.FORM_BYTES + 650))
    histories = Histories(60, 100_000)

    def known(name: str) -> bool:
        there = structs.replace(CONVERSATION, id=name)
        return histories.of(there, structs.replace(turn(9), conversation_id=name)).upto > 0

    for number in range(20):
        asked = structs.replace(turn(2), conversation_id=f"c{number}")
        history = histories.of(structs.replace(CONVERSATION, id=f"c{number}"), asked)
        histories.extend(history, asked, [message(1, "user", "x" * 600)])
    assert [known(f"c{number}") for number in range(20)] == [False] * 17 + [True] * 3
    giant = structs.replace(turn(2), conversation_id="giant")
    histories.extend(
        histories.of(structs.replace(CONVERSATION, id="giant"), giant), giant, [message(1, "user", "x" * 9000)]
    )
    assert not any(known(name) for name in ("giant", "c19"))


def test_conversations_without_a_past_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 10 * module.HISTORY_BYTES)
    histories = Histories(60, 100_000)
    for number in range(100):
        there, asked = structs.replace(CONVERSATION, id=f"c{number}"), turn(1)
        asked = structs.replace(asked, conversation_id=there.id)
        histories.extend(histories.of(there, asked), asked, [])
    assert len(histories) == 10


@given(st.lists(st.sampled_from(["ask", "answer first", "answer last", "look"]), max_size=40))
def test_what_is_kept_is_what_would_be_read(moves: list[str]) -> None:
    book, waiting = Book(most_messages=6), list[Turn]()
    for number, move in enumerate(moves):
        if move == "ask":
            waiting.append(book.says(f"q{number}", status="accepted"))
        elif move == "look" and waiting:
            assert book.history(waiting[-1]) == book.fresh(waiting[-1])
        elif waiting and move != "look":
            book.hears(waiting.pop(0 if move == "answer first" else -1), f"a{number}")
