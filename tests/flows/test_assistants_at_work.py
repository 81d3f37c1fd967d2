"""Teams, strategies, guardrails and answers with a form, as people meet them: on the socket, with a vendor behind real
HTTP, and on the bill."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from antiphon import ChannelMessage, Config, TurnEvent
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.guardrails import pattern
from antiphon.assistants.private import personal_data
from antiphon.assistants.strategies import ResponseContext
from antiphon.errors import ConfigError
from antiphon.providers.demo.server import DemoServer
from antiphon.storage.base import ConversationStore
from antiphon.tools.base import tool
from antiphon.workspace import Workspace
from tests.flows.conftest import KEY, Serving, over_http
from tests.serving import LONGEST, Visitors

WRITER = Assistant("writer", description="Writes.", instructions="You write.")
PRICES = {"openai:demo": {"input": 1, "output": 2}, "openrouter:demo": {"input": 10, "output": 20}}


class Side:
    """Asks on the side, and says what it heard there."""

    async def generate_response(self, context: ResponseContext) -> str | None:
        heard = await context.ask(context.question)
        return f"I heard: {heard}"


class Form(BaseModel):
    city: str
    days: int


@tool
async def pay(amount: int) -> str:
    """Pays."""
    return f"{amount} paid."


async def spent(url: str, by: str) -> dict[str, dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/usage?by={by}") as response:
        return {item["owner"]: item for item in (await response.json())["items"]}


def two_vendors(vendor: DemoServer, **more: Any) -> dict[str, Any]:
    house = over_http(vendor.url, **more)
    house["providers"]["openrouter"] = {"base_url": vendor.url, "api_key": KEY}
    return house


# --- teams --------------------------------------------------------------------------------------------------------


async def test_every_call_of_a_team_is_paid_by_its_own_model_and_shown_in_the_turn(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    member = Assistant("writer", description="Writes.", model="openrouter:demo")
    sections = two_vendors(vendor, budgets={"prices": PRICES})
    async with house(added=(Assistant("lead", team=[member]),), **sections) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask('!tool ask_writer {"task": "!echo It is B."}')
        assert answer["text"] == "`ask_writer` answered:\n\nIt is B."
        told = answer["end"]["usage"]
        tools = visitor.named("tool", answer["turn_id"])
        assert [(each["name"], each["status"]) for each in tools] == [("ask_writer", "running"), ("ask_writer", "done")]
        models = await spent(workspace.url, "model")
        assert {name: each["calls"] for name, each in models.items()} == {"openai:demo": 2, "openrouter:demo": 1}
        for by in ("person", "conversation", "platform", "house"):
            (owner,) = (await spent(workspace.url, by)).values()
            assert owner["calls"] == 3
            assert owner["input_tokens"] + owner["output_tokens"] == told["input_tokens"] + told["output_tokens"]
            assert owner["cost"] == pytest.approx(told["cost"])
        async with AsyncOpenAI(base_url=f"{workspace.url}/v1", api_key="none", max_retries=0) as client:
            question = '!tool ask_writer {"task": "!echo It is C."}'
            said = await client.chat.completions.create(model="lead", messages=[{"role": "user", "content": question}])
        assert said.choices[0].message.content == "`ask_writer` answered:\n\nIt is C."
        assert (await spent(workspace.url, "platform"))["openai"]["calls"] == 3


async def test_a_budget_stops_a_member_as_it_stops_its_lead(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    sections = over_http(vendor.url, budgets={"person": {"tokens_per_day": 3_000}})
    async with house(added=(Assistant("lead", team=[WRITER]),), **sections) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask('!tool ask_writer {"task": "!long 3000"}')
        end = answer["end"]
        assert end["usage"]["output_tokens"] > 3_000
        assert end["reason"].startswith("Your budget for today (3,000 tokens) does not reach for another answer.")
        async with aiohttp.ClientSession() as session, session.get(f"{workspace.url}/metrics") as response:
            assert 'antiphon_budget_refusals_total{scope="person"} 1.0' in await response.text()


async def test_what_a_member_is_refused_by_a_budget_is_told_to_the_lead(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    sections = over_http(vendor.url, budgets={"person": {"tokens_per_day": 1_400}})
    async with house(added=(Assistant("lead", team=[WRITER]),), **sections) as workspace:
        visitor = await visitors.enter(workspace.url)
        ask = '!tool ask_writer {"task": "!slow 100 !echo one two three"}'
        answer = await visitor.ask(" ".join([ask] * 3))
        assert answer["end"]["status"] == "answered"
        assert "`ask_writer` answered:\n\none two three" in answer["text"]
        assert "writer has no whole answer. Your budget for today (1,400 tokens) does not reach" in answer["text"]


async def test_a_member_that_fails_is_told_to_the_lead_and_to_the_person(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(added=(Assistant("lead", team=[WRITER]),), **over_http(vendor.url)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask('!tool ask_writer {"task": "!cut 1 !long 40"}')
        assert (answer["end"]["status"], answer["end"]["usage"]["estimated"]) == ("answered", True)
        assert "writer has no whole answer." in answer["text"]
        (call,) = [part for part in answer["parts"] if part["type"] == "tool"]
        assert call["status"] == "failed"


async def test_stopping_a_turn_stops_the_member_that_works(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(added=(Assistant("lead", team=[WRITER]),), **over_http(vendor.url)) as workspace:
        visitor = await visitors.enter(workspace.url)
        receipt = await visitor.say('!tool ask_writer {"task": "!slow 5000 !long 400"}')
        await visitor.until("tool", name="ask_writer", status="running")
        await visitor.channel.push("cancel", {"turn_id": receipt["turn_id"]})
        answer = await visitor.answer(receipt["turn_id"])
        assert (answer["end"]["status"], answer["end"]["reason"]) == ("interrupted", "Stopped.")
        async with asyncio.timeout(5):
            while vendor.active:
                await asyncio.sleep(0.01)


# --- strategies ---------------------------------------------------------------------------------------------------


async def test_what_a_strategy_asks_on_the_side_is_paid_and_shown(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    sections = over_http(vendor.url, budgets={"prices": PRICES})
    async with house(added=(Assistant("host", strategy=Side()),), **sections) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask("!echo one two three")
        assert answer["text"] == "I heard: one two three"
        (person,) = (await spent(workspace.url, "person")).values()
        assert (person["calls"], person["output_tokens"]) == (1, answer["end"]["usage"]["output_tokens"])
        assert person["cost"] == pytest.approx(answer["end"]["usage"]["cost"]) != 0
        failed = await visitor.ask("!cut 3 !long 40")
        assert failed["end"]["status"] == "refused"
        (person,) = (await spent(workspace.url, "person")).values()
        both = answer["end"]["usage"]["input_tokens"] + failed["end"]["usage"]["input_tokens"]
        assert (person["calls"], person["input_tokens"]) == (2, both)


# --- guardrails ---------------------------------------------------------------------------------------------------


async def test_guardrails_of_house_and_assistant_stand_between_person_and_vendor(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    guide = Assistant("guide", guardrails=[pattern("rival", "(?i)acme"), personal_data(["email"])])
    sections = over_http(vendor.url, assistants={"guardrails": {"secrets": "refuse"}})
    async with house(added=(guide,), **sections) as workspace:
        visitor = await visitors.enter(workspace.url)
        masked = await visitor.ask("!echo write to ann@example.org now")
        assert masked["text"] == "write to [e-mail address] now"
        before = (await spent(workspace.url, "house"))[""]["calls"]
        refused = await visitor.ask("!echo my key is sk-abcdefghijklmnop0123456789")
        assert (refused["end"]["status"], (await spent(workspace.url, "house"))[""]["calls"]) == ("refused", before)
        assert "This contains a key or a token." in refused["text"]
        out = await visitor.ask("!echo The best one is ac\u200bme, or ACME.")
        assert out["end"]["status"] == "refused"
        assert "ACME" not in json.dumps([event for event in visitor.events if event[0] in {"delta", "turn_end"}])


# --- answers with a form ------------------------------------------------------------------------------------------


async def test_an_answer_with_a_form_comes_whole_or_not_at_all(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(added=(Assistant("clerk", output=Form),), **over_http(vendor.url)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask('!echo {"city": "Oslo", "days": 3}')
        assert (json.loads(answer["text"]), answer["end"]["status"]) == ({"city": "Oslo", "days": 3}, "answered")
        deltas = visitor.named("delta", answer["turn_id"])
        assert "".join(each.get("text", "") for each in deltas) == answer["text"]
        filled = await visitor.ask("Three days? No, 4 days in Lisbon!")
        assert json.loads(filled["text"]) == {"city": "Lisbon", "days": 4}
        before = (await spent(workspace.url, "house"))[""]["calls"]
        mended = await visitor.ask('!echo {"city": "Oslo"}')
        assert json.loads(mended["text"]).keys() == {"city", "days"}
        assert (await spent(workspace.url, "house"))[""]["calls"] - before == 2


async def test_an_answer_that_never_gets_its_form_is_refused_and_paid(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    form = {"type": "object", "properties": {"no": {"type": "string", "enum": []}}, "required": ["no"]}
    async with house(added=(Assistant("clerk", output=form),), **over_http(vendor.url)) as workspace:
        visitor = await visitors.enter(workspace.url)
        wrong = await visitor.ask("Anything")
        assert wrong["end"]["reason"] == "The model did not answer in the form that is wanted. Ask again."
        (bill,) = (await spent(workspace.url, "house")).values()
        assert (bill["calls"], bill["output_tokens"]) == (3, wrong["end"]["usage"]["output_tokens"])
        assert visitor.said.get(wrong["turn_id"], "") == ""


# --- handlers -----------------------------------------------------------------------------------------------------


async def test_handlers_of_the_built_in_assistant_outlive_a_reload(tmp_path: Path) -> None:
    file, heard = tmp_path / "antiphon.yaml", asyncio.Queue[tuple[str, bool]]()
    file.write_text(f"detect_local_models: false\ndatabase: {{url: 'sqlite:///{tmp_path}/antiphon.db'}}\n")
    async with Workspace(Config.load(file, environ={})) as workspace:

        @workspace.assistants.default.on_event("stop")
        async def stopped() -> None:
            heard.put_nowait(("stopped", True))

        @workspace.assistants.default.subscribe("assistant_message")
        async def listen(event: TurnEvent, store: ConversationStore) -> None:
            heard.put_nowait((event.text, store is workspace.store.conversations))

        for number, text in enumerate(("before", "behind")):
            message = ChannelMessage(adapter="post", place="p", account="ann", key=str(number), text=f"!echo {text}")
            await workspace.deliver(message)
            async with asyncio.timeout(LONGEST):
                assert await heard.get() == (text, True)
            if not number:
                file.write_text(f"{file.read_text()}assistants: {{description: Another one.}}\n")
                assert await workspace.settings.reload()
        assert workspace.assistants.default.description == "Another one."
    assert heard.get_nowait() == ("stopped", True)


# --- names in the setting `tools.approval` ------------------------------------------------------------------------


async def test_a_tool_that_nobody_has_cannot_be_made_to_ask(house: Serving) -> None:
    lead = Assistant("lead", team=[Assistant("cashier", tools=[pay])])
    with pytest.raises(ConfigError, match=r"tools\.approval names 'pai', which is no tool\. Did you mean pay\?"):
        async with house(added=(lead,), tools={"approval": {"pay": "never", "web_fetch": "always", "pai": "always"}}):
            pass


async def test_what_a_server_may_still_bring_is_told_in_the_log(
    house: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    things = {"things": {"command": sys.executable, "args": [str(Path(__file__).parents[1] / "mcp_server.py")]}}
    async with house(mcp={"servers": things}, tools={"approval": {"things__ad": "always", "things__add": "always"}}):
        pass
    told = [line for line in capsys.readouterr().err.splitlines() if "approval.unknown_tool" in line]
    assert told
    assert "Did you mean things__add?" in told[0]
    assert "'things__add'" not in told[0]
