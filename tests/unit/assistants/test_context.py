"""Prompts from stored conversations: order, budget, and never half of a tool call."""

from pathlib import Path
from typing import Any

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.config import AssistantSettings
from antiphon.assistants.context import ContextBuilder
from antiphon.assistants.estimate import messages_size
from antiphon.assistants.history import summed_up
from antiphon.assistants.prompts import Prompt, PromptManager
from antiphon.domain import (
    ChannelMessage,
    TurnRecord,
    new_id,
)
from antiphon.providers.base import ChatMessage
from antiphon.storage.base import Accepted, Store, TurnReply
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store
from antiphon.storage.summaries import Summary
from tests.unit.assistants.conftest import TODAY, looked_up, texts

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

    async def prompt(
        self, accepted: Accepted, assistant: Assistant, facts: str = "", summary: Summary | None = None, **settings: Any
    ) -> tuple[ChatMessage, ...]:
        person = await self.store.people.get(accepted.turn.person_id)
        assert person is not None
        builder = ContextBuilder(PromptManager(), AssistantSettings(**settings), today=lambda: TODAY)
        record = TurnRecord(outcome="interrupted")
        histories = builder.histories
        news = await self.store.inbox.begin(accepted.turn, record, context=histories.most_messages) or []
        known = summed_up(summary) if summary else histories.of(accepted.conversation, accepted.turn)
        history = histories.extend(known, accepted.turn, news)
        return builder.build(accepted.turn, assistant, accepted.conversation, person, history, "demo", facts)


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
    assert prompt[-1] == ChatMessage(role="user", text="Thanks!", keep=True)
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


async def test_what_changes_stands_behind_what_stays(house: House) -> None:
    first = await house.says("What is in the cellar?")
    began = await house.prompt(first, GUIDE, "The cellar is dry.")
    await house.hears(first, "Nothing.", parts=looked_up("nothing"))
    went_on = await house.prompt(await house.says("And in the attic?"), GUIDE, "The attic is wet.")
    assert went_on[0] == began[0]
    assert [(chat.text, chat.notes) for chat in went_on if chat.role == "user"] == [
        ("What is in the cellar?", ""),
        ("And in the attic?", "The attic is wet."),
    ]
    assert [chat.keep for chat in began] == [True, True]
    assert [chat.keep for chat in went_on] == [True, False, False, False, True, True]


async def test_a_summary_is_what_the_house_says_in_front_of_the_oldest_words(house: House) -> None:
    """Never among the instructions: whoever was summed up has a say in it."""
    first = await house.says("one")
    summary = Summary(context_from=0, upto=first.turn.ticket - 1, text="Obey!", model="demo", created_at=TODAY)
    alone = await house.prompt(first, GUIDE, "Likes tea.", summary)
    assert [chat.role for chat in alone] == ["system", "user"]
    assert alone[0].text == "Be kind."
    assert alone[1].text == "one"
    assert alone[1].notes.endswith("<summary>\nObey!\n</summary>\n\nLikes tea.")
    await house.hears(first, "two")
    second = await house.says("three")
    later = await house.prompt(second, GUIDE, "Likes tea.", summary)
    assert [(chat.role, chat.text) for chat in later[1:]] == [("user", "one"), ("assistant", "two"), ("user", "three")]
    assert later[1].notes == alone[1].notes.removesuffix("\n\nLikes tea.")
    assert later[-1].notes == "Likes tea."
    await house.hears(second, "four")
    assert (await house.prompt(await house.says("five"), GUIDE, "", summary))[:2] == later[:2]


async def test_a_small_window_counts_and_leaves_room_for_tools_and_answer(house: House) -> None:
    for number in range(20):
        await house.hears(await house.says(f"question {number} {'word ' * 50}"), "answer " * 50)
    last = await house.says("last")
    whole = await house.prompt(last, GUIDE)
    assert len(whole) == 42
    small = await house.prompt(last, GUIDE, model_context_tokens={"demo": 2_000})
    assert messages_size(small) <= 4 * (0.95 * 2_000 - 500)
    assert small[1:-1] == whole[-len(small) + 1 : -1]
    talkative = await house.prompt(last, Assistant("guide", max_tokens=100), model_context_tokens={"demo": 2_000})
    assert len(talkative) > len(small)
    tooled = Assistant("guide", instructions="Be kind.", tools=[look])
    assert len(await house.prompt(last, tooled, model_context_tokens={"demo": 2_000})) < len(small)
    assert len(await house.prompt(last, tooled)) == 42


async def test_the_language_that_a_person_wants_is_told_with_the_instructions(house: House) -> None:
    asked = await house.says("Hello")
    await house.store.people.prefer_language(asked.turn.person_id, "pt-BR")
    told = "The person wants to be answered in Portuguese (pt-BR), whatever the language of the question is."
    assert (await house.prompt(asked, GUIDE))[0].text == f"Be kind.\n\n{told}"
    assert "Answer in Portuguese (pt-BR). Begin" in (await house.prompt(asked, Assistant("guide")))[0].text
    await house.store.people.prefer_language(asked.turn.person_id, None)
    assert "Answer in the language of the question. Begin" in (await house.prompt(asked, Assistant("guide")))[0].text


async def look(where: str) -> str:
    """Looks somewhere."""
    return where


look.__doc__ = "Looks somewhere. " * 100
