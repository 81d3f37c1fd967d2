"""Searching over HTTP, in what was really said."""

from typing import Any

import aiohttp

from antiphon.workspace import Workspace
from tests.serving import Visitors


async def search(here: Workspace, *within: str, q: str, **more: str) -> dict[str, Any]:
    parameters = [("q", q), *(("in", name) for name in within), *more.items()]
    async with aiohttp.ClientSession(here.url) as http, http.get("/api/v1/search", params=parameters) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def test_messages_facts_and_the_manual_are_found_in_one_answer(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    await visitor.ask("Remember that the model railway is in the cellar")
    found = await search(here, q="model railway", limit="50")
    assert found["left_out"] == []
    assert {item["source"] for item in found["items"]} == {"messages", "facts", "manual"}
    fact = next(item for item in found["items"] if item["source"] == "facts")
    assert fact["text"] == "the «model» «railway» is in the cellar"
    message = next(item for item in found["items"] if item["role"] == "user")
    assert (message["reference"], message["id"]) == (visitor.conversation_id, fact["reference"])
    assert [item["score"] for item in found["items"]] == sorted((i["score"] for i in found["items"]), reverse=True)


async def test_one_may_say_where_and_how_much(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    for number in range(3):
        await visitor.ask(f"!echo model {number}")
    found = await search(here, "messages", q="model", limit="2")
    assert [item["source"] for item in found["items"]] == ["messages", "messages"]
    found = await search(here, "facts", "manual", q="model")
    assert {item["source"] for item in found["items"]} == {"manual"}


async def test_what_was_deleted_is_not_found(here: Workspace, visitors: Visitors) -> None:
    visitor = await visitors.enter(here.url)
    await visitor.ask("!echo zeppelin")
    assert (await search(here, q="zeppelin"))["items"]
    async with aiohttp.ClientSession(here.url) as http:
        assert (await http.delete(f"/api/v1/conversations/{visitor.conversation_id}")).status == 204
    assert (await search(here, q="zeppelin"))["items"] == []


async def test_without_the_store_the_manual_is_left_and_says_what_is_missing(here: Workspace) -> None:
    person = await here.store.people.by_account("web", "local")
    await here.store.stop()
    found = await here.search.find(person.id, "model")
    assert found.left_out == ("messages", "facts")
    assert {item.source for item in found.items} == {"manual"}
    await here.store.start()
