"""People over HTTP: listed for operators, shown to themselves, and changed, which the next answer keeps to."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from antiphon.domain import Person
from antiphon.realtime.client.push import PushError
from antiphon.storage.base import LOCAL_ACCOUNT
from antiphon.workspace import Workspace
from tests.serving import Visitors

PEOPLE = "/api/v1/people"


@pytest.fixture
async def http(here: Workspace) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(here.url) as session:
        yield session


async def ask(http: aiohttp.ClientSession, path: str = "", status: int = 200, **change: Any) -> Any:
    """What a path of people is answered with; with a change what PATCH is."""
    async with http.request("PATCH" if change else "GET", PEOPLE + path, json=change or None) as answer:
        assert answer.status == status
        return await answer.json()


async def test_an_operator_reads_of_everybody_in_pages(here: Workspace, http: aiohttp.ClientSession) -> None:
    assert [person["id"] for person in (await ask(http))["items"]] == ["local"]
    made = [await here.store.people.by_account("telegram", f"account {number}") for number in range(4)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await ask(http, f"?limit=2&cursor={cursor}")
        seen += [person["id"] for person in page["items"]]
        cursor = page["cursor"]
    assert seen == sorted(["local", *(person.id for person in made)])
    one = await ask(http, f"/{made[0].id}")
    assert (one["name"], one["operator"], one["language"], one["preferred_model"]) == ("account 0", False, None, None)
    assert (await ask(http, f"/{made[0].id}", name="Ann"))["name"] == "Ann"
    assert (await ask(http, f"/{made[0].id}"))["name"] == "Ann"
    assert (await ask(http, "/nobody", 404))["code"] == "not_found"


async def test_whoever_is_no_operator_sees_themselves(
    here: Workspace, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, eve = [await here.store.people.by_account("telegram", name) for name in ("ann", "eve")]

    async def arrives(*_: object, **__: object) -> Person:
        return ann

    monkeypatch.setattr(here.store.people, "by_account", arrives)
    listed = await ask(http)
    assert [person["id"] for person in listed["items"]] == [ann.id]
    assert (await ask(http, f"?cursor={ann.id}")) == {"items": [], "cursor": None}
    assert (await ask(http, f"/{ann.id}", language="PT-br"))["language"] == "pt-BR"
    for person_id in (eve.id, "local", "nobody"):
        await ask(http, f"/{person_id}", 404)
        await ask(http, f"/{person_id}", 404, name="Mallory")
    assert await here.store.people.get(eve.id) == eve
    monkeypatch.setattr(here.models.selector, "may_choose", lambda _: False)
    await ask(http, f"/{ann.id}", 403, preferred_model="demo")


async def test_what_is_of_others_is_not_there(
    here: Workspace, http: aiohttp.ClientSession, visitors: Visitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = await visitors.enter(here.url)
    answer = await mine.ask("!echo mine")
    await mine.ask("/remember I like green tea")
    (fact,) = (await (await http.get(f"{PEOPLE}/local/memory")).json())["items"]
    file = await (await http.post("/api/v1/files?name=a.txt", data=b"mine")).json()
    ann = await here.store.people.by_account("telegram", "ann")

    async def arrives(*_: object, **__: object) -> Person:
        return ann

    monkeypatch.setattr(here.store.people, "by_account", arrives)
    conversation, memory = f"/api/v1/conversations/{mine.conversation_id}", f"{PEOPLE}/local/memory"
    feedback = f"/api/v1/messages/{answer['id']}/feedback"
    for method, path, body in (
        ("GET", conversation, None),
        ("GET", f"{conversation}/messages", None),
        ("PATCH", conversation, {"title": "Hers"}),
        ("DELETE", conversation, None),
        ("PUT", feedback, {"verdict": "down"}),
        ("DELETE", feedback, None),
        ("GET", file["url"], None),
        ("GET", memory, None),
        ("PATCH", f"{memory}/{fact['id']}", {"text": "Hers"}),
        ("PATCH", f"{PEOPLE}/{ann.id}/memory/{fact['id']}", {"text": "Hers"}),
        ("DELETE", f"{PEOPLE}/{ann.id}/memory/{fact['id']}", None),
        ("DELETE", memory, None),
    ):
        async with http.request(method, path, json=body) as refused:
            assert (refused.status, method, path) == (404, method, path)
    for path in ("plugins", "experiments", "realtime/sockets"):
        assert (await http.get(f"/api/v1/{path}")).status == 403
    assert (await (await http.get("/api/v1/usage?by=house")).json()) == {"items": []}
    assert (await (await http.get("/api/v1/search?q=mine&in=messages&in=facts")).json())["items"] == []
    client = await visitors.connect(here.url)
    with pytest.raises(PushError, match="does not exist"):
        await visitors.join(client, mine.conversation_id)
    assert (await here.store.facts.get("local", fact["id"])) is not None
    assert (await mine.ask("!echo still mine"))["text"] == "still mine"


async def test_a_change_counts_from_the_next_message_on(
    here: Workspace, http: aiohttp.ClientSession, visitors: Visitors
) -> None:
    visitor = await visitors.enter(here.url)
    assert "the language you write" in (await visitor.ask("/language"))["text"]
    changed = await ask(http, "/local", language="de", preferred_model="demo", name=" Ada \n Lovelace ")
    assert (changed["name"], changed["language"], changed["preferred_model"]) == ("Ada Lovelace", "de", "demo")
    assert "German (de)" in (await visitor.ask("/language"))["text"]
    assert "chosen by: user" in (await visitor.ask("/model"))["text"]
    named = await visitors.enter(here.url, visitor.conversation_id)
    assert "Ada Lovelace, who you talk with" in (await named.ask("Who is here?"))["text"]
    cleared = await ask(http, "/local", language=None, preferred_model=None)
    assert (cleared["name"], cleared["language"], cleared["preferred_model"]) == ("Ada Lovelace", None, None)
    assert "the language you write" in (await visitor.ask("/language"))["text"]
    assert "chosen by: system" in (await visitor.ask("/model"))["text"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": ""}, 422),
        ({"name": " \n\u3000"}, 422),
        ({"name": None}, 422),
        ({"name": "a\0b"}, 422),
        ({"name": "x" * 201}, 422),
        ({"language": "German, please"}, 422),
        ({"language": ""}, 422),
        ({"language": "d" * 400}, 422),
        ({"preferred_model": ""}, 422),
        ({"preferred_model": "x" * 201}, 422),
        ({"preferred_model": "no such model"}, 404),
        ({"preferred_model": " ` "}, 404),
        ({"operator": False}, 422),
        ({"id": "root"}, 422),
        ({"name": "Eve", "preferred_model": "no such model"}, 404),
    ],
)
async def test_what_nobody_can_be_is_refused(
    here: Workspace, http: aiohttp.ClientSession, change: dict[str, Any], status: int
) -> None:
    me = await here.store.people.by_account(*LOCAL_ACCOUNT, name="You")
    await ask(http, "/local", status, **change)
    assert await here.store.people.get("local") == me
