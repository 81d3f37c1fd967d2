"""Sending, where the store or the platform fails at the worst moment."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from antiphon.conversation import outbox
from antiphon.conversation.outbox import Outbox
from antiphon.domain import Message, Target, TurnRecord, new_id
from antiphon.errors import ServiceError
from antiphon.storage.base import Store, TurnReply
from antiphon.telemetry.metrics import Metrics
from tests.unit.conversation.conftest import Post, asked


async def written(store: Store, text: str) -> tuple[Target, Message, str]:
    """A reply that has been stored and not been sent."""
    accepted = await asked(store, key=text)
    reply = TurnReply(id=new_id(), role="assistant", text=text)
    finished = await store.inbox.finish(accepted.turn, TurnRecord(outcome="answered"), reply)
    assert finished.message is not None
    assert finished.delivery_id is not None
    return accepted.turn.target, finished.message, finished.delivery_id


async def delivered(post: Post, number: int) -> list[str]:
    async with asyncio.timeout(10):
        while len(post.sent) < number:
            await asyncio.sleep(0.001)
    return post.sent


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "FIRST_PAUSE", 0.001)


@pytest.mark.parametrize("idempotent", [True, False])
async def test_what_was_sent_is_not_sent_again_because_it_could_not_be_recorded(
    store: Store, monkeypatch: pytest.MonkeyPatch, idempotent: bool
) -> None:
    post = Post(idempotent=idempotent)
    box = Outbox(store.outbox, {"pigeons": post}, metrics=Metrics())

    async def full(*args: Any, **options: Any) -> None:
        raise ServiceError("The disk is full: make room.")

    delivery = await written(store, "one")
    with monkeypatch.context() as patch:
        patch.setattr(store.outbox, "delivered", full)
        await box.reply(*delivery)
    await box.reply(*await written(store, "two"))
    assert post.sent == ["one", "two"]
    await box.stop()
    # After a restart the platform decides: what may be repeated is, what may not is marked.
    after = Outbox(store.outbox, {"pigeons": post}, metrics=Metrics())
    await after.start()
    assert await delivered(post, 3 if idempotent else 2) == ["one", "two"] + ["one"] * idempotent
    await after.stop()
    assert await store.outbox.pending() == []


async def test_an_adapter_that_crashes_loses_one_reply_and_no_more(
    store: Store, logged: list[MutableMapping[str, Any]]
) -> None:
    post = Post()
    post.trouble = [KeyError("a stranger's mistake")]
    box = Outbox(store.outbox, {"pigeons": post}, metrics=Metrics())
    await box.reply(*await written(store, "one"))
    await box.reply(*await written(store, "two"))
    assert post.sent == ["two"]
    assert await store.outbox.pending() == []
    assert "outbox.adapter_crashed" in {line["event"] for line in logged}
    await box.stop()


async def test_a_store_that_fails_before_the_send_delays_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    post = Post()
    box = Outbox(store.outbox, {"pigeons": post}, metrics=Metrics())
    sending, failures = store.outbox.sending, [ServiceError("busy"), ServiceError("busy")]

    async def busy(delivery_id: str) -> None:
        if failures:
            raise failures.pop()
        await sending(delivery_id)

    monkeypatch.setattr(store.outbox, "sending", busy)
    await box.reply(*await written(store, "one"))
    assert await delivered(post, 1) == ["one"]
    await box.stop()


async def test_where_everybody_reads_the_store_a_reply_is_only_told(
    store: Store, logged: list[MutableMapping[str, Any]]
) -> None:
    post = Post(reads_store=True)
    post.trouble = [KeyError("a stranger's mistake"), ServiceError("Closed for today.")]
    box = Outbox(store.outbox, {"pigeons": post}, metrics=Metrics())
    accepted = await asked(store, key="one")
    assert not box.keeps(accepted.turn.target)
    for _ in range(3):  # crashes, refuses, goes out
        await box.reply(accepted.turn.target, accepted.message, None)
    assert post.sent == [accepted.message.text]
    assert [line["event"] for line in logged].count("outbox.not_told") == 2
    await box.stop()


async def test_an_adapter_that_is_not_here_keeps_its_replies(store: Store) -> None:
    assert Outbox(store.outbox, {}, metrics=Metrics()).keeps(Target(adapter="pigeons", place="roof"))


async def test_a_lane_that_was_stopped_before_it_began_is_taken_up_again(store: Store) -> None:
    post = Post(idempotent=True)
    box = Outbox(store.outbox, {"pigeons": post}, metrics=Metrics())
    await written(store, "one")
    for _ in range(2):
        await box.start()
        await box.stop()  # its worker has not had its first step
    await box.start()
    assert await delivered(post, 1) == ["one"]
    await box.stop()


async def test_nothing_overtakes_what_is_being_sent(store: Store) -> None:
    post, gate = Post(), asyncio.Event()
    send = post.send_message

    async def slowly(target: Target, message: Message) -> str | None:
        await gate.wait()
        return await send(target, message)

    post.send_message = slowly  # type: ignore[method-assign]
    box = Outbox(store.outbox, {"pigeons": post}, metrics=Metrics())
    first = asyncio.create_task(box.reply(*await written(store, "one")))
    await asyncio.sleep(0)
    for text in ("two", "three"):
        await box.reply(*await written(store, text))
    gate.set()
    await first
    assert await delivered(post, 3) == ["one", "two", "three"]
    await box.stop()


async def test_a_send_that_is_given_up_holds_nobody_behind_it_and_is_not_repeated(store: Store) -> None:
    post, gate = Post(), asyncio.Event()
    send, sent = post.send_message, list[str]()

    async def slowly(target: Target, message: Message) -> str | None:
        sent.append(message.text)
        if message.text == "one":
            await gate.wait()
        return await send(target, message)

    post.send_message = slowly  # type: ignore[method-assign]
    box = Outbox(store.outbox, {"pigeons": post}, metrics=Metrics())
    first = asyncio.create_task(box.reply(*await written(store, "one")))
    while not sent:
        await asyncio.sleep(0)
    await box.reply(*await written(store, "two"))
    first.cancel()
    assert await delivered(post, 1) == ["two"]
    await box.stop()
    assert sent == ["one", "two"]
    after = Outbox(store.outbox, {"pigeons": post}, metrics=Metrics())
    await after.start()
    assert await store.outbox.pending() == [], "it is known to be uncertain"
    await after.stop()
