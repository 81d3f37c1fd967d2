"""A stored conversation goes from one assistant to another: by command, on the socket, by a tool; and the house as a
service for programs."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.directory import AIService
from antiphon.errors import ConfigError
from antiphon.providers.demo.server import DemoServer
from antiphon.realtime.client.push import PushError
from antiphon.settings.config import Config
from antiphon.tools.base import tool
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving, over_http
from tests.serving import LONGEST, Visitor, Visitors

HOST = Assistant("host", hands_over_to=["cook"])
COOK = Assistant("cook", description="Cooks.", capabilities=["recipes"])


def who(visitor: Visitor, answer: dict[str, Any]) -> str:
    """Who gave an answer, as it was told when that began."""
    (begun,) = visitor.named("turn_start", answer["turn_id"])
    return str(begun["assistant"])


async def test_a_command_hands_over_and_what_was_said_goes_along(house: Serving, visitors: Visitors) -> None:
    async with house(added=(HOST, COOK)) as workspace:
        visitor = await visitors.enter(workspace.url)
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        listed = (await visitors.connect(workspace.url)).channel("conversations")
        listed.on("updated", lambda _, payload: heard.put_nowait(payload["conversation"]))
        await listed.join()
        assert who(visitor, await visitor.ask("!echo Good evening")) == "host"
        shown = (await visitor.ask("/assistant"))["text"]
        assert shown.startswith("`host` answers here.")
        assert "- `cook`: Cooks." in shown
        refused = await visitor.ask("/assistant cok")
        assert (refused["end"]["status"], refused["text"]) == (
            "refused",
            "There is no assistant called 'cok'. Did you mean cook?",
        )
        assert "`cook` answers here from now on" in (await visitor.ask("/assistant @cook"))["text"]
        assert (await visitor.ask("/assistant cook"))["text"] == "`cook` answers here already."
        answer = await visitor.ask("What was my first question?")
        assert (who(visitor, answer), "> !echo Good evening" in answer["text"]) == ("cook", True)
        async with asyncio.timeout(LONGEST):
            while (await heard.get())["assistant"] != "cook":
                pass
        conversation_id = visitor.conversation_id
    await visitors.close()
    async with house(added=(HOST, COOK)) as workspace:
        visitor = await visitors.enter(workspace.url, conversation_id)
        assert visitor.joined["conversation"]["assistant"] == "cook"
        assert who(visitor, await visitor.ask("!echo still")) == "cook"


async def test_a_client_hands_over_behind_what_runs_and_it_is_in_the_record(house: Serving, visitors: Visitors) -> None:
    async with house(added=(HOST, COOK)) as workspace:
        visitor = await visitors.enter(workspace.url)
        running = (await visitor.say("!slow 5 !long 60"))["turn_id"]
        receipt = await visitor.channel.push("handoff", {"to": "cook"})
        behind = (await visitor.say("!echo mine"))["turn_id"]
        assert who(visitor, await visitor.answer(running)) == "host"
        assert "`cook` answers here from now on" in (await visitor.answer(receipt["turn_id"]))["text"]
        assert who(visitor, await visitor.answer(behind)) == "cook"
        assert "/assistant cook" in [message["text"] for message in visitor.shown()]
        for wrong in ({"to": "coook"}, {"to": None}, {}, {"to": ["cook"]}):
            with pytest.raises(PushError, match=r"Did you mean cook|must be the name of an assistant"):
                await visitor.channel.push("handoff", wrong)
        assert len((await visitor.ask("/assistant " + "coook" * 9_000))["text"]) < 200


async def test_an_assistant_gives_the_person_to_another_one_by_a_tool(house: Serving, visitors: Visitors) -> None:
    async with house(added=(HOST, COOK)) as workspace:
        visitor = await visitors.enter(workspace.url)
        wrong = await visitor.ask('!tool hand_over {"to": "coook"}')
        assert "'coook' cannot take over. Did you mean cook?" in wrong["text"]
        given = await visitor.ask('!tool hand_over {"to": "cook"}')
        assert (who(visitor, given), "From their next message on cook answers" in given["text"]) == ("host", True)
        assert who(visitor, await visitor.ask("!echo mine")) == "cook"
        assert "no tool" in (await visitor.ask('!tool hand_over {"to": "host"}'))["text"].lower()
        async with AsyncOpenAI(base_url=f"{workspace.url}/v1", api_key="none", max_retries=0) as client:
            asked = [{"role": "user", "content": '!tool hand_over {"to": "cook"}'}]
            said = await client.chat.completions.create(model="host", messages=asked)  # type: ignore[arg-type]
            assert "This conversation is not kept here" in (said.choices[0].message.content or "")


def test_settings_say_who_may_be_handed_over_to_and_a_wrong_name_is_told_at_the_start(tmp_path: Path) -> None:
    async def start(to: str) -> None:
        config = Config(
            detect_local_models=False,
            database={"url": f"sqlite:///{tmp_path}/antiphon.db"},
            assistants={"named": {"host": {"hands_over_to": [to]}, "cook": {}}},
        )
        async with Workspace(config) as workspace:
            assert [each.name for each in workspace.assistants.get("host").tools] == ["hand_over"]

    asyncio.run(start("cook"))
    with pytest.raises(ConfigError, match=r"no assistant called 'coock'\. Did you mean cook"):
        asyncio.run(start("coock"))


async def test_tools_ask_the_house_for_an_assistant_and_the_house_pays(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    @tool
    async def ask_around(task: str, service: AIService) -> str:
        """Asks whoever can."""
        return (await service.process(task, capability="recipes")).text

    async with house(added=(Assistant("host", tools=[ask_around]), COOK), **over_http(vendor.url)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask('!tool ask_around {"task": "!echo Boil it."}')
        assert answer["text"] == "`ask_around` answered:\n\nBoil it."
        async with aiohttp.ClientSession() as session, session.get(f"{workspace.url}/api/v1/usage?by=house") as found:
            (bill,) = (await found.json())["items"]
        assert bill["calls"] == 3
