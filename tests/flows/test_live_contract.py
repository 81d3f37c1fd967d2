"""The live topics as `docs/reference` describes them: shapes, lists that keep themselves up to date, cancelling."""

from datetime import datetime
from typing import Any

import aiohttp
import pytest

from antiphon.realtime.client.push import PushError
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.serving import Visitor, Visitors

CONVERSATION = {"id", "title", "assistant", "model", "created_at", "updated_at", "adapter"}
MESSAGE = {
    "id", "conversation_id", "role", "text", "parts", "person", "turn_id", "status", "created_at", "position", "ticket",
}  # fmt: skip


class List:
    """The topic `conversations` on a connection of its own."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    @classmethod
    async def join(cls, visitors: Visitors, url: str) -> tuple["List", list[dict[str, Any]], Visitor]:
        made = cls()
        client = await visitors.connect(url)
        channel = client.channel("conversations")
        visitor = Visitor(client, channel)
        channel.on_joined = None
        channel.on(None, lambda event, payload: made.events.append((event, payload)))
        reply = await channel.join()
        return made, reply["conversations"], visitor


async def test_the_join_of_a_conversation(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url, title="  Tides \n and  times ")
    await visitor.ask("!echo one")
    reply = await visitors.enter(here.url, visitor.conversation_id)
    joined = reply.joined
    assert set(joined) == {"conversation", "members", "person", "messages", "turns", "cursor", "recovered"}
    assert set(joined["conversation"]) >= CONVERSATION
    assert joined["members"] == [{"id": "local", "name": "You"}]
    assert (joined["turns"], joined["cursor"], joined["recovered"]) == ([], "2", False)
    question, answer = joined["messages"]
    assert set(question) >= MESSAGE
    assert set(answer) >= MESSAGE
    assert question["person"] == "local"
    assert answer["person"] is None
    assert answer["parts"] == [{"type": "text", "text": "one"}]
    assert datetime.fromisoformat(question["created_at"]).utcoffset() is not None
    assert "in_context" not in answer


async def test_an_operator_is_told_whose_conversation_it_is(here: Workspace, visitors: Visitors) -> None:
    ann = await here.store.people.by_account("telegram", "ann", name="Ann")
    hers = await here.history.create(ann, client_id="c", assistant="antiphon")
    joined = (await visitors.enter(here.url, hers.id)).joined
    assert (joined["members"], joined["person"]) == ([{"id": ann.id, "name": "Ann"}], "local")


async def test_conversation_new_makes_one_for_each_client_id(here: Workspace, visitors: Visitors) -> None:
    client, other = await visitors.connect(here.url), await visitors.connect(here.url)
    first = await visitors.new_conversation(client, "a", title="Mine")
    assert await visitors.new_conversation(other, "a", title="Ignored") == first
    assert await visitors.new_conversation(client, "b") != first
    for payload in ({}, {"client_id": ""}, {"client_id": 7}, {"client_id": "x" * 201}):
        with pytest.raises(PushError, match="client_id"):
            await client.channel("conversation:new", payload).join()
    with pytest.raises(PushError, match=r"There is no assistant called 'gide'\. Did you mean guide"):
        await client.channel("conversation:new", {"client_id": "c", "assistant": "gide"}).join()


async def test_the_list_is_told_what_changes(here: Workspace, visitors: Visitors) -> None:
    mine, listed, watcher = await List.join(visitors, here.url)
    assert listed == []
    visitor = await visitors.enter(here.url)
    await watcher.until("created")
    await visitor.ask("!echo what a title")
    await watcher.see(lambda: len(watcher.named("updated")) >= 2)
    created, accepted, ended = mine.events
    assert created[1]["conversation"]["title"] == ""
    # A directive of the demo model is a text like any other; only commands give no title.
    assert accepted[1]["conversation"]["title"] == "!echo what a title"
    assert ended[1]["conversation"]["updated_at"] > accepted[1]["conversation"]["updated_at"]
    async with aiohttp.ClientSession(here.url) as http:
        path = f"/api/v1/conversations/{visitor.conversation_id}"
        async with http.patch(path, json={"title": "Renamed"}) as answer:
            assert answer.status == 200
        async with http.delete(path) as answer:
            assert answer.status == 204
    await watcher.until("deleted", id=visitor.conversation_id)
    assert mine.events[-2][1]["conversation"]["title"] == "Renamed"
    _, listed, _ = await List.join(visitors, here.url)
    assert listed == []


async def test_nothing_of_the_list_is_missed_while_it_is_read(
    here: Workspace, visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conversation that is made between the reading of the list and its sending comes behind it."""
    read = here.history.of
    maker = await visitors.connect(here.url)
    made: list[str] = []

    async def slow(*args: Any, **options: Any) -> Any:
        found = await read(*args, **options)
        made.append(await visitors.new_conversation(maker, "late"))
        return found

    monkeypatch.setattr(here.history, "of", slow)
    _, listed, watcher = await List.join(visitors, here.url)
    assert listed == []
    event = await watcher.until("created")
    assert event["conversation"]["id"] == made[0]


async def test_a_list_that_was_left_leaves_no_subscription(here: Workspace, visitors: Visitors) -> None:
    _, _, watcher = await List.join(visitors, here.url)
    assert here.pubsub.publish_now("person:local", ("updated", {})) == 1
    await watcher.channel.leave()
    assert here.pubsub.publish_now("person:local", ("updated", {})) == 0


async def test_two_clients_see_the_same(here: Workspace, visitors: Visitors) -> None:
    one = await visitors.enter(here.url)
    two = await visitors.enter(here.url, one.conversation_id)
    receipt = await one.say('!reason !tool clock {} !tool calculator {"expression": "1/0"}')
    await one.answer(receipt["turn_id"])
    await two.answer(receipt["turn_id"])
    assert one.events == two.events
    assert {payload["status"] for payload in one.named("tool")} >= {"running", "done", "failed"}
    assert any("reasoning" in payload for payload in one.named("delta"))


async def test_who_comes_late_gets_the_text_so_far_in_one_piece(here: Workspace, visitors: Visitors) -> None:
    early = await visitors.enter(here.url)
    receipt = await early.say("!slow 5 !long 200")
    turn_id = receipt["turn_id"]
    await early.see(lambda: early.seq.get(turn_id, 0) > 20)
    late = await visitors.enter(here.url, early.conversation_id)
    (turn,) = late.joined["turns"]
    assert turn["turn_id"] == turn_id
    assert turn["status"] == "running"
    assert (turn["assistant"], turn["model"]) == ("guide", "demo")
    answer = await late.answer(turn_id)
    first = late.named("delta", turn_id)[0]
    assert first["seq"] > 20
    assert answer["text"].startswith(first["text"])
    assert late.said[turn_id] == early.said[turn_id] == answer["text"]
    # Nothing is missing behind it; what is in it already may come again, and the client drops what it has.
    numbers = sorted({payload["seq"] for payload in late.named("delta", turn_id) if payload["seq"] >= first["seq"]})
    assert numbers == list(range(first["seq"], first["seq"] + len(numbers)))


async def test_cancelling_keeps_what_was_said(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    receipt = await visitor.say("!slow 5 !long 5000")
    turn_id = receipt["turn_id"]
    await visitor.see(lambda: visitor.seq.get(turn_id, 0) > 10)
    assert await visitor.channel.push("cancel", {"turn_id": turn_id}) == {}
    answer = await visitor.answer(turn_id)
    assert (answer["status"], answer["end"]["status"]) == ("interrupted", "interrupted")
    assert answer["text"] == visitor.said[turn_id]
    assert answer["parts"][-1] == {"type": "notice", "code": "cancelled", "text": "Stopped."}
    assert answer["end"]["reason"] == "Stopped."
    with pytest.raises(PushError, match="This turn is over, or never was"):
        await visitor.channel.push("cancel", {"turn_id": turn_id})
    assert (await visitor.ask("!echo next"))["text"] == "next"


async def test_cancelling_what_waits_and_what_belongs_elsewhere(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    other = await visitors.enter(here.url, client_id="other")
    running, waiting = await visitor.say("!slow 60000 !long 5"), await visitor.say("!long 50")
    with pytest.raises(PushError):
        await other.channel.push("cancel", {"turn_id": running["turn_id"]})
    late = await visitors.enter(here.url, visitor.conversation_id)
    assert [turn["status"] for turn in late.joined["turns"]] == ["running", "queued"]
    assert [turn["turn_id"] for turn in late.joined["turns"]] == [running["turn_id"], waiting["turn_id"]]
    await visitor.channel.push("cancel", {"turn_id": waiting["turn_id"]})
    await visitor.channel.push("cancel", {"turn_id": running["turn_id"]})
    for receipt in (running, waiting):
        assert (await visitor.answer(receipt["turn_id"]))["end"]["status"] != "answered"
    assert visitor.named("delta", waiting["turn_id"]) == []


async def test_cancelling_stops_a_tool(house: Serving, visitors: Visitors) -> None:
    async with house() as workspace:
        visitor = await visitors.enter(workspace.url)
        receipt = await visitor.say("!hang")
        await visitor.until("turn_start", turn_id=receipt["turn_id"])
        await visitor.channel.push("cancel", {"turn_id": receipt["turn_id"]})
        answer = await visitor.answer(receipt["turn_id"])
        assert answer["end"]["reason"] == "Stopped."


async def test_history_gives_pages_backwards(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    for number in range(6):
        await visitor.ask(f"!echo {number}")
    page = await visitors.enter(here.url, visitor.conversation_id, limit=4)
    assert [message["position"] for message in page.joined["messages"]] == [9, 10, 11, 12]
    earlier = await page.channel.push("history", {"before": 9, "limit": 4})
    assert [message["position"] for message in earlier["messages"]] == [5, 6, 7, 8]
    assert earlier["more"] is True
    earliest = await page.channel.push("history", {"before": 5})
    assert [message["position"] for message in earliest["messages"]] == [1, 2, 3, 4]
    assert earliest["more"] is False


@pytest.mark.parametrize("name", ["before", "limit"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "5", True, None, [], 2**60])
async def test_history_refuses_a_page_that_is_none(here: Workspace, visitors: Visitors, name: str, value: Any) -> None:
    visitor = await visitors.enter(here.url)
    with pytest.raises(PushError, match=f"`{name}` must be a positive whole number, or left out") as caught:
        await visitor.channel.push("history", {name: value})
    assert caught.value.response["code"] == "validation"
    assert await visitor.channel.push("history", {}) == {"messages": [], "more": False}


async def test_typing_reaches_the_others(here: Workspace, visitors: Visitors) -> None:
    one = await visitors.enter(here.url)
    two = await visitors.enter(here.url, one.conversation_id)
    three = await visitors.enter(here.url, one.conversation_id)
    client_id = "after typing"
    with pytest.raises(TimeoutError):
        await two.channel.push("typing", {"on": True}, timeout=0.05)
    assert await one.until("typing") == {"person": "local", "on": True}
    await two.say("!echo x", client_id)
    await three.until("turn_end")
    assert len(three.named("typing")) == 1
    assert two.named("typing") == []


async def test_a_message_sent_again_is_the_same_message(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    first = await visitor.say("!echo once", "k1")
    assert await visitor.say("!echo once", "k1") == first
    await visitor.answer(first["turn_id"])
    assert await visitor.say("anything", "k1") == first
    other = await visitors.enter(here.url, client_id="elsewhere")
    assert (await other.say("!echo x", "k1"))["turn_id"] != first["turn_id"]
    assert len(visitor.shown()) == 2


async def test_deleting_a_conversation_stops_its_turns(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    receipt = await visitor.say("!slow 60000 !long 5")
    await visitor.until("turn_start", turn_id=receipt["turn_id"])
    path = f"/api/v1/conversations/{visitor.conversation_id}"
    async with aiohttp.ClientSession(here.url) as http, http.delete(path) as answer:
        assert answer.status == 204
    end = await visitor.until("turn_end", turn_id=receipt["turn_id"])
    assert (end["status"], end["message_id"]) == ("interrupted", None)
    with pytest.raises(PushError, match="does not exist"):
        await visitor.say("hello?")
    assert here.router.waiting().running == 0


async def test_commands_change_what_they_say(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    assert "`/reset`" in (await visitor.ask("/help"))["text"]
    await visitor.ask("my name is Ada")
    assert (await visitor.ask("/reset"))["end"]["status"] == "answered"
    assert "1 running, 0 waiting" in (await visitor.ask("/status"))["text"]
    assert (await visitor.ask("/MODEL demo"))["text"] == "`demo` answers in this conversation from now on."
    again = await visitors.enter(here.url, visitor.conversation_id)
    assert again.joined["conversation"]["model"] == "demo"
    await visitor.ask("/model default")
    await visitor.ask("/model demo always")
    other = await visitors.enter(here.url, client_id="other")
    assert "chosen by: user" in (await other.ask("/model"))["text"]
    await other.ask("/model default always")
    assert "chosen by: system" in (await other.ask("/model"))["text"]
    assert (await visitor.ask("/etc/hosts is a file"))["role"] == "assistant"
