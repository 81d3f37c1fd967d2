"""A hundred turns at once stay apart, one conversation stays in order, and a token costs the same in a long chat."""

import asyncio
from collections.abc import Callable
from typing import Any

from antiphon.assistants.assistant import Assistant
from antiphon.realtime.wire.base import TopicMessage
from antiphon.tools.base import ToolContext, tool
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.serving import Visitor, Visitors

TURNS = 100


async def test_a_hundred_turns_of_one_assistant_never_mix(house: Serving, visitors: Visitors) -> None:
    """Every turn calls a tool that waits until all hundred are inside it, so that they really run at once."""
    inside: dict[str, str] = {}
    everybody = asyncio.Event()

    @tool
    async def meet(token: str, context: ToolContext) -> str:
        """Waits for the others."""
        inside[token] = context.turn_id
        if len(inside) == TURNS:
            everybody.set()
        await everybody.wait()
        return f"met as {token}"

    shared = Assistant("shared", instructions="Be one.", tools=[meet])
    async with house(added=(shared,)) as workspace:
        clients = [await visitors.enter(workspace.url, client_id=f"c{number}") for number in range(TURNS)]

        async def talk(number: int, visitor: Visitor) -> None:
            receipt = await visitor.say(f'!tool meet {{"token": "t{number}"}}')
            answer = await visitor.answer(receipt["turn_id"])
            assert inside[f"t{number}"] == receipt["turn_id"]
            (part,) = [part for part in answer["parts"] if part["type"] == "tool"]
            assert (part["result"], part["status"]) == (f"met as t{number}", "done")
            echo = await visitor.ask(f"!echo only-{number}")
            assert echo["text"] == f"only-{number}"
            assert {payload["conversation_id"] for payload in visitor.named("message")} == {visitor.conversation_id}
            assert {payload["turn_id"] for _, payload in visitor.events} == {receipt["turn_id"], echo["turn_id"]}
            assert visitor.said[echo["turn_id"]] == f"only-{number}"

        await asyncio.gather(*(talk(number, visitor) for number, visitor in enumerate(clients)))


async def test_a_burst_in_one_conversation_is_answered_in_order(here: Workspace, visitors: Visitors) -> None:
    one = await visitors.enter(here.url)
    two = await visitors.enter(here.url, one.conversation_id)
    receipts = await asyncio.gather(
        *((one if number % 2 else two).say(f"!slow {number % 3} !echo {number}") for number in range(40))
    )
    for receipt in receipts:
        await one.answer(receipt["turn_id"])
        await two.answer(receipt["turn_id"])
    asked = [payload for payload in one.named("message") if payload["role"] == "user"]
    said = [payload for payload in one.named("message") if payload["role"] == "assistant"]
    assert len(asked) == len(said) == 40
    assert [payload["ticket"] for payload in asked] == [payload["position"] for payload in asked]
    # Answers come in the order of the questions, also where the pieces of two of them could have crossed.
    assert [payload["turn_id"] for payload in said] == [payload["turn_id"] for payload in asked]
    order: list[str] = []
    for name, payload in one.events:
        if name == "delta" and payload["turn_id"] not in order[-1:]:
            order.append(payload["turn_id"])
    assert order == [payload["turn_id"] for payload in asked]
    questions = {receipt["turn_id"]: number for number, receipt in enumerate(receipts)}
    assert all(payload["text"] == str(questions[payload["turn_id"]]) for payload in said)
    assert [message["id"] for message in one.shown()] == [message["id"] for message in two.shown()]


async def test_the_cost_of_a_token_does_not_grow_with_the_chat(here: Workspace, visitors: Visitors) -> None:
    """What is broadcast and stored for the same answer, at the beginning of a chat and far into it."""
    visitor = await visitors.enter(here.url)
    work = Work(here)
    tokens = 1000
    first = await work.of(visitor, f"!long {tokens}")
    for _ in range(20):
        await visitor.ask(f"!long {tokens}")
    last = await work.of(visitor, f"!long {tokens}")
    assert first.deltas == last.deltas == tokens
    # Times and numbers get longer by a digit; the text of the chat is not in any of it.
    assert last.largest_delta <= first.largest_delta + 4
    assert last.broadcast_bytes <= first.broadcast_bytes * 1.05
    assert last.stored_bytes <= max(first.stored_bytes, 8_000) * 1.5


class Work:
    """Counts what one answer makes the house do."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.deltas = self.largest_delta = self.broadcast_bytes = self.stored_bytes = 0

    async def of(self, visitor: Visitor, text: str) -> "Work":
        """What the answer to `text` costs between its question and its end."""
        found = Work(self.workspace)
        inbox, phoenix = self.workspace.store.inbox, self.workspace.phoenix
        publish: Callable[..., Any] = phoenix.topics.publish
        append: Callable[..., Any] = inbox.append

        def counted(message: TopicMessage, *more: Any) -> int:
            if message.event == "delta":
                found.deltas += 1
                found.largest_delta = max(found.largest_delta, len(message.raw))
                found.broadcast_bytes += len(message.raw)
            return int(publish(message, *more))

        async def stored(turn_id: str, chunks: Any) -> None:
            found.stored_bytes += sum(len(chunk.text) for chunk in chunks)
            await append(turn_id, chunks)

        phoenix.topics.publish = counted  # type: ignore[method-assign,assignment]
        inbox.append = stored  # type: ignore[method-assign]
        try:
            await visitor.ask(text)
        finally:
            phoenix.topics.publish = publish  # type: ignore[method-assign]
            inbox.append = append  # type: ignore[method-assign]
        return found


async def test_an_answer_is_stored_behind_in_pieces_that_are_each_stored_once(
    here: Workspace, visitors: Visitors
) -> None:
    visitor = await visitors.enter(here.url)
    work = await Work(here).of(visitor, "!slow 1 !long 1000")
    (answer,) = [message for message in visitor.shown() if message["role"] == "assistant"]
    assert work.deltas == 1000
    assert 0 < work.stored_bytes <= len(answer["text"])
