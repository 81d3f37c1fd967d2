"""What a person must allow first: asked wherever they are, answered once, done once, also after a restart."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from msgspec import structs

from antiphon.adapters.base import Capabilities, Deliver
from antiphon.assistants.assistant import Assistant
from antiphon.domain import ChannelMessage, Message, Target
from antiphon.errors import NotFoundError
from antiphon.providers.demo.reading import Reading
from antiphon.realtime.client.push import PushError
from antiphon.storage.base import LOCAL_ACCOUNT
from antiphon.tools.base import tool
from tests.flows.conftest import Serving
from tests.serving import LONGEST, Visitor, Visitors

PAY = '!tool pay {"amount": 500}'


class Till:
    """What was paid, and the tools that pay."""

    def __init__(self) -> None:
        self.paid: list[int] = []
        self.looked = 0
        self.open = asyncio.Event()
        self.open.set()

    @property
    def cashier(self) -> Assistant:
        @tool(approval=lambda arguments: arguments["amount"] > 100)
        async def pay(amount: int, to: str = "the baker") -> str:
            """Pay somebody."""
            self.paid.append(amount)
            return f"{to} has {amount}."

        @tool
        async def look() -> str:
            """See what was paid."""
            await self.open.wait()
            self.looked += 1
            return f"{len(self.paid)} payments"

        return Assistant("cashier", tools=[pay, look])


class Pigeons:
    """A platform that keeps what it was sent."""

    name = "pigeons"
    capabilities = Capabilities(idempotent=True)

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.deliver: Deliver | None = None
        self._arrived = asyncio.Event()

    async def start(self, deliver: Deliver) -> None:
        self.deliver = deliver

    async def stop(self) -> None:
        """Nothing to close."""

    def parse_message(self, raw: Mapping[str, Any]) -> ChannelMessage | None:
        return None

    async def send_message(self, target: Target, message: Message) -> str | None:
        self.sent.append(message.text)
        self._arrived.set()
        return None

    async def say(self, text: str, place: str = "loft", account: str = "ada") -> None:
        assert self.deliver is not None
        key = f"{len(self.sent)}-{text}"
        await self.deliver(ChannelMessage(adapter="pigeons", place=place, account=account, key=key, text=text))

    async def hears(self, part: str) -> str:
        async with asyncio.timeout(LONGEST):
            while not (found := [text for text in self.sent if part in text]):
                self._arrived.clear()
                await self._arrived.wait()
        return found[-1]


async def waits(visitor: Visitor, text: str = PAY) -> tuple[str, dict[str, Any]]:
    """A turn that waits, and what it waits for."""
    turn_id = (await visitor.say(text))["turn_id"]
    return turn_id, await visitor.until("approval", turn_id=turn_id)


def tools_of(message: dict[str, Any]) -> list[tuple[str, str]]:
    return [(part["name"], part["status"]) for part in message["parts"] if part["type"] == "tool"]


async def test_a_call_is_carried_out_when_it_was_allowed(house: Serving, visitors: Visitors) -> None:
    till = Till()
    async with house(added=(till.cashier,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn_id, asked = await waits(visitor)
        assert (asked["name"], asked["arguments"], asked["verdict"]) == ("pay", '{"amount": 500}', None)
        assert till.paid == []
        assert workspace.router.waiting().running == 0
        answered = await visitor.channel.push("approve", {"call_id": asked["call_id"]})
        assert (answered["verdict"], answered["decided_by"]) == ("approved", "local")
        answer = await visitor.answer(turn_id)
        assert (answer["status"], tools_of(answer)) == ("answered", [("pay", "done")])
        assert "the baker has 500" in answer["text"]
        assert till.paid == [500]
        assert "approval: pay: approved" in (await visitor.ask("/why"))["text"]


async def test_small_sums_need_nobody_and_wrong_ones_fail_by_themselves(house: Serving, visitors: Visitors) -> None:
    till = Till()
    async with house(added=(till.cashier,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert tools_of(await visitor.ask('!tool pay {"amount": 5}')) == [("pay", "done")]
        assert tools_of(await visitor.ask('!tool pay {"amount": "much"}')) == [("pay", "failed")]
        assert till.paid == [5]


async def test_who_says_no_is_obeyed_and_the_model_is_told_why(house: Serving, visitors: Visitors) -> None:
    till = Till()
    async with house(added=(till.cashier,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn_id, asked = await waits(visitor)
        await visitor.channel.push("deny", {"call_id": asked["call_id"], "reason": "He has enough bread."})
        answer = await visitor.answer(turn_id)
        assert (answer["status"], tools_of(answer)) == ("answered", [("pay", "cancelled")])
        assert "He has enough bread." in answer["text"]
        assert till.paid == []
        with pytest.raises(PushError, match="answered, or its time is up"):
            await visitor.channel.push("approve", {"call_id": asked["call_id"]})


async def test_of_two_answers_the_first_one_counts_and_the_other_is_told(house: Serving, visitors: Visitors) -> None:
    till = Till()
    async with house(added=(till.cashier,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn_id, asked = await waits(visitor)
        pushes = [visitor.channel.push(event, {"call_id": asked["call_id"]}) for event in ("approve", "deny") * 4]
        answers = await asyncio.gather(*pushes, return_exceptions=True)
        # The same answer of the same person again is no other answer.
        assert {answer["verdict"] for answer in answers if isinstance(answer, dict)} == {"approved"}
        assert all(isinstance(answer, PushError | dict) for answer in answers)
        assert isinstance(answers[1], PushError)
        await visitor.answer(turn_id)
        assert till.paid == [500]


async def test_a_round_waits_for_all_its_answers_and_does_the_rest_before(house: Serving, visitors: Visitors) -> None:
    till = Till()
    async with house(added=(till.cashier,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn_id = (await visitor.say(f"{PAY} !tool look {{}} {PAY}"))["turn_id"]
        await visitor.see(lambda: len(visitor.named("approval")) == 2)
        assert (till.looked, till.paid) == (1, [])
        first, second = visitor.named("approval")
        await visitor.channel.push("approve", {"id": second["id"]})
        assert "turn_end" not in {name for name, _ in visitor.events}
        await visitor.channel.push("deny", {"id": first["id"]})
        answer = await visitor.answer(turn_id)
        assert tools_of(answer) == [("pay", "cancelled"), ("look", "done"), ("pay", "done")]
        assert (till.looked, till.paid) == (1, [500])


async def test_it_goes_on_in_another_process(house: Serving, visitors: Visitors) -> None:
    till = Till()
    async with house(added=(till.cashier,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        _, asked = await waits(visitor)
        conversation_id = visitor.conversation_id
        await visitors.close()
    async with house(added=(till.cashier,)) as workspace:
        later = await visitors.enter(workspace.url, conversation_id)
        [turn] = later.joined["turns"]
        assert (turn["status"], turn["assistant"]) == ("waiting", "cashier")
        shown = await later.until("approval", turn_id=turn["turn_id"])
        assert shown == asked
        await later.channel.push("approve", {"call_id": asked["call_id"]})
        answer = await later.answer(turn["turn_id"])
        assert (answer["status"], till.paid) == ("answered", [500])


async def test_whoever_goes_on_has_not_allowed_it(house: Serving, visitors: Visitors) -> None:
    till = Till()
    async with house(added=(till.cashier,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn_id, _ = await waits(visitor)
        assert (await visitor.ask("/status"))["end"]["status"] == "answered"
        assert "turn_end" not in {name for name, payload in visitor.events if payload.get("turn_id") == turn_id}
        answer = await visitor.ask("!echo Something else.")
        given_up = await visitor.answer(turn_id)
        assert (given_up["status"], tools_of(given_up)) == ("interrupted", [("pay", "cancelled")])
        assert given_up["parts"][-1]["code"] == "went_on"
        assert answer["text"] == "Something else."
        assert [message["ticket"] for message in visitor.shown()] == sorted(m["ticket"] for m in visitor.shown())
        assert till.paid == []


async def test_a_turn_that_waits_can_be_stopped(house: Serving, visitors: Visitors) -> None:
    till = Till()
    async with house(added=(till.cashier,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn_id, _ = await waits(visitor)
        await visitor.channel.push("cancel", {"turn_id": turn_id})
        answer = await visitor.answer(turn_id)
        assert (answer["status"], answer["parts"][-1]["code"]) == ("interrupted", "cancelled")
        assert till.paid == []


async def test_calls_of_one_id_in_turns_that_wait_side_by_side_are_told_apart(
    house: Serving, visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers count the calls of each answer from 0."""
    monkeypatch.setattr(Reading, "call_id", lambda _, at: f"call_{at}")
    till = Till()
    async with house(added=(till.cashier,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        till.open.clear()
        await visitor.say("!tool look {}")
        # Both are said before the first is asked about, and so neither gives up the other.
        turns = [(await visitor.say(f'!tool pay {{"amount": {amount}}}'))["turn_id"] for amount in (500, 700)]
        till.open.set()
        asked = [await visitor.until("approval", turn_id=turn_id) for turn_id in turns]
        assert {each["call_id"] for each in asked} == {"call_0"}
        with pytest.raises(PushError, match="Answer each by its `id`"):
            await visitor.channel.push("approve", {"call_id": "call_0"})
        await visitor.channel.push("approve", {"id": asked[1]["id"]})
        await visitor.answer(turns[1])
        assert till.paid == [700]
        await visitor.channel.push("deny", {"call_id": "call_0"})
        await visitor.answer(turns[0])
        assert till.paid == [700]


async def test_what_nobody_answers_is_not_done(house: Serving, visitors: Visitors) -> None:
    till = Till()
    async with house(added=(till.cashier,), tools={"approval_seconds": 0.2}) as workspace:
        visitor = await visitors.enter(workspace.url)
        turn_id, _ = await waits(visitor)
        answer = await visitor.answer(turn_id)
        assert (answer["status"], tools_of(answer)) == ("answered", [("pay", "cancelled")])
        assert "expired" in {part.get("code") for part in answer["parts"]}
        assert till.paid == []


async def test_an_answer_that_comes_too_late_is_none(house: Serving, visitors: Visitors) -> None:
    """Also before anybody has looked what is overdue, as in a house that was down meanwhile."""
    till = Till()
    async with house(added=(till.cashier,)) as workspace:
        visitor = await visitors.enter(workspace.url)
        await waits(visitor)
        me = await workspace.store.people.by_account(*LOCAL_ACCOUNT, name="You")
        [asked] = await workspace.approvals.asked(me)
        with pytest.raises(NotFoundError, match="The time to answer is up: pay"):
            await workspace.approvals.answer(me, structs.replace(asked, expires_at=asked.asked_at), "approved")
        assert till.paid == []


async def test_an_operator_demands_it_of_any_tool_or_of_none(house: Serving, visitors: Visitors) -> None:
    till = Till()
    demands = {"look": "always", "pay": "never"}
    async with house(added=(till.cashier,), tools={"approval": demands}) as workspace:
        visitor = await visitors.enter(workspace.url)
        await visitor.ask(PAY)
        assert till.paid == [500]
        turn_id, asked = await waits(visitor, "!tool look {}")
        assert till.looked == 0
        await visitor.channel.push("approve", {"id": asked["id"]})
        await visitor.answer(turn_id)
        assert till.looked == 1


async def test_a_platform_asks_in_words_and_takes_words(house: Serving, visitors: Visitors) -> None:
    till, pigeons = Till(), Pigeons()
    async with house(added=(till.cashier,), adapters={"pigeons": pigeons}):
        await pigeons.say(PAY)
        question = await pigeons.hears("permission")
        assert '`pay` {"amount": 500}' in question
        assert "/approve" in question
        await pigeons.say("/approve", account="bob", place="elsewhere")
        assert "Nothing waits" in await pigeons.hears("Nothing waits")
        await pigeons.say("/approve")
        assert "`pay`" in await pigeons.hears("Allowed:")
        assert "the baker has 500" in await pigeons.hears("the baker has")
        assert till.paid == [500]


async def test_a_person_answers_from_anywhere(house: Serving, visitors: Visitors) -> None:
    """Over HTTP as well, and an operator from a conversation that is not the one."""
    till, pigeons = Till(), Pigeons()
    async with house(added=(till.cashier,), adapters={"pigeons": pigeons}) as workspace:
        await pigeons.say(PAY)
        await pigeons.hears("permission")
        async with aiohttp.ClientSession(f"{workspace.url}/api/v1/") as session:
            async with session.get("approvals") as response:
                [item] = (await response.json())["items"]
            visitor = await visitors.enter(workspace.url)
            assert "Not allowed: `pay`" in (await visitor.ask(f"/deny {item['code']} not today"))["text"]
            assert "not today" in await pigeons.hears("not today")
            async with session.post(f"approvals/{item['id']}", json={"verdict": "approved"}) as response:
                assert response.status == 404
            await pigeons.say('!tool pay {"amount": 700}')
            await pigeons.hears('"amount": 700')
            async with session.get("approvals") as response:
                [item] = (await response.json())["items"]
            async with session.post(f"approvals/{item['id']}", json={"verdict": "approved"}) as response:
                assert (await response.json())["verdict"] == "approved"
        await pigeons.hears("the baker has 700")
        assert till.paid == [700]


async def test_every_turn_that_waits_can_be_seen_and_answered_however_many_there_are(
    house: Serving, visitors: Visitors
) -> None:
    till, pigeons = Till(), Pigeons()
    async with house(added=(till.cashier,), adapters={"pigeons": pigeons}) as workspace:
        for number in range(1, 151):
            await pigeons.say(f'!tool pay {{"amount": {1_000 + number}}}', place=f"loft {number}")
            await pigeons.hears(f'"amount": {1_000 + number}')
        visitor = await visitors.enter(workspace.url)
        mine, _ = await waits(visitor)
        async with aiohttp.ClientSession(f"{workspace.url}/api/v1/") as session:
            items: list[dict[str, Any]] = []
            cursor: str | None = ""
            while cursor is not None:
                async with session.get("approvals", params={"limit": 60, "cursor": cursor}) as response:
                    page = await response.json()
                assert len(page["items"]) <= 60
                items, cursor = [*items, *page["items"]], page["cursor"]
            assert [json.loads(item["arguments"])["amount"] for item in items] == [*range(1_001, 1_151), 500]
            async with session.post(f"approvals/{items[148]['id']}", json={"verdict": "approved"}) as response:
                assert response.status == 200
        await pigeons.hears("the baker has 1149")
        assert "Allowed: `pay`" in (await visitor.ask(f"/approve {items[149]['code'].lower()}"))["text"]
        await pigeons.hears("the baker has 1150")
        await visitor.channel.push("approve", {"call_id": items[150]["call_id"]})
        await visitor.answer(mine)
        await pigeons.say("/approve all", place="elsewhere")
        await pigeons.hears("the baker has 1001")
        await pigeons.hears("the baker has 1148")
        assert sorted(till.paid) == [500, *range(1_001, 1_151)]


async def test_a_newcomer_sees_it_on_a_fresh_machine_with_plain_words(house: Serving, visitors: Visitors) -> None:
    async with house() as workspace:
        visitor = await visitors.enter(workspace.url)
        await visitor.ask("Remember that my favourite colour is green")
        turn_id, asked = await waits(visitor, "Forget that my favourite colour is green")
        assert (asked["name"], asked["arguments"]) == ("forget", '{"text":"my favourite colour is green"}')
        assert "favourite colour is green" in (await visitor.ask("/memory"))["text"]
        assert "forget" in (await visitor.ask("/deny not now"))["text"]
        answer = await visitor.answer(turn_id)
        assert tools_of(answer) == [("forget", "cancelled")]
        assert "not now" in answer["text"]
        turn_id, asked = await waits(visitor, "Please forget my favourite colour.")
        await visitor.ask("/approve")
        answer = await visitor.answer(turn_id)
        assert (answer["text"], tools_of(answer)) == (
            "Forgotten: my favourite colour is green",
            [("forget", "done")],
        )
        assert "Nothing is remembered of you" in (await visitor.ask("/memory"))["text"]
