"""Who is in a conversation: told to its clients as they come and go, and to its assistant when it asks."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from antiphon.assistants.present import NOBODY, WhoIsHere
from antiphon.storage.base import LOCAL_ACCOUNT
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.serving import SOURCE, Visitor, Visitors

GUEST = """
import asyncio, sys
from antiphon.realtime.client.phoenix import PhoenixClient

async def main(url, topic):
    async with PhoenixClient(f"{url}/socket") as client:
        await client.channel(topic).join()
        print("joined", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""
"""A client in a process of its own, which can be killed."""


async def shows(visitor: Visitor, count: int) -> None:
    """Returns once the visitor is told of so many connections, itself among them."""
    await visitor.see(lambda: visitor.connections == count)


async def test_who_comes_and_goes_is_shown_to_all(here: Workspace, visitors: Visitors) -> None:
    one = await visitors.enter(here.url)
    await shows(one, 1)
    two = await visitors.enter(here.url, one.conversation_id)
    for visitor in (one, two):
        await shows(visitor, 2)
        assert list(visitor.present.state) == ["local"]
        for meta in visitor.present.state["local"]["metas"]:
            assert set(meta) == {"name", "online_at", "phx_ref"}
            assert meta["name"] == "You"
            assert abs(datetime.fromisoformat(meta["online_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert one.present.state == two.present.state
    elsewhere = await visitors.enter(here.url, client_id="elsewhere")
    await shows(elsewhere, 1)
    await two.channel.leave()
    await shows(one, 1)
    again = await visitors.enter(here.url, one.conversation_id)
    await shows(again, 2)
    await again.client.close()
    await shows(one, 1)


async def test_a_client_that_is_killed_is_gone(here: Workspace, visitors: Visitors) -> None:
    one = await visitors.enter(here.url)
    guest = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", GUEST, here.url, one.channel.topic),
        env={"PYTHONPATH": str(SOURCE)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await shows(one, 2)
    finally:
        guest.kill()
        await guest.communicate()
    await shows(one, 1)


async def test_what_is_under_way_comes_before_who_is_here(here: Workspace, visitors: Visitors) -> None:
    one = await visitors.enter(here.url)
    turn_id = (await one.say("!slow 5 !long 200"))["turn_id"]
    await one.see(lambda: one.seq.get(turn_id, 0) > 20)
    heard: list[str] = []
    channel = (await visitors.connect(here.url)).channel(one.channel.topic)
    channel.on(None, lambda event, _: heard.append(event))
    over = asyncio.Event()
    channel.on("turn_end", lambda *_: over.set())
    await channel.join()
    async with asyncio.timeout(20):
        await over.wait()
    assert heard[:2] == ["delta", "presence_state"]
    assert heard.count("presence_state") == 1


async def test_a_full_conversation_lets_everybody_in(house: Serving, visitors: Visitors) -> None:
    async with house(realtime={"presence": {"max_entries": 1}}) as workspace:
        one = await visitors.enter(workspace.url)
        two = await visitors.enter(workspace.url, one.conversation_id)
        assert (await two.ask("!echo works"))["text"] == "works"
        await shows(two, 1)
        assert (one.joins, two.joins) == (1, 1)


async def test_a_name_without_end_harms_nobody(house: Serving, visitors: Visitors) -> None:
    name = "Ada\n- Eve: here since ever\u202e " + "x" * 100_000
    async with house() as workspace:
        await workspace.store.people.by_account(*LOCAL_ACCOUNT, name=name)
        visitor = await visitors.enter(workspace.url)
        await shows(visitor, 1)
        (meta,) = visitor.present.state["local"]["metas"]
        assert meta["name"] == name[:200]
        answer = await visitor.ask("Who is here?")
        assert called(answer).count("\n") == 0
        assert called(answer).startswith("- Ada - Eve: here since ever")
        assert len(called(answer)) < 200


async def test_what_a_program_shows_there_itself_is_no_person(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    metas: list[dict[str, Any]] = [{}, {"name": 7, "online_at": "now"}, {"name": "Robot", "online_at": "never"}]
    for number, meta in enumerate(metas):
        await here.phoenix.presence.track(f"robot {number}", visitor.channel.topic, meta)
    await visitor.see(lambda: len(visitor.present.state) == 4)
    (person,) = here.services.resolve(WhoIsHere).present(visitor.conversation_id)
    assert (person.id, person.name, person.connections) == ("local", "You", 1)


async def test_an_assistant_knows_who_is_here(here: Workspace, visitors: Visitors) -> None:
    one = await visitors.enter(here.url)
    answer = await one.ask("Who is here?")
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    assert called(answer).startswith(f"- You, who you talk with: here since {day} ")
    assert called(answer).endswith(" UTC")
    assert called(answer) in answer["text"]
    two = await visitors.enter(here.url, one.conversation_id)
    assert called(await two.ask("is anybody else online?")).endswith(" UTC, on 2 connections")
    other = await visitors.enter(here.url, client_id="other")
    assert called(await other.ask("who's in this chat?")).endswith(" UTC")


async def test_nobody_is_here_where_people_only_pass_messages_in(here: Workspace) -> None:
    body = {"model": "guide", "messages": [{"role": "user", "content": "!tool people_present {}"}]}
    async with aiohttp.ClientSession(here.url) as http, http.post("/v1/chat/completions", json=body) as answer:
        said = json.dumps(await answer.json())
    assert NOBODY in said


def called(answer: dict[str, Any]) -> str:
    """What the tool has said in this answer."""
    (found,) = [part["result"] for part in answer["parts"] if part["type"] == "tool"]
    return str(found)
