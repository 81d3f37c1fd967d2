"""Prompts from stored conversations: order, budget, and never half of a tool call."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.config import AssistantSettings
from antiphon.assistants.context import ContextBuilder, newest
from antiphon.assistants.estimate import messages_size
from antiphon.assistants.prompts import Prompt, PromptManager
from antiphon.domain import (
    AnyPart,
    ChannelMessage,
    Message,
    NoticePart,
    Role,
    TextPart,
    ToolPart,
    TurnRecord,
    new_id,
)
from antiphon.providers.base import ChatMessage
from antiphon.storage.base import Accepted, Store, TurnReply
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store

TODAY = datetime(2026, 11, 21, 12, tzinfo=UTC)


def message(position: int, role: Role, text: str, parts: tuple[AnyPart, ...] = (), **fields: Any) -> Message:
    return Message(
        id=f"m{position}",
        conversation_id="c",
        position=position,
        ticket=position,
        role=role,
        text=text,
        turn_id=f"t{position}",
        status="answered",
        created_at=TODAY,
        parts=parts,
        **fields,
    )


def looked_up(result: str) -> tuple[AnyPart, ...]:
    call = ToolPart(call_id="1", name="look", arguments="{}", status="done", result=result)
    return (TextPart(text="Looking."), call, TextPart(text="Found."))


def texts(messages: Sequence[ChatMessage]) -> list[tuple[str, str]]:
    return [(chat.role, chat.text) for chat in messages]


# --- the budget ---------------------------------------------------------------------------------------------------


def test_the_newest_messages_that_fit_are_kept_in_order() -> None:
    history = [message(1, "user", "a" * 100), message(2, "assistant", "b"), message(3, "user", "c")]
    assert texts(newest(history, 1000)) == [("user", "a" * 100), ("assistant", "b"), ("user", "c")]
    assert texts(newest(history, 60)) == [("user", "c")]
    assert newest(history, 0) == []


def test_an_answer_whose_tool_results_are_too_much_keeps_its_text() -> None:
    history = [message(1, "user", "find it"), message(2, "assistant", "", looked_up("x" * 5000))]
    assert [chat.role for chat in newest(history, 6000)] == ["user", "assistant", "tool", "assistant"]
    assert texts(newest(history, 500)) == [("user", "find it"), ("assistant", "Looking.\n\nFound.")]


def test_an_interrupted_answer_is_given_with_its_partial_text_and_without_the_notice() -> None:
    parts = (TextPart(text="Once upon a"), NoticePart(code="cancelled", text="The answer was stopped."))
    history = [message(1, "user", "a story"), message(2, "assistant", "Once upon a", parts)]
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
    history = [
        message(number, role, text, parts if role == "assistant" else ())
        for number, (role, text, parts) in enumerate(drafts, 1)
    ]
    kept = newest(history, budget)
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
    questions = [each.text for each in history if each.role == "user"]
    assert asked == questions[len(questions) - len(asked) :]


# --- on a real store ----------------------------------------------------------------------------------------------


class House:
    """A store with one person and one conversation."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.count = 0

    async def says(self, text: str) -> Accepted:
        self.count += 1
        inbound = ChannelMessage(adapter="telegram", place="p", account="ada", key=str(self.count), text=text)
        return await self.store.inbox.accept(inbound, assistant="guide")

    async def hears(self, accepted: Accepted, text: str, role: Any = "assistant", **fields: Any) -> None:
        reply = TurnReply(id=new_id(), role=role, text=text, **fields)
        await self.store.inbox.finish(accepted.turn, TurnRecord(outcome="answered"), reply)

    async def prompt(self, accepted: Accepted, assistant: Assistant, **settings: Any) -> tuple[ChatMessage, ...]:
        person = await self.store.people.get(accepted.turn.person_id)
        assert person is not None
        builder = ContextBuilder(PromptManager(), AssistantSettings(**settings), today=lambda: TODAY)
        record = TurnRecord(outcome="interrupted")
        history = await self.store.inbox.begin(accepted.turn, record, context=builder.most_messages)
        return builder.build(accepted.turn, assistant, accepted.conversation, person, history)


@pytest.fixture
async def house(tmp_path: Path) -> Any:
    store = open_store(DatabaseSettings(url=f"sqlite:///{tmp_path}/house.db"))
    await store.start()
    yield House(store)
    await store.stop()


GUIDE = Assistant("guide", instructions="Be kind.")


async def test_a_prompt_is_instructions_history_and_the_question(house: House) -> None:
    first = await house.says("Find it.")
    await house.hears(first, "Found.", parts=looked_up("here"))
    command = await house.says("/status")
    await house.hears(command, "All is well.", role="system", in_context=False)
    prompt = await house.prompt(await house.says("Thanks!"), GUIDE)
    assert texts(prompt)[:5] == [
        ("system", "Be kind."),
        ("user", "Find it."),
        ("assistant", "Looking."),
        ("tool", "here"),
        ("assistant", "Found."),
    ]
    assert prompt[-1] == ChatMessage(role="user", text="Thanks!")
    assert "All is well." not in {chat.text for chat in prompt}


async def test_the_question_is_there_whatever_it_weighs(house: House) -> None:
    await house.says("earlier")
    long = "word " * 10_000
    assert texts(await house.prompt(await house.says(long), GUIDE, context_tokens=500)) == [
        ("system", "Be kind."),
        ("user", long),
    ]


async def test_a_later_message_is_not_seen_by_an_earlier_turn(house: House) -> None:
    first = await house.says("first")
    await house.says("second")
    assert texts(await house.prompt(first, GUIDE)) == [("system", "Be kind."), ("user", "first")]


async def test_the_history_limit_counts_messages(house: House) -> None:
    for number in range(5):
        await house.hears(await house.says(f"question {number}"), f"answer {number}")
    prompt = await house.prompt(await house.says("last"), GUIDE, history_messages=2)
    assert texts(prompt) == [
        ("system", "Be kind."),
        ("user", "question 4"),
        ("assistant", "answer 4"),
        ("user", "last"),
    ]


async def test_a_prompt_template_is_filled_in(house: House) -> None:
    accepted = await house.says("Hello there")
    prompt = await house.prompt(accepted, Assistant("guide", instructions=Prompt("helpful")))
    assert "You are guide" in prompt[0].text
    assert "Saturday, 21 November 2026" in prompt[0].text
