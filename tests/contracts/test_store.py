"""What every `Store` must do, through its contract alone and on a real database.

A further database is one more entry of `DATABASES`, and a way to have an empty one in `place`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from antiphon.domain import (
    AnyPart,
    Approval,
    Assignment,
    Attachment,
    ChannelMessage,
    Conversation,
    Feedback,
    NoticePart,
    Outcome,
    Pause,
    Person,
    ReasoningPart,
    TextPart,
    ToolPart,
    TurnRecord,
    Usage,
    new_id,
    now,
)
from antiphon.errors import ProcessingError, ResourceError, ServiceError, ValidationError
from antiphon.storage.base import Accepted, Chunk, Store, TurnReply
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.files import KeptFile
from antiphon.storage.open import open_store
from antiphon.storage.spending import Amount, Payer, Spent
from antiphon.storage.sql.approvals import SqlApprovals
from antiphon.storage.sql.unit import Unit
from antiphon.storage.summaries import Summary
from tests.postgres import Databases

Place = Callable[[], DatabaseSettings]

DATABASES = ("sqlite", "sqlite-memory", "postgres")
KEEPING = ("sqlite", "postgres")
"""Those whose content is there again after a restart."""

ANSWERED = TurnRecord(outcome="answered", assistant="guide", model="demo:demo", chosen_by="system")


@pytest.fixture(params=DATABASES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Settings of a database; each call has one of its own, with nothing in it."""
    if request.param != "postgres":
        folder, numbers = tmp_path_factory.mktemp("store"), count()
        memory = request.param == "sqlite-memory"
        yield lambda: DatabaseSettings(url=f"sqlite:///{':memory:' if memory else f'{folder}/{next(numbers)}.db'}")
        return
    databases: Databases = request.getfixturevalue("databases")
    made: list[str] = []

    def ready() -> DatabaseSettings:
        made.append(databases.ready())
        return DatabaseSettings(url=made[-1])

    yield ready
    for url in made:
        databases.drop(url)


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    made = open_store(place())
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def me(store: Store) -> Person:
    return await store.people.by_account("web", "local", name="Me")


def inbound(text: str = "Hello", *, place: str = "room", key: str = "", adapter: str = "telegram") -> ChannelMessage:
    return ChannelMessage(adapter=adapter, place=place, account="ann", key=key or new_id(), text=text, sender="Ann")


def conversation(person: Person, *, title: str = "", place: str = "") -> Conversation:
    at = now()
    return Conversation(
        id=new_id(), title=title, assistant="guide", created_at=at, updated_at=at, person_id=person.id, place=place
    )


async def ask(store: Store, text: str = "Hello", **kind: str) -> Accepted:
    return await store.inbox.accept(inbound(text, **kind), assistant="guide")


def reply(text: str = "An answer.", **more: object) -> TurnReply:
    return TurnReply(id=new_id(), role="assistant", text=text, parts=(TextPart(text=text),), **more)  # type: ignore[arg-type]


async def answer(store: Store, asked: Accepted, text: str = "An answer.") -> None:
    await store.inbox.finish(asked.turn, ANSWERED, reply(text))


# --- life ---------------------------------------------------------------------------------------------------------


async def test_a_store_that_does_not_run_refuses_everything(place: Place) -> None:
    made = open_store(place())

    async def refuses() -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: made.people.by_account("web", "local"),
            lambda: made.conversations.list("local"),
            lambda: made.inbox.accept(inbound(), assistant="guide"),
            made.outbox.pending,
            lambda: made.facts.add("local", "x"),
            made.check,
        ]
        for call in calls:
            with pytest.raises(ServiceError, match="start the store"):
                await call()

    await refuses()
    await made.start()
    assert await made.check()
    await made.stop()
    await made.stop()
    await refuses()


@pytest.mark.parametrize("place", KEEPING, indirect=True)
async def test_everything_is_there_after_a_restart(place: Place) -> None:
    settings = place()
    first = open_store(settings)
    await first.start()
    asked = await ask(first, "What is kept?")
    await first.inbox.begin(asked.turn, TurnRecord(outcome="interrupted"), context=0)
    await first.inbox.append(asked.turn.id, [Chunk(seq=1, kind="text", text="This")])
    fact = (await first.facts.add(asked.turn.person_id, "I like tea")).fact
    await first.stop()

    second = open_store(settings)
    await second.start()
    [open_turn] = await second.inbox.unfinished()
    assert (open_turn.turn, open_turn.state) == (asked.turn, "running")
    assert open_turn.parts == (TextPart(text="This"),)
    assert await second.conversations.messages(asked.conversation.id) == [asked.message]
    assert await second.facts.list(asked.turn.person_id) == [fact]
    await second.stop()


async def test_what_was_asked_for_before_stop_is_carried_out(store: Store) -> None:
    accepts = [asyncio.ensure_future(ask(store)) for _ in range(50)]
    await asyncio.sleep(0)
    await store.stop()
    done = await asyncio.gather(*accepts)
    assert sorted(one.turn.ticket for one in done) == list(range(1, 51))


async def test_a_caller_that_is_cancelled_does_not_undo_its_work(store: Store, me: Person) -> None:
    made = conversation(me)
    task = asyncio.ensure_future(store.conversations.create(made))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.conversations.update(made.id, title="still here") is not None


# --- conversations ------------------------------------------------------------------------------------------------


async def test_create_makes_one_conversation_for_each_place(store: Store, me: Person) -> None:
    first, second = conversation(me, title="Tea", place="client-1"), conversation(me, title="Coffee", place="client-1")
    assert await store.conversations.create(first) == (first, True)
    assert await store.conversations.create(second) == (first, False)
    assert await store.conversations.get(second.id) is None
    placeless, new = await store.conversations.create(conversation(me))
    assert new
    assert placeless.place == placeless.id


async def test_create_for_nobody_is_refused(store: Store) -> None:
    nobody = Person(id="nobody", name="", created_at=now())
    with pytest.raises(ValidationError):
        await store.conversations.create(conversation(nobody))
    assert await store.conversations.list("nobody") == []


async def test_the_list_is_the_persons_own_latest_first_and_pages(store: Store, me: Person) -> None:
    other = await store.people.by_account("telegram", "other")
    await store.conversations.create(conversation(other))
    made = [(await store.conversations.create(conversation(me)))[0] for _ in range(5)]
    await store.inbox.accept(inbound(adapter="web", place=made[1].id), assistant="guide")
    listed = await store.conversations.list(me.id)
    assert [one.id for one in listed] == [made[i].id for i in (1, 4, 3, 2, 0)]
    page = await store.conversations.list(me.id, limit=2)
    rest = await store.conversations.list(me.id, before=page[-1].updated_at)
    assert [*page, *rest] == listed


async def test_update_changes_only_what_is_given(store: Store, me: Person) -> None:
    made, _ = await store.conversations.create(conversation(me, title="Tea"))
    assert await store.conversations.update("unknown", title="x") is None
    named = await store.conversations.update(made.id, model="openai:gpt")
    assert named is not None
    assert (named.title, named.model, named.updated_at) == ("Tea", "openai:gpt", made.updated_at)
    renamed = await store.conversations.update(made.id, title="Green tea")
    assert renamed is not None
    assert (renamed.title, renamed.model) == ("Green tea", "openai:gpt")
    cleared = await store.conversations.update(made.id, model="")
    assert cleared is not None
    assert cleared.model is None
    assert await store.conversations.get(made.id) == cleared


async def test_delete_takes_everything_with_it(store: Store) -> None:
    asked = await ask(store, "Where is the lighthouse?")
    await store.inbox.append(asked.turn.id, [Chunk(seq=1, kind="text", text="x")])
    kept = await ask(store, "Another lighthouse", place="elsewhere")
    assert await store.conversations.delete(asked.conversation.id)
    assert not await store.conversations.delete(asked.conversation.id)
    assert await store.conversations.get(asked.conversation.id) is None
    assert await store.conversations.messages(asked.conversation.id) == []
    assert [one.turn.id for one in await store.inbox.unfinished()] == [kept.turn.id]
    [hit] = await store.conversations.search(kept.turn.person_id, "lighthouse")
    assert hit.message_id == kept.message.id


async def test_a_turn_finds_its_conversation_and_person_as_they_are_now(store: Store) -> None:
    turn = (await ask(store)).turn
    await store.conversations.update(turn.conversation_id, title="Renamed")
    await store.people.prefer_model(turn.person_id, "demo:demo")
    found = await store.inbox.parties(turn)
    assert found is not None
    conversation, person = found
    assert (conversation.id, conversation.title) == (turn.conversation_id, "Renamed")
    assert (person.id, person.preferred_model) == (turn.person_id, "demo:demo")
    await store.conversations.delete(turn.conversation_id)
    assert await store.inbox.parties(turn) is None


async def test_a_turn_whose_conversation_was_deleted_ends_without_harm(store: Store) -> None:
    asked = await ask(store)
    await store.inbox.begin(asked.turn, TurnRecord(outcome="interrupted"), context=0)
    await store.conversations.delete(asked.conversation.id)
    await store.inbox.begin(asked.turn, TurnRecord(outcome="interrupted"), context=0)
    await store.inbox.append(asked.turn.id, [Chunk(seq=1, kind="text", text="x")])
    finished = await store.inbox.finish(asked.turn, ANSWERED, reply())
    assert (finished.message, finished.conversation, finished.delivery_id) == (None, None, None)
    assert await store.outbox.pending() == []
    assert await store.inbox.unfinished() == []


# --- accept -------------------------------------------------------------------------------------------------------


async def test_accept_makes_person_conversation_message_and_turn(store: Store) -> None:
    message = ChannelMessage(
        adapter="telegram",
        place="chat-7",
        account="ann",
        key="1",
        text="Hello there",
        sender="Ann",
        thread="t",
        reply_to="r",
        attachments=(Attachment(name="a.png", media_type="image/png", size=3),),
    )
    accepted = await store.inbox.accept(message, assistant="guide")
    assert (accepted.created, accepted.duplicate) == (True, False)
    turn, stored, place = accepted.turn, accepted.message, accepted.conversation
    assert (turn.ticket, turn.text, turn.target, turn.attachments) == (
        1,
        "Hello there",
        message.target,
        message.attachments,
    )
    assert (stored.id, stored.turn_id, stored.position, stored.ticket) == (turn.message_id, turn.id, 1, 1)
    assert (stored.role, stored.status, stored.person) == ("user", "accepted", turn.person_id)
    assert (place.adapter, place.place, place.title, place.assistant) == ("telegram", "chat-7", "Hello there", "guide")
    person = await store.people.get(turn.person_id)
    assert person is not None
    assert (person.name, person.operator) == ("Ann", False)
    assert [one.turn for one in await store.inbox.unfinished()] == [turn]


async def test_the_same_key_again_changes_nothing(store: Store) -> None:
    first = await ask(store, "Once", key="k")
    await answer(store, first)
    again = await ask(store, "Once, said otherwise", key="k")
    assert (again.duplicate, again.created, again.turn) == (True, False, first.turn)
    assert again.message.status == "answered"
    assert len(await store.conversations.messages(first.conversation.id)) == 2
    elsewhere = await ask(store, "Once", key="k", place="other room")
    assert not elsewhere.duplicate


async def test_the_same_key_from_many_at_once_is_one_message(store: Store) -> None:
    accepted = await asyncio.gather(*(ask(store, key="k") for _ in range(30)))
    assert sum(not one.duplicate for one in accepted) == 1
    assert len({one.turn.id for one in accepted}) == 1


async def test_web_messages_need_their_conversation(store: Store, me: Person) -> None:
    made, _ = await store.conversations.create(conversation(me, place="made by this client"))
    accepted = await ask(store, adapter="web", place=made.id)
    assert accepted.conversation.id == made.id
    assert not accepted.created
    with pytest.raises(ValidationError, match="does not exist"):
        await ask(store, adapter="web", place=new_id())
    assert await store.people.by_account("web", "nobody new") != me


async def test_the_first_text_gives_the_title(store: Store, me: Person) -> None:
    long = "Please   tell me\nhow the tides of the North Sea are computed from the moon and the sun"
    made, _ = await store.conversations.create(conversation(me))
    accepted = await ask(store, long, adapter="web", place=made.id)
    assert accepted.conversation.title == "Please tell me how the tides of the North Sea are computed…"
    assert (await ask(store, "More", adapter="web", place=made.id)).conversation.title == accepted.conversation.title
    given, _ = await store.conversations.create(conversation(me, title="Tides"))
    assert (await ask(store, long, adapter="web", place=given.id)).conversation.title == "Tides"


async def test_a_thousand_accepts_at_once_leave_no_gap(store: Store) -> None:
    places = [f"room {number}" for number in range(20)]
    accepted = await asyncio.gather(*(ask(store, str(n), place=places[n % 20]) for n in range(1_000)))
    for place in places:
        mine = [one for one in accepted if one.turn.target.place == place]
        assert sorted(one.message.position for one in mine) == list(range(1, 51))
        assert all(one.message.ticket == one.message.position == one.turn.ticket for one in mine)
        assert len({one.conversation.id for one in mine}) == 1
        assert sum(one.created for one in mine) == 1
    assert len({one.turn.person_id for one in accepted}) == 1
    assert [one.turn.ticket for one in await store.inbox.unfinished() if one.turn.target.place == places[0]] == list(
        range(1, 51)
    )


@pytest.mark.parametrize("text", ["", "\0", "\ud83d half", "a\0b", "e\u0301" * 500, "x" * 1_000_000, "'; DROP TABLE x"])
async def test_any_text_can_be_kept(store: Store, text: str) -> None:
    accepted = await ask(store, text)
    record = TurnRecord(outcome="answered", model="demo", reason=text)
    finished = await store.inbox.finish(accepted.turn, record, reply(text))
    assert finished.message is not None
    question, kept = await store.conversations.messages(accepted.conversation.id)
    assert question.text == kept.text == accepted.turn.text
    assert len(question.text) == len(text)
    assert kept.parts == (TextPart(text=kept.text),) == (TextPart(text=finished.message.text),)
    assert structs.replace(kept, record=None) == finished.message
    latest = await store.inbox.latest(accepted.conversation.id)
    assert latest is not None
    assert latest.reason == kept.text


async def test_other_words_take_the_place_of_a_message_and_of_the_title_made_of_it(store: Store) -> None:
    accepted = await ask(store, "DAMN rain")
    why = NoticePart(code="softly", text="Softened.")
    reworded = await store.inbox.reword(accepted.turn, "dear me \0 rain", [why])
    assert reworded.message == structs.replace(accepted.message, text="dear me \ufffd rain", parts=(why,))
    assert reworded.retitled is not None
    assert reworded.retitled.title == "dear me \ufffd rain"
    assert (await store.conversations.messages(accepted.conversation.id))[0] == reworded.message
    (left,) = await store.inbox.unfinished()
    assert left.turn.text == reworded.message.text  # also for whoever takes the turn up behind a crash
    person = accepted.turn.person_id
    assert [hit.message_id for hit in await store.conversations.search(person, "dear")] == [accepted.message.id]
    assert await store.conversations.search(person, "damn") == []
    again = await store.inbox.reword(accepted.turn, "something else", [why])
    assert (again.message, again.retitled) == (reworded.message, None)
    later = await ask(store, "Is it over?")
    assert (await store.inbox.reword(later.turn, "And now?", [])).retitled is None
    await store.conversations.update(accepted.conversation.id, title="Weather")
    assert (await store.inbox.reword(accepted.turn, "The rain", [])).retitled is None
    await store.conversations.delete(accepted.conversation.id)
    with pytest.raises(ValidationError):
        await store.inbox.reword(accepted.turn, "too late", [])


async def test_an_impossible_key_is_refused_and_harms_nobody_else(store: Store) -> None:
    outcomes = await asyncio.gather(
        ask(store, "a", key="1"), ask(store, "b", key="\ud83d"), ask(store, "c", key="3"), return_exceptions=True
    )
    assert isinstance(outcomes[1], ValidationError)
    positions = [one.message.position for one in outcomes if isinstance(one, Accepted)]
    assert positions == [1, 2]


# --- the answer ---------------------------------------------------------------------------------------------------


async def test_finish_stores_the_reply_with_its_delivery(store: Store) -> None:
    asked = await ask(store, "How?")
    record = TurnRecord(
        outcome="answered",
        assistant="guide",
        model="demo:demo",
        chosen_by="person",
        considered=(("conversation", ""), ("person", "demo:demo")),
        usage=Usage(input_tokens=3, output_tokens=5, cost=0.25),
        elapsed_ms=12.5,
    )
    parts = (
        ReasoningPart(text="Hm.", opaque={"signature": "s"}),
        ToolPart(call_id="c", name="clock", arguments="{}", status="done", result="12:00", elapsed_ms=1.5),
        TextPart(text="So."),
        NoticePart(code="n", text="A notice."),
    )
    finished = await store.inbox.finish(
        asked.turn, record, TurnReply(id=new_id(), role="assistant", text="So.", parts=parts)
    )
    assert finished.message is not None
    assert finished.conversation is not None
    message = finished.message
    assert (message.position, message.ticket, message.parts, message.status) == (2, 1, parts, "answered")
    assert finished.conversation.updated_at == message.created_at > asked.conversation.updated_at
    question, kept = await store.conversations.messages(asked.conversation.id)
    assert (question.status, structs.replace(kept, record=None)) == ("answered", message)
    assert (kept.record, question.record) == (record, None)
    assert await store.inbox.latest(asked.conversation.id) == record
    assert await store.inbox.unfinished() == []
    [delivery] = await store.outbox.pending()
    assert (delivery.id, delivery.message, delivery.target) == (finished.delivery_id, message, asked.turn.target)
    assert (delivery.state, delivery.attempts) == ("pending", 0)


async def test_an_ended_turn_stays_as_it_ended(store: Store) -> None:
    asked = await ask(store)
    first = await store.inbox.finish(asked.turn, ANSWERED, reply("first"))
    again = await store.inbox.finish(asked.turn, TurnRecord(outcome="interrupted"), reply("second"))
    assert (again.message, again.delivery_id) == (first.message, first.delivery_id)
    await store.inbox.begin(asked.turn, TurnRecord(outcome="interrupted"), context=0)
    await store.inbox.append(asked.turn.id, [Chunk(seq=9, kind="text", text="late")])
    assert await store.inbox.unfinished() == []
    assert [one.text for one in await store.conversations.messages(asked.conversation.id)] == ["Hello", "first"]
    assert len(await store.outbox.pending()) == 1


async def test_a_reply_that_nobody_has_to_deliver_is_not_in_the_outbox(store: Store) -> None:
    asked = await ask(store)
    first = await store.inbox.finish(asked.turn, ANSWERED, reply("here"), deliver=False)
    assert first.delivery_id is None
    assert await store.outbox.pending() == []
    again = await store.inbox.finish(asked.turn, TurnRecord(outcome="interrupted"), reply("second"), deliver=False)
    assert again == first
    assert [one.text for one in await store.conversations.messages(asked.conversation.id)] == ["Hello", "here"]


@pytest.mark.parametrize("outcome", ["merged", "refused", "interrupted"])
async def test_a_turn_may_end_without_a_reply(store: Store, outcome: Outcome) -> None:
    asked = await ask(store)
    record = TurnRecord(outcome=outcome, reason="because")
    finished = await store.inbox.finish(asked.turn, record, None)
    assert (finished.message, finished.delivery_id) == (None, None)
    assert await store.inbox.finish(asked.turn, ANSWERED, reply()) == finished
    [question] = await store.conversations.messages(asked.conversation.id)
    assert question.status == outcome
    assert await store.outbox.pending() == []
    assert await store.inbox.latest(asked.conversation.id) is None  # no model answered


async def test_latest_is_the_last_turn_that_a_model_answered(store: Store) -> None:
    first, second, third = [await ask(store, text) for text in ("a", "b", "c")]
    assert await store.inbox.latest(first.conversation.id) is None
    await store.inbox.finish(second.turn, TurnRecord(outcome="interrupted", model="two"), reply())
    await store.inbox.finish(first.turn, TurnRecord(outcome="answered", model="one"), reply())
    await store.inbox.finish(third.turn, TurnRecord(outcome="answered"), reply())
    latest = await store.inbox.latest(first.conversation.id)
    assert latest is not None
    assert latest.model == "two"


async def test_unfinished_joins_the_chunks_into_parts(store: Store) -> None:
    asked, waiting = await ask(store, "a"), await ask(store, "b")
    await store.inbox.begin(asked.turn, TurnRecord(outcome="interrupted"), context=0)

    def tool(call_id: str, status: str) -> str:
        return f'{{"type":"tool","call_id":"{call_id}","name":"n","arguments":"{{}}","status":"{status}"}}'

    chunks = [
        Chunk(seq=1, kind="reasoning", text="Let me "),
        Chunk(seq=2, kind="reasoning", text="see."),
        Chunk(seq=4, kind="tool", text=tool("a", "running")),
        Chunk(seq=4, kind="tool", text=tool("b", "running")),
        Chunk(seq=5, kind="tool", text=tool("a", "done")),
        Chunk(seq=7, kind="reasoning", text="So."),
        Chunk(seq=7, kind="text", text="It "),
        Chunk(seq=8, kind="text", text="is"),
    ]
    for some in (chunks[:2], chunks[2:5], chunks[5:]):  # doubled, as a retry would
        await store.inbox.append(asked.turn.id, some)
        await store.inbox.append(asked.turn.id, some)
    await store.inbox.append(asked.turn.id, [])
    first, second = await store.inbox.unfinished()
    assert (first.state, second.state, second.turn, second.parts) == ("running", "accepted", waiting.turn, ())
    assert first.parts == (
        ReasoningPart(text="Let me see."),
        ToolPart(call_id="a", name="n", arguments="{}", status="done"),
        ToolPart(call_id="b", name="n", arguments="{}", status="cancelled"),
        ReasoningPart(text="So."),
        TextPart(text="It is"),
    )


# --- messages and context -----------------------------------------------------------------------------------------


async def test_answers_stand_behind_their_questions(store: Store) -> None:
    first, second = await ask(store, "q1"), await ask(store, "q2")
    await answer(store, first, "a1")
    await answer(store, second, "a2")
    place = first.conversation.id
    listed = await store.conversations.messages(place)
    assert [(one.text, one.position) for one in listed] == [("q1", 1), ("a1", 3), ("q2", 2), ("a2", 4)]
    assert [one.text for one in await store.conversations.messages(place, after=2)] == ["a1", "a2"]
    assert [one.text for one in await store.conversations.messages(place, before=3)] == ["q1", "q2"]
    assert [one.text for one in await store.conversations.messages(place, limit=2)] == ["a1", "a2"]
    assert [one.text for one in await store.conversations.messages(place, after=1, before=4, limit=1)] == ["a1"]
    assert await store.conversations.messages(place, limit=0) == []


async def test_a_position_beyond_all_numbers_is_refused(store: Store) -> None:
    with pytest.raises(ValidationError):
        await store.conversations.messages("x", before=2**70)


async def context(store: Store, asked: Accepted, limit: int = 50) -> list[str]:
    before = await store.inbox.begin(asked.turn, TurnRecord(outcome="interrupted"), context=limit)
    return [one.text for one in before or ()]


async def test_context_is_what_a_model_may_see_of_the_past(store: Store) -> None:
    first = await ask(store, "q1")
    await answer(store, first, "a1")
    command = await ask(store, "/help")
    spoken = TurnReply(id=new_id(), role="system", text="Commands: …", in_context=False)
    await store.inbox.finish(command.turn, TurnRecord(outcome="answered"), spoken)
    filtered = await ask(store, "something nasty")
    await store.inbox.finish(filtered.turn, TurnRecord(outcome="refused"), structs.replace(spoken, id=new_id()))
    failed = await ask(store, "no provider")
    unreachable = TurnReply(id=new_id(), role="system", text="It cannot be reached.")
    await store.inbox.finish(failed.turn, TurnRecord(outcome="refused"), unreachable)
    second, later = await ask(store, "q2"), await ask(store, "q3")
    assert await context(store, second) == ["q1", "a1", "no provider"]
    assert await context(store, second, limit=1) == ["no provider"]
    assert await context(store, second, limit=0) == []
    await store.inbox.finish(second.turn, TurnRecord(outcome="interrupted"), reply("half"))
    assert await context(store, later) == ["q1", "a1", "no provider", "q2", "half"]
    behind = await store.inbox.begin(
        later.turn, TurnRecord(outcome="interrupted"), context=50, after=second.turn.ticket - 1
    )
    assert [one.text for one in behind or ()] == ["q2", "half"]


async def test_reset_hides_what_came_before_from_models_only(store: Store) -> None:
    early = await ask(store, "q1")
    reset = await ask(store, "/reset")
    changed = await store.conversations.update(early.conversation.id, reset_context=True)
    assert changed is not None
    assert changed.context_from == 3
    await answer(store, early, "an answer that comes after the reset")
    await store.inbox.finish(reset.turn, TurnRecord(outcome="answered"), reply("Done.", in_context=False))
    fresh = await ask(store, "q2")
    assert await context(store, fresh) == []
    assert await context(store, await ask(store, "q3")) == ["q2"]
    assert len(await store.conversations.messages(early.conversation.id)) == 6


async def test_context_of_a_deleted_conversation_is_empty(store: Store) -> None:
    asked = await ask(store)
    await store.conversations.delete(asked.conversation.id)
    assert await context(store, asked) == []


Move = tuple[str, int]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.tuples(st.sampled_from(["ask", "answer", "hide", "refuse", "reset"]), st.integers(0, 9))))
def test_any_order_of_questions_and_answers_keeps_the_order(place: Place, moves: list[Move]) -> None:
    """Against a model in plain lists: positions, sorting, paging and context."""
    asyncio.run(_play(open_store(place()), moves))


async def _play(made: Store, moves: list[Move]) -> None:
    await made.start()
    model: list[tuple[int, int, bool]] = []  # (ticket, position, a model may see it)
    waiting: list[Accepted] = []
    visible_from = 0
    place = (await ask(made, "1")).conversation.id
    model.append((1, 1, True))
    for move, number in moves:
        if move == "ask":
            waiting.append(await ask(made, str(len(model) + 1)))
            model.append((len(model) + 1, len(model) + 1, True))
        elif move == "reset":
            await made.conversations.update(place, reset_context=True)
            visible_from = len(model) + 1
        elif waiting:
            turn = waiting.pop(number % len(waiting)).turn
            seen = move != "hide"
            outcome: Outcome = "refused" if move == "refuse" else "answered"
            await made.inbox.finish(
                turn, TurnRecord(outcome=outcome), reply(str(len(model) + 1), in_context=move != "hide")
            )
            model[turn.ticket - 1] = (turn.ticket, turn.ticket, seen)
            model.append((turn.ticket, len(model) + 1, seen))
    last = await ask(made, str(len(model) + 1))
    everything = await made.conversations.messages(place, limit=10_000)
    keys = [(one.ticket, one.position) for one in everything]
    assert keys == sorted((ticket, position) for ticket, position, _ in [*model, (last.turn.ticket,) * 2 + (True,)])
    assert sorted(position for _, position in keys) == list(range(1, len(keys) + 1))
    for since in range(0, len(keys), 3):
        page = await made.conversations.messages(place, after=since, limit=10_000)
        assert page == [one for one in everything if one.position > since]
    may_see = sorted((ticket, position) for ticket, position, seen in model if seen and ticket >= visible_from)
    context_of_last = await made.inbox.begin(last.turn, TurnRecord(outcome="interrupted"), context=10_000)
    assert [(one.ticket, one.position) for one in context_of_last or ()] == may_see
    await made.stop()


# --- search -------------------------------------------------------------------------------------------------------


async def test_search_finds_any_word_of_the_persons_own_messages(store: Store, me: Person) -> None:
    tides, _ = await store.conversations.create(conversation(me, title="Tides"))
    asked = await ask(store, "When does the café by the lighthouse open?", adapter="web", place=tides.id)
    await store.inbox.finish(asked.turn, ANSWERED, reply("The lighthouse café opens at nine."))
    mine = asked.turn.person_id
    stranger = await store.inbox.accept(
        ChannelMessage(adapter="discord", place="x", account="eve", key="1", text="A lighthouse of my own"),
        assistant="guide",
    )
    hits = await store.conversations.search(me.id, "CAFE lighthouse zeppelin")
    assert {hit.role for hit in hits} == {"user", "assistant"}
    assert {hit.conversation_title for hit in hits} == {"Tides"}
    assert all("«café»" in hit.snippet and "«lighthouse»" in hit.snippet for hit in hits)
    assert hits[0].score >= hits[1].score
    assert mine != stranger.turn.person_id
    assert len(await store.conversations.search(me.id, "lighthouse", limit=1)) == 1
    assert await store.conversations.search(me.id, "lighthouse", exclude=tides.id) == []
    assert [h.message_id for h in await store.conversations.search(stranger.turn.person_id, "lighthouse")] == [
        stranger.message.id
    ]


async def test_search_gives_the_best_first(store: Store, me: Person) -> None:
    """More of the words before fewer, short texts before long ones, and of equals the newest."""
    texts = [
        "the harbour " + "and something else entirely " * 40,
        "the harbour at noon",
        "the harbour and its lighthouse at noon",
        "the harbour at noon",
        "nothing of that kind",
    ]
    made, _ = await store.conversations.create(conversation(me))
    asked = [await ask(store, text, adapter="web", place=made.id) for text in texts]
    hits = await store.conversations.search(me.id, "lighthouse harbour", limit=10)
    assert [hit.message_id for hit in hits] == [asked[number].message.id for number in (2, 3, 1, 0)]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize(
    "text", ["see docs/harbour.md", "<b>harbour</b>", "harbour,noon", "mail@harbour.example", "HARBOUR"]
)
async def test_words_are_found_whatever_stands_around_them(store: Store, text: str) -> None:
    asked = await ask(store, text)
    [hit] = await store.conversations.search(asked.turn.person_id, "harbour")
    assert hit.message_id == asked.message.id
    assert "«harbour»" in hit.snippet.lower()


async def test_search_leaves_out_what_the_house_said(store: Store) -> None:
    asked = await ask(store, "/help")
    house = TurnReply(id=new_id(), role="system", text="A zeppelin is no command.")
    await store.inbox.finish(asked.turn, TurnRecord(outcome="answered"), house)
    assert await store.conversations.search(asked.turn.person_id, "zeppelin") == []


HOSTILE = [
    "", "   ", '"', '"""', "'", "*", "a*", "NEAR(a b)", "a AND", "OR", "NOT", "text:a", "^a", "(", "a) OR (b",
    "-a", "+a", "{a b}: c", "\0", "a\0b", "\ud83d", "日本語", "🎉", "%", "_", "\\", ";--",
    "a" * 100_000, "a " * 100_000, "é́́́", "\u0301", "&|!<->:*", "$1", ":name", "?",
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE)
async def test_any_text_is_a_legal_query(store: Store, query: str) -> None:
    asked = await ask(store, "nothing of the kind")
    assert await store.conversations.search(asked.turn.person_id, query) in ([], [])
    assert isinstance(await store.facts.search(asked.turn.person_id, query), list)


# --- outbox -------------------------------------------------------------------------------------------------------


async def delivery_of(store: Store) -> str:
    asked = await ask(store)
    finished = await store.inbox.finish(asked.turn, ANSWERED, reply())
    assert finished.delivery_id is not None
    return finished.delivery_id


async def test_a_delivery_goes_from_pending_over_sending_to_delivered(store: Store) -> None:
    first, second = await delivery_of(store), await delivery_of(store)
    assert [one.id for one in await store.outbox.pending()] == [first, second]
    assert [one.id for one in await store.outbox.pending(limit=1)] == [first]
    await store.outbox.sending(first)
    sent = (await store.outbox.pending())[0]
    assert (sent.id, sent.state, sent.attempts) == (first, "sending", 1)
    await store.outbox.delivered(first, platform_id="p")
    await store.outbox.delivered(first)
    await store.outbox.sending(first)
    await store.outbox.failed(first, error="late", retry_at=now())
    await store.outbox.uncertain(first)
    assert [one.id for one in await store.outbox.pending()] == [second]


async def test_a_failed_delivery_waits_or_is_given_up(store: Store) -> None:
    delivery = await delivery_of(store)
    due = now() + timedelta(seconds=30)
    await store.outbox.sending(delivery)
    await store.outbox.failed(delivery, error="busy", retry_at=due)
    [waiting] = await store.outbox.pending()
    assert (waiting.state, waiting.attempts, waiting.due_at) == ("pending", 1, due)
    await store.outbox.failed(delivery, error="gone", retry_at=None)
    assert await store.outbox.pending() == []
    await store.outbox.delivered("unknown")
    await store.outbox.sending("unknown")


async def test_an_uncertain_delivery_is_not_pending_but_may_still_turn_out_delivered(store: Store) -> None:
    delivery = await delivery_of(store)
    await store.outbox.sending(delivery)
    await store.outbox.uncertain(delivery)
    await store.outbox.sending(delivery)
    assert await store.outbox.pending() == []
    await store.outbox.delivered(delivery)


# --- turns that wait for people -----------------------------------------------------------------------------------

BEGUN = TurnRecord(outcome="interrupted", assistant="guide", model="demo:demo", chosen_by="system")


async def paused(store: Store, *names: str, seconds: float = 3600, **kind: str) -> tuple[Accepted, Pause]:
    """A turn that waits until somebody has allowed the calls of these names."""
    asked = await ask(store, **kind)
    turn = asked.turn
    await store.inbox.begin(turn, BEGUN, context=10)
    calls = [ToolPart(call_id=name, name=name, arguments="{}", status="running") for name in names]
    approvals = tuple(
        Approval(
            id=new_id(),
            turn_id=turn.id,
            conversation_id=turn.conversation_id,
            person_id=turn.person_id,
            call_id=name,
            name=name,
            arguments="{}",
            asked_at=now(),
            expires_at=now() + timedelta(seconds=seconds),
        )
        for name in names
    )
    said: tuple[AnyPart, ...] = (
        ReasoningPart(text="Hm.", opaque={"sign": "x"}),
        TextPart(text="Let me\0 pay."),
        *calls,
    )
    pause = Pause(approvals=approvals, parts=said, steps=1, usage=Usage(input_tokens=3), seq=2)
    chunks = [Chunk(seq=2, kind="text", text="Let me pay.")]
    assert await store.approvals.pause(turn, BEGUN, pause, chunks)
    return asked, pause


async def test_a_turn_that_waits_is_nobodys_matter_and_all_of_it_is_kept(store: Store) -> None:
    asked, pause = await paused(store, "pay")
    assert await store.inbox.unfinished() == []
    [waiting] = await store.approvals.waiting(asked.conversation.id)
    assert (waiting.turn, waiting.record) == (asked.turn, BEGUN)
    assert waiting.pause.approvals == pause.approvals
    assert waiting.pause.parts == (pause.parts[0], TextPart(text="Let me\ufffd pay."), pause.parts[2])
    assert (waiting.pause.steps, waiting.pause.usage, waiting.pause.seq) == (1, Usage(input_tokens=3), 2)
    [question] = await store.conversations.messages(asked.conversation.id)
    assert question.status == "waiting"
    # Nothing but an answer moves it.
    finished = await store.inbox.finish(asked.turn, ANSWERED, reply())
    assert finished.message is None
    await store.inbox.append(asked.turn.id, [Chunk(seq=3, kind="text", text="late")])
    assert await store.approvals.take(asked.turn, decided=True) is None
    assert [found.turn.id for found in await store.approvals.waiting(asked.conversation.id)] == [asked.turn.id]


async def test_the_first_answer_counts_and_the_last_call_makes_the_turn_go_on(store: Store) -> None:
    asked, pause = await paused(store, "pay", "ship")
    pay, ship = pause.approvals
    answers = await asyncio.gather(
        *(store.approvals.decide(pay, "approved" if n % 2 else "denied", by=f"person {n}") for n in range(8))
    )
    assert [answer.first for answer in answers if answer].count(True) == 1
    assert len({answer.approval for answer in answers if answer}) == 1
    assert all(answer is not None and answer.left is None for answer in answers)
    assert [left.call_id for left in await store.approvals.asked()] == ["ship"]
    assert await store.approvals.take(asked.turn, decided=True) is None
    last = await store.approvals.decide(ship, "denied", reason="too\0 dear", by="ann")
    assert last is not None
    assert last.left is not None
    assert (last.first, last.left.turn, last.elsewhere) == (True, asked.turn, None)
    assert (last.approval.reason, last.approval.decided_by) == ("too\ufffd dear", "ann")
    again = await store.approvals.decide(ship, "approved", by="bob")
    assert again is not None
    assert (again.first, again.left, again.approval) == (False, None, last.approval)
    [left] = await store.inbox.unfinished()
    assert (left.turn, left.state, left.record) == (asked.turn, "decided", BEGUN)
    assert left.parts == (TextPart(text="Let me pay."),)
    [question] = await store.conversations.messages(asked.conversation.id)
    assert question.status == "accepted"


async def test_two_answers_to_two_calls_at_once_make_it_go_on_once(store: Store) -> None:
    asked, pause = await paused(store, *"abcdefgh")
    answers = await asyncio.gather(*(store.approvals.decide(each, "approved", by="ann") for each in pause.approvals))
    assert [answer.left.turn for answer in answers if answer and answer.left] == [asked.turn]


async def test_a_turn_is_taken_by_one_only_and_then_runs(store: Store) -> None:
    asked, pause = await paused(store, "pay")
    await store.approvals.decide(pause.approvals[0], "approved", by="ann")
    taken = await asyncio.gather(*(store.approvals.take(asked.turn, decided=True) for _ in range(8)))
    [waiting] = [one for one in taken if one is not None]
    assert [(each.verdict, each.decided_by) for each in waiting.pause.approvals] == [("approved", "ann")]
    [left] = await store.inbox.unfinished()
    assert (left.state, left.seq) == ("running", 2)
    assert await store.approvals.decide(pause.approvals[0], "denied") is None
    finished = await store.inbox.finish(asked.turn, ANSWERED, reply())
    assert finished.message is not None
    assert await store.inbox.unfinished() == []


async def test_a_turn_that_waits_is_taken_back_by_one_only(store: Store) -> None:
    asked, pause = await paused(store, "pay")
    taken = await asyncio.gather(*(store.approvals.take(asked.turn, decided=False) for _ in range(8)))
    assert len([one for one in taken if one is not None]) == 1
    assert await store.approvals.decide(pause.approvals[0], "approved") is None
    assert await store.approvals.asked() == []
    finished = await store.inbox.finish(asked.turn, ANSWERED, reply())
    assert finished.message is not None


async def test_open_calls_are_listed_by_whose_they_are_and_by_when_they_are_overdue(store: Store) -> None:
    mine, _ = await paused(store, "pay")
    ours, late = await paused(store, "ship", place="other", seconds=-1)
    assert {each.name for each in await store.approvals.asked(mine.turn.person_id)} == {"pay", "ship"}
    assert [each.name for each in await store.approvals.asked()] == ["pay", "ship"]
    assert await store.approvals.asked("nobody") == []
    assert await store.approvals.overdue(now()) == list(late.approvals)
    await store.conversations.delete(ours.conversation.id)
    assert [each.name for each in await store.approvals.asked()] == ["pay"]
    assert await store.approvals.overdue(now()) == []
    assert await store.approvals.decide(late.approvals[0], "approved") is None


async def test_open_calls_are_listed_page_by_page_and_found_by_id_and_by_code(store: Store) -> None:
    pauses = [(await paused(store, "pay", "ship", place=f"place {number}"))[1] for number in range(4)]
    all_of_them = [each for pause in pauses for each in pause.approvals]
    await spoil(store, all_of_them[2].turn_id, "{")
    await store.approvals.decide(all_of_them[4], "denied")
    left = [*all_of_them[:2], *all_of_them[5:]]
    assert await store.approvals.asked(limit=3) == left[:3]
    assert await store.approvals.asked(after=left[2].id, limit=3) == left[3:]
    assert await store.approvals.asked(after=left[4].id) == []
    for each in left:
        assert await store.approvals.asked(which=each.id) == [each]
        assert await store.approvals.asked(each.person_id, which=each.code) == [each]
    for nobodys in (all_of_them[2].id, all_of_them[4].code, left[0].id.lower(), "%", "\0", "\ud800"):
        assert await store.approvals.asked(which=nobodys) == []
    assert await store.approvals.asked("nobody", which=left[0].id) == []


async def spoil(store: Store, turn_id: str, data: str) -> None:
    """Puts something else in the place of what a turn waits with."""

    def change() -> Unit[None]:
        yield "pause_change", {"of_turn": turn_id, "new_data": data}

    assert isinstance(store.approvals, SqlApprovals)
    await store.approvals._database.write(change)


async def test_what_cannot_be_read_costs_itself_and_no_other(store: Store) -> None:
    damaged, _ = await paused(store, "pay", place="damaged")
    newer, _ = await paused(store, "pay", place="newer")
    well, pause = await paused(store, "pay", place="well")
    await spoil(store, damaged.turn.id, "{")
    await spoil(store, newer.turn.id, '{"format":999,"value":{}}')
    assert await store.approvals.asked() == list(pause.approvals)
    assert await store.approvals.overdue(now() + timedelta(days=1)) == list(pause.approvals)
    for asked in (damaged, newer):
        assert await store.approvals.waiting(asked.conversation.id) == []
    later = now() + timedelta(days=1)
    assert await store.approvals.take_damaged(now(), newer=True) == []
    both = await asyncio.gather(*(store.approvals.take_damaged(later, newer=False) for _ in range(4)))
    [left] = [each for found in both for each in found]
    assert (left.turn, left.state, left.record) == (damaged.turn, "running", BEGUN)
    assert left.parts == (TextPart(text="Let me pay."),)
    [left] = await store.approvals.take_damaged(later, newer=True)
    assert left.turn == newer.turn
    assert await store.approvals.take_damaged(later, newer=True) == []
    assert len(await store.approvals.waiting(well.conversation.id)) == 1


async def test_what_is_damaged_behind_the_answer_ends_with_a_sentence(store: Store) -> None:
    asked, pause = await paused(store, "pay")
    assert await store.approvals.decide(pause.approvals[0], "approved", by="ann") is not None
    await spoil(store, asked.turn.id, "{")
    with pytest.raises(ProcessingError, match="cannot be read any more"):
        await store.approvals.take(asked.turn, decided=True)
    ended = await store.inbox.finish(
        asked.turn, BEGUN, TurnReply(id=new_id(), role="assistant", text="."), deliver=False
    )
    assert ended.message is not None


async def test_others_are_answered_while_a_turn_waits_and_see_its_question(store: Store) -> None:
    waiting, _ = await paused(store, "pay")
    asked = await ask(store, "And now?")
    news = await store.inbox.begin(asked.turn, BEGUN, context=10)
    assert news is not None
    assert [(message.id, message.status) for message in news] == [(waiting.message.id, "waiting")]


@pytest.mark.parametrize("place", KEEPING, indirect=True)
async def test_who_waits_goes_on_in_another_process(place: Place) -> None:
    settings = place()
    first = open_store(settings)
    await first.start()
    asked, pause = await paused(first, "pay")
    await first.stop()
    second = open_store(settings)
    await second.start()
    assert await second.inbox.unfinished() == []
    assert await second.approvals.asked() == list(pause.approvals)
    decided = await second.approvals.decide(pause.approvals[0], "approved", by="ann")
    assert decided is not None
    assert decided.left is not None
    assert (decided.left.turn, decided.left.state) == (asked.turn, "decided")
    await second.stop()


# --- people and notes ---------------------------------------------------------------------------------------------


async def test_an_account_is_one_person_and_the_local_one_an_operator(store: Store) -> None:
    local = await store.people.by_account("web", "local", name="Me")
    assert (local.id, local.operator, local.name) == ("local", True, "Me")
    assert await store.people.by_account("web", "local") == local
    many = await asyncio.gather(*(store.people.by_account("telegram", "ann") for _ in range(20)))
    assert len({person.id for person in many}) == 1
    assert many[0].name == "ann"
    assert not many[0].operator
    assert (await store.people.by_account("discord", "local")).id != "local"
    assert await store.people.get("nobody") is None


async def test_people_come_in_pages_and_are_renamed(store: Store) -> None:
    made = [await store.people.by_account("telegram", f"account {number}") for number in range(5)]
    everybody = await store.people.page()
    assert {person.id for person in made} <= {person.id for person in everybody}
    paged: list[Person] = []
    while page := await store.people.page(after=paged[-1].id if paged else "", limit=2):
        assert len(page) <= 2
        paged += page
    assert paged == everybody
    await store.people.rename(made[0].id, "Ada\0")
    renamed = await store.people.get(made[0].id)
    assert renamed is not None
    assert (renamed.name, renamed.id) == ("Ada\ufffd", made[0].id)
    assert await store.people.get(made[1].id) == made[1]
    await store.people.rename("nobody", "Eve")
    assert len(await store.people.page()) == len(everybody)


async def test_a_language_is_kept_and_cleared(store: Store, me: Person) -> None:
    assert me.language is None
    await store.people.prefer_language(me.id, "pt-BR")
    asked = await ask(store, "Hello")
    await store.people.prefer_language(asked.turn.person_id, "de")
    parties = await store.inbox.parties(asked.turn)
    assert parties is not None
    assert parties[1].language == "de"
    mine = await store.people.get(me.id)
    assert mine is not None
    assert mine.language in {"pt-BR", "de"}
    await store.people.prefer_language(me.id, None)
    cleared = await store.people.get(me.id)
    assert cleared == me


async def test_a_preferred_model_is_kept_and_cleared(store: Store, me: Person) -> None:
    await store.people.prefer_model(me.id, "openai:gpt")
    person = await store.people.get(me.id)
    assert person is not None
    assert person.preferred_model == "openai:gpt"
    await store.people.prefer_model(me.id, None)
    assert await store.people.get(me.id) == me
    await store.people.prefer_model("nobody", "x")


async def test_a_state_is_replaced_and_goes_with_its_conversation(store: Store) -> None:
    asked = await ask(store)
    other = await ask(store, place="elsewhere")
    here, there = asked.conversation.id, other.conversation.id
    assert await store.states.get(here, "Basket") is None
    await store.states.put(here, "Basket", "1")
    await asyncio.gather(*(store.states.put(there, "Basket", str(number)) for number in range(10)))
    await store.states.put(here, "Basket", "two\0")
    await store.states.put(here, "Mood", "3")
    assert await store.states.get(here, "Basket") == "two\ufffd"
    assert await store.states.get(here, "Mood") == "3"
    await store.conversations.delete(here)
    assert await store.states.get(here, "Basket") is None
    assert await store.states.get(there, "Basket") is not None
    with pytest.raises(ValidationError):
        await store.states.put(here, "Basket", "4")


@pytest.mark.parametrize("place", KEEPING, indirect=True)
async def test_a_state_is_what_another_process_left(place: Place) -> None:
    settings = place()
    first = open_store(settings)
    await first.start()
    asked = await ask(first)
    await first.states.put(asked.conversation.id, "Basket", "pears")
    await first.stop()
    second = open_store(settings)
    await second.start()
    assert await second.states.get(asked.conversation.id, "Basket") == "pears"
    await second.stop()


# --- what models cost -----------------------------------------------------------------------------------------------

DAY = "2026-11-21"
CALL = Amount(calls=1, input_tokens=60, output_tokens=40, nanos=500)
ANN = Payer(scope="person", owner="ann", most_tokens=250, most_nanos=10_000)
HOUSE = Payer(scope="house", owner="")


async def spent_by(store: Store, payer: Payer) -> Amount:
    found = await store.ledger.spent(DAY, DAY, scope=payer.scope, owner=payer.owner)
    return found[0].amount if found else Amount()


def rows(*payers: Payer, day: str = DAY) -> list[Spent]:
    """One call of each."""
    return [Spent(day=day, scope=payer.scope, owner=payer.owner, amount=CALL) for payer in payers]


async def test_what_is_charged_is_settled_once(store: Store) -> None:
    payers = (ANN, HOUSE)
    for _ in range(2):  # a charge whose commit nobody saw is made again
        assert await store.ledger.charge("c1", DAY, payers, CALL) is None
    assert await spent_by(store, ANN) == CALL
    really = Amount(calls=1, input_tokens=61, output_tokens=9, unpriced=1)
    for _ in range(2):
        await store.ledger.settle("c1", DAY, [(payer, really - CALL) for payer in payers])
    assert await spent_by(store, ANN) == await spent_by(store, HOUSE) == really
    assert [spent.day for spent in await store.ledger.spent("2026-11-01", "2026-11-30", scope="person")] == [DAY]
    assert await store.ledger.spent("2026-11-22", "2026-11-30", scope="person") == []


async def test_a_charge_that_is_too_much_for_one_is_counted_for_nobody(store: Store) -> None:
    assert await store.ledger.charge("c1", DAY, (ANN, HOUSE), CALL) is None
    assert await store.ledger.charge("c2", DAY, (ANN, HOUSE), CALL) is None
    assert await store.ledger.charge("c3", DAY, (ANN, HOUSE), CALL) == ANN
    assert (await spent_by(store, ANN)).calls == (await spent_by(store, HOUSE)).calls == 2
    dear = Amount(calls=1, nanos=10_001)
    assert await store.ledger.charge("c4", "2026-11-22", (ANN,), dear) == ANN
    assert await store.ledger.charge("c5", DAY, (HOUSE,), CALL) is None
    await store.ledger.settle("c5", DAY, [(HOUSE, CALL)])
    await store.ledger.count("b1", rows(ANN, HOUSE))
    assert (await spent_by(store, ANN)).calls == 3
    assert (await spent_by(store, HOUSE)).calls == 5


async def test_what_was_never_charged_is_counted_once_for_each_batch(store: Store) -> None:
    for _ in range(2):  # a batch whose commit nobody saw is counted again
        await store.ledger.count("b1", rows(ANN, HOUSE))
    assert (await spent_by(store, ANN)).calls == (await spent_by(store, HOUSE)).calls == 1
    for _ in range(2):
        await store.ledger.count("b2", [*rows(ANN), *rows(ANN, day="2026-11-22")], before="b1")
    found = await store.ledger.spent("2026-11-21", "2026-11-22", scope="person")
    assert [(spent.day, spent.amount.calls) for spent in found] == [("2026-11-22", 1), (DAY, 2)]
    await store.ledger.settle("b2", DAY, ())  # the last one is closed as a charge is
    await store.ledger.settle("b2", DAY, [(ANN, CALL)])
    assert (await spent_by(store, ANN)).calls == 2


async def test_a_batch_with_what_no_database_takes_counts_nothing(store: Store) -> None:
    broken = Spent(day=DAY, scope="model", owner="\ud800", amount=CALL)
    with pytest.raises(ValidationError):
        await store.ledger.count("b1", [*rows(ANN), broken, *rows(HOUSE)])
    assert await spent_by(store, ANN) == await spent_by(store, HOUSE) == Amount()
    await store.ledger.count("b1", rows(ANN))
    assert await spent_by(store, ANN) == CALL


async def test_batches_of_several_processes_cross_and_add_up(place: Place) -> None:
    settings = place()
    stores = [open_store(settings) for _ in range(1 if ":memory:" in settings.url else 3)]
    for made in stores:
        await made.start()
    people = [Payer(scope="person", owner=f"{number}") for number in range(20)]

    async def process(number: int) -> None:
        for turn in range(10):
            order = Random(f"{number} {turn}").sample([*people, HOUSE], len(people) + 1)
            before = f"{number}-{turn - 1}" if turn else None
            await stores[number % len(stores)].ledger.count(f"{number}-{turn}", rows(*order), before=before)

    await asyncio.gather(*(process(number) for number in range(6)))
    found = await stores[0].ledger.spent(DAY, DAY, scope="person")
    assert [spent.amount.calls for spent in found] == [60] * 20
    assert (await spent_by(stores[-1], HOUSE)).calls == 60
    for made in stores:
        await made.stop()


async def test_no_two_processes_share_what_is_left_of_a_budget(place: Place) -> None:
    settings = place()
    stores = [open_store(settings), open_store(settings)]
    if ":memory:" in settings.url:
        stores = stores[:1]
    for made in stores:
        await made.start()
    charging = (
        made.ledger.charge(f"{number}-{id(made)}", DAY, (ANN, HOUSE), CALL) for made in stores for number in range(8)
    )
    refused = await asyncio.gather(*charging)
    assert refused.count(None) == 2
    assert (
        await spent_by(stores[0], ANN)
        == await spent_by(stores[-1], HOUSE)
        == Amount(calls=2, input_tokens=120, output_tokens=80, nanos=1_000)
    )
    for made in stores:
        await made.stop()


# --- files ----------------------------------------------------------------------------------------------------------

ROOM = 1_000


async def keep(
    store: Store, person: Person, data: bytes, *, name: str = "a.png", most: int = ROOM, hours: float = 24
) -> KeptFile:
    since = now() - timedelta(hours=hours)
    return await store.files.add(
        person.id, name=name, media_type="image/png", data=data, most_bytes=most, unnamed_since=since
    )


def naming(file: KeptFile, place: str = "room", *, key: str = "") -> ChannelMessage:
    attached = Attachment(id=file.id, name=file.name, media_type=file.media_type, size=file.size)
    return structs.replace(inbound("", place=place, key=key), attachments=(attached,))


async def test_a_file_is_kept_as_it_came_and_once_for_each_person(store: Store, me: Person) -> None:
    data = bytes(range(256)) * 2
    kept = await keep(store, me, data, name="nul\0 \ud800.png")
    assert (kept.size, kept.name, kept.media_type) == (512, "nul\ufffd \ufffd.png", "image/png")
    assert await store.files.read(kept.id) == data
    assert await keep(store, me, data, name="another.png") == kept
    ann = await store.people.by_account("telegram", "ann")
    hers = await keep(store, ann, data)
    assert hers.id != kept.id
    assert hers.digest == kept.digest
    assert await store.files.get(kept.id, person_id=ann.id) is None
    assert await store.files.get(kept.id, person_id=me.id) == await store.files.get(kept.id) == kept
    assert await store.files.read("01M7YTFAF3A5C20VBDC381VVAW") is None


async def test_the_same_file_at_once_is_one_file_and_the_room_is_shared_by_nobody(place: Place) -> None:
    settings = place()
    stores = [open_store(settings) for _ in range(1 if ":memory:" in settings.url else 2)]
    for made in stores:
        await made.start()
    me = await stores[0].people.by_account("web", "local")
    same = await asyncio.gather(*(keep(made, me, b"the same") for made in stores for _ in range(6)))
    assert len({file.id for file in same}) == 1
    adding = (keep(made, me, bytes([number]) * 300) for made in stores for number in range(id(made) % 7, 20, 2))
    kept = await asyncio.gather(*adding, return_exceptions=True)
    assert len({file.id for file in kept if isinstance(file, KeptFile)}) == 3  # 908 bytes of 1,000
    assert all(isinstance(error, KeptFile | ResourceError) for error in kept)
    for made in stores:
        await made.stop()


async def test_a_message_names_files_for_whoever_is_in_its_conversation(store: Store, me: Person) -> None:
    kept = await keep(store, me, b"mine")
    asked = await store.inbox.accept(naming(kept, key="k1"), assistant="guide")
    assert asked.message.attachments == asked.turn.attachments == naming(kept).attachments
    assert asked.conversation.title == "a.png"
    again = await store.inbox.accept(naming(kept, key="k1"), assistant="guide")
    assert again.duplicate
    assert again.message == asked.message
    assert again.turn.attachments == asked.turn.attachments
    assert (await store.conversations.messages(asked.conversation.id)) == [asked.message]
    left = await store.inbox.unfinished([asked.turn.id])
    assert left[0].turn == asked.turn
    ann = await store.people.by_account("telegram", "ann")  # whose conversation it is
    bob = await store.people.by_account("telegram", "bob")
    assert await store.files.get(kept.id, person_id=ann.id) == kept
    assert await store.files.get(kept.id, person_id=bob.id) is None


async def test_a_conversation_that_names_a_file_keeps_it_as_its_messages_do(store: Store, me: Person) -> None:
    kept = await keep(store, me, b"made")
    asked = await store.inbox.accept(inbound(key="k1"), assistant="guide")
    whose = asked.turn.person_id
    assert await store.files.get(kept.id, person_id=whose) is None
    for _ in range(2):
        assert await store.files.name(kept.id, asked.conversation.id)
    assert await store.files.get(kept.id, person_id=whose) == kept
    newer = await keep(store, me, b"made later")
    assert await store.files.of(asked.conversation.id, limit=2) == [kept]
    assert await store.files.name(newer.id, asked.conversation.id)
    assert await store.files.of(asked.conversation.id, limit=2) == [newer, kept]
    assert await store.files.of(asked.conversation.id, limit=1) == [newer]
    assert not await store.files.name("01M7YTFAF3A5C20VBDC381VVAW", asked.conversation.id)
    assert await store.conversations.delete(asked.conversation.id)
    assert await store.files.read(kept.id) is None
    another = await keep(store, me, b"too late")
    assert not await store.files.name(another.id, asked.conversation.id)


async def test_a_file_goes_with_the_last_conversation_that_names_it(store: Store, me: Person) -> None:
    shared, only = await keep(store, me, b"shared"), await keep(store, me, b"only")
    first = await store.inbox.accept(naming(shared, "one"), assistant="guide")
    await store.inbox.accept(naming(only, "one"), assistant="guide")
    second = await store.inbox.accept(naming(shared, "two"), assistant="guide")
    assert await store.conversations.delete(first.conversation.id)
    assert await store.files.read(only.id) is None
    assert await store.files.read(shared.id) == b"shared"
    assert await store.conversations.delete(second.conversation.id)
    assert await store.files.get(shared.id) is None
    with pytest.raises(ValidationError):
        await store.inbox.accept(naming(shared, "three"), assistant="guide")
    assert await store.conversations.list(second.turn.person_id) == []


async def test_what_nobody_named_makes_room(store: Store, me: Person) -> None:
    named, forgotten = await keep(store, me, b"n" * 400), await keep(store, me, b"f" * 400)
    await store.inbox.accept(naming(named), assistant="guide")
    with pytest.raises(ResourceError, match="800 are taken"):
        await keep(store, me, b"x" * 300)
    kept = await keep(store, me, b"x" * 300, hours=0)
    assert await store.files.get(forgotten.id) is None
    assert await store.files.read(named.id) == b"n" * 400
    assert await store.files.read(kept.id) == b"x" * 300


async def test_what_is_given_again_after_long_does_not_make_room_for_the_next_file(store: Store, me: Person) -> None:
    before = await keep(store, me, b"f" * 400)
    again = await keep(store, me, b"f" * 400, hours=0)
    assert again.id == before.id
    assert again.created_at > before.created_at
    since = before.created_at + (again.created_at - before.created_at) / 2
    with pytest.raises(ResourceError, match="400 are taken"):
        await store.files.add(
            me.id, name="b.png", media_type="image/png", data=b"x" * 700, most_bytes=ROOM, unnamed_since=since
        )
    assert await store.files.get(before.id) == again


async def test_what_nobody_named_stays_while_there_is_room(store: Store, me: Person) -> None:
    forgotten = await keep(store, me, b"f" * 400)
    await keep(store, me, b"x" * 300, hours=0)
    assert await store.files.get(forgotten.id) == forgotten


@pytest.mark.parametrize("place", ["postgres", "sqlite"], indirect=True)
async def test_a_file_is_there_or_its_message_is_refused_when_both_happen_at_once(place: Place) -> None:
    settings = place()
    stores = [open_store(settings), open_store(settings)]
    for made in stores:
        await made.start()
    me = await stores[0].people.by_account("web", "local")
    for number in range(12):
        kept = await keep(stores[0], me, b"%d" % number)
        first = await stores[0].inbox.accept(naming(kept, f"first {number}"), assistant="guide")
        deleted, accepted = await asyncio.gather(
            stores[0].conversations.delete(first.conversation.id),
            stores[1].inbox.accept(naming(kept, f"second {number}"), assistant="guide"),
            return_exceptions=True,
        )
        assert deleted is True
        there = await stores[0].files.read(kept.id) is not None
        assert there == isinstance(accepted, Accepted), accepted
        assert there or isinstance(accepted, ValidationError)
    for made in stores:
        await made.stop()


# --- the past -----------------------------------------------------------------------------------------------------


async def test_turns_that_a_model_answered_are_found_later(store: Store) -> None:
    assert await store.turns.last() is None
    asked = [await ask(store, f"Question {number}", place="a" if number % 2 else "b") for number in range(6)]
    for each in asked[:4]:
        await store.inbox.finish(each.turn, structs.replace(ANSWERED, model="demo"), reply("Yes."))
    await store.inbox.finish(asked[4].turn, TurnRecord(outcome="answered"), reply("The answer to a command."))
    past = await store.turns.get(asked[2].turn.id)
    assert past is not None
    assert (past.turn, past.record.model) == (asked[2].turn, "demo")
    for unknown in (asked[4], asked[5]):  # answered by no model, and not ended
        assert await store.turns.get(unknown.turn.id) is None
    last = await store.turns.last()
    assert last is not None
    assert last.turn == asked[3].turn
    in_b = asked[2].conversation.id
    latest = await store.turns.latest(in_b)
    earlier = await store.turns.latest(in_b, upto=asked[2].turn.ticket - 1)
    assert latest is not None
    assert earlier is not None
    assert (latest.turn.id, earlier.turn.id) == (asked[2].turn.id, asked[0].turn.id)
    assert await store.turns.latest(new_id()) is None


async def test_past_turns_come_in_pages_oldest_first(store: Store) -> None:
    asked = [await ask(store, f"Question {number}", place="a" if number % 2 else "b") for number in range(5)]
    for each in asked:
        await store.inbox.finish(each.turn, structs.replace(ANSWERED, model="demo"), reply("Yes."))
    ids = [each.turn.id for each in asked]
    first = await store.turns.page(limit=2)
    rest = await store.turns.page(after=first[-1].turn.id)
    assert [past.turn.id for past in (*first, *rest)] == ids
    of_one = await store.turns.page(conversation_id=asked[1].conversation.id)
    assert [past.turn.id for past in of_one] == [ids[1], ids[3]]
    since = await store.turns.page(since=asked[3].turn.created_at)
    assert [past.turn.id for past in since] == ids[3:]
    assert await store.turns.page(since=now() + timedelta(hours=1)) == []


# --- experiments, and what people say of answers ----------------------------------------------------------------------

BRIEF = structs.replace(ANSWERED, assignment=Assignment(experiment="tone", variant="brief"), elapsed_ms=120.4)
PRICED = structs.replace(BRIEF, usage=Usage(input_tokens=7, output_tokens=3, cost=0.25), elapsed_ms=40)
GOOD = Feedback(verdict="up", comment="Short, and right.", given_at=now())


async def tried(store: Store, record: TurnRecord, *, place: str = "room") -> str:
    """A turn that ended so; the id of its answer."""
    asked = await ask(store, place=place)
    stored = await store.inbox.finish(asked.turn, record, reply())
    assert stored.message is not None
    return stored.message.id


async def test_a_turn_is_counted_with_its_outcome_and_the_person_keeps_the_variant(store: Store) -> None:
    asked = await ask(store)
    ann = asked.turn.person_id
    await store.inbox.begin(asked.turn, BRIEF, context=1)
    assert await store.experiments.assigned("tone", ann) is None  # nothing is kept of what never gets an answer
    assert await store.experiments.names() == []
    assert await store.experiments.tallies("tone") == []
    for _ in range(2):  # a commit that nobody saw is made again
        await store.inbox.finish(asked.turn, BRIEF, reply())
    assert await store.experiments.assigned("tone", ann) == "brief"
    other = structs.replace(BRIEF, assignment=Assignment(experiment="tone", variant="warm"), outcome="interrupted")
    interrupted = await ask(store)
    await store.inbox.finish(interrupted.turn, other, None)
    assert await store.experiments.assigned("tone", ann) == "brief"  # the first one counts
    assert await store.experiments.names() == ["tone"]
    brief, warm = await store.experiments.tallies("tone")
    assert (brief.variant, brief.people, brief.turns, brief.answered, brief.unpriced) == ("brief", 1, 1, 1, 1)
    assert (warm.turns, warm.answered, warm.interrupted, warm.mean_ms, warm.median_ms) == (1, 0, 1, None, None)


async def test_times_tokens_and_costs_are_those_of_all_turns(store: Store) -> None:
    for record in (
        PRICED,
        BRIEF,
        structs.replace(PRICED, elapsed_ms=1_000),
        structs.replace(PRICED, outcome="refused"),
    ):
        await tried(store, record)
    (brief,) = await store.experiments.tallies("tone")
    assert (brief.turns, brief.answered, brief.refused) == (4, 3, 1)
    assert (brief.input_tokens, brief.output_tokens, brief.nanos, brief.unpriced) == (21, 9, 750_000_000, 1)
    assert brief.median_ms == 120
    assert brief.mean_ms == pytest.approx((40 + 120 + 1_000) / 3)
    await tried(store, PRICED)
    assert (await store.experiments.tallies("tone"))[0].median_ms == 80


async def test_the_last_word_on_an_answer_counts_and_can_be_taken_back(store: Store) -> None:
    answered = await tried(store, BRIEF)
    assert await store.feedback.put(answered, GOOD)
    found = await store.feedback.find(answered)
    assert found is not None
    message, held = found
    assert message.feedback == GOOD
    assert [each.feedback for each in await store.conversations.messages(held.id)] == [None, GOOD]
    bad = structs.replace(GOOD, verdict="down", comment=None)
    assert await store.feedback.put(answered, bad)
    assert (tally := (await store.experiments.tallies("tone"))[0]).down == tally.judges == 1
    assert tally.up == 0
    for _ in range(2):
        assert await store.feedback.put(answered, None)
    assert (await store.experiments.tallies("tone"))[0].judges == 0
    latest = await store.feedback.latest(held.id, before=99)
    assert latest is not None
    assert (latest.id, latest.feedback) == (answered, None)
    assert await store.feedback.latest(held.id, before=message.ticket) is None


async def test_only_answers_are_judged(store: Store) -> None:
    asked = await ask(store)
    for impossible in (asked.message.id, new_id(), ""):
        for word in (GOOD, None):
            assert not await store.feedback.put(impossible, word)
    assert await store.feedback.find(new_id()) is None


async def test_two_words_at_once_are_one(store: Store) -> None:
    answered = await tried(store, BRIEF)
    words = [structs.replace(GOOD, verdict="up" if number % 2 else "down") for number in range(20)]
    assert all(await asyncio.gather(*(store.feedback.put(answered, word) for word in words)))
    (tally,) = await store.experiments.tallies("tone")
    assert tally.up + tally.down == tally.judges == 1


async def test_what_people_differ_in_is_counted_by_person(store: Store) -> None:
    for place, words in (("a", (True, True, False)), ("b", (True,))):
        for up in words:
            asked = await store.inbox.accept(structs.replace(inbound(place=place), account=place), assistant="guide")
            stored = await store.inbox.finish(asked.turn, BRIEF, reply())
            assert stored.message is not None
            await store.feedback.put(stored.message.id, structs.replace(GOOD, verdict="up" if up else "down"))
    (tally,) = await store.experiments.tallies("tone")
    assert (tally.people, tally.judges, tally.up, tally.down) == (2, 2, 3, 1)
    assert (tally.up_up, tally.up_all, tally.all_all) == (2 * 2 + 1, 2 * 3 + 1, 3 * 3 + 1)


async def test_results_and_feedback_go_with_their_conversation(store: Store) -> None:
    answered = await tried(store, BRIEF)
    await store.feedback.put(answered, GOOD)
    found = await store.feedback.find(answered)
    assert found is not None
    assert await store.conversations.delete(found[1].id)
    assert await store.experiments.tallies("tone") == []
    assert await store.feedback.find(answered) is None
    assert not await store.feedback.put(answered, GOOD)


async def test_a_variant_that_is_gone_is_let_go_of_once(store: Store) -> None:
    await tried(store, BRIEF)
    found = await store.people.by_account("telegram", "ann")
    await store.experiments.release("tone", found.id, "warm")
    assert await store.experiments.assigned("tone", found.id) == "brief"
    await store.experiments.release("tone", found.id, "brief")
    assert await store.experiments.assigned("tone", found.id) is None


@pytest.mark.parametrize("place", KEEPING, indirect=True)
async def test_a_variant_is_kept_over_a_restart_and_in_every_process(place: Place) -> None:
    settings = place()
    stores = [open_store(settings) for _ in range(2)]
    await stores[0].start()
    await tried(stores[0], BRIEF)
    await stores[1].start()
    ann = await stores[1].people.by_account("telegram", "ann")
    assert await stores[1].experiments.assigned("tone", ann.id) == "brief"
    for made in stores:
        await made.stop()


# --- summaries ----------------------------------------------------------------------------------------------------


def summed(upto: int, text: str = "Green.", context_from: int = 0) -> Summary:
    return Summary(context_from=context_from, upto=upto, text=text, model="acme:m", created_at=now())


async def test_a_summary_gives_way_to_the_one_that_includes_it_alone(store: Store) -> None:
    conversation = (await ask(store, "hello")).conversation
    assert await store.summaries.get(conversation.id, 0) is None
    first = summed(5)
    assert await store.summaries.put(conversation.id, first)
    assert await store.summaries.get(conversation.id, 0) == first
    for other, behind in ((summed(7), 0), (summed(5), 5), (summed(4), 5), (summed(9), 4)):
        assert not await store.summaries.put(conversation.id, other, behind=behind)
    assert await store.summaries.get(conversation.id, 0) == first
    later = summed(9, "Blue\x00\ud800.")
    assert await store.summaries.put(conversation.id, later, behind=5)
    kept = await store.summaries.get(conversation.id, 0)
    assert kept is not None
    assert (kept.upto, kept.text[:4]) == (9, "Blue")


async def test_a_summary_is_of_one_context_and_goes_with_its_conversation(store: Store) -> None:
    conversation = (await ask(store, "hello")).conversation
    assert await store.summaries.put(conversation.id, summed(5))
    changed = await store.conversations.update(conversation.id, reset_context=True)
    assert changed is not None
    assert await store.summaries.get(conversation.id, changed.context_from) is None
    assert not await store.summaries.put(conversation.id, summed(9), behind=5)
    afresh = summed(3, context_from=changed.context_from)
    assert await store.summaries.put(conversation.id, afresh)
    assert await store.summaries.get(conversation.id, changed.context_from) == afresh
    assert await store.conversations.delete(conversation.id)
    assert await store.summaries.get(conversation.id, changed.context_from) is None
    assert not await store.summaries.put(conversation.id, summed(20), behind=3)
    assert not await store.summaries.put("unknown", summed(1))


async def test_of_two_that_sum_up_at_the_same_time_one_is_kept(store: Store) -> None:
    conversation = (await ask(store, "hello")).conversation
    kept = await asyncio.gather(*(store.summaries.put(conversation.id, summed(upto)) for upto in range(1, 9)))
    assert kept.count(True) == 1
